"""What programs expect of a file system, done in the directory that is named. Prints what is not so, and "done".

Run in the guest on each kind of mount: all have to agree.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import signal
import sqlite3
import sys
import traceback

root = os.path.join(sys.argv[1], "behaviour")
checks = []


def check(function):
    checks.append(function)
    return function


def refused(number, call, *args):
    try:
        call(*args)
    except OSError as error:
        assert error.errno == number, error
    else:
        raise AssertionError(f"{call.__name__}{args} was not refused")


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Child:
    """A process that says when it has begun, and ends well unless `work` fails."""

    def __init__(self, work):
        said, says = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(said)
                work(lambda: os.write(says, b"x"))
                os._exit(0)
            except BaseException:
                traceback.print_exc(file=sys.stdout)
                sys.stdout.flush()
            finally:
                os._exit(1)
        os.close(says)
        self.said = said

    def begun(self):
        assert os.read(self.said, 1) == b"x"

    def end(self):
        os.close(self.said)
        assert os.waitpid(self.pid, 0)[1] == 0

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.said)


@check
def unlinked_files():
    write("gone", b"text")
    fd = os.open("gone", os.O_RDWR)
    os.unlink("gone")
    assert os.fstat(fd).st_nlink == 0
    os.ftruncate(fd, 2)
    os.pwrite(fd, b"more", 4)
    os.fsync(fd)
    assert os.pread(fd, 100, 0) == b"te\0\0more" and os.fstat(fd).st_size == 8
    write("gone", b"another one")
    assert os.pread(fd, 100, 0) == b"te\0\0more"
    os.close(fd)


@check
def rename_over_open_files():
    write("old", b"old")
    write("new", b"new")
    fd = os.open("old", os.O_RDWR)
    os.rename("new", "old")
    assert os.pread(fd, 100, 0) == b"old" and read("old") == b"new"
    assert os.fstat(fd).st_nlink == 0 and not os.path.exists("new")
    os.pwrite(fd, b"O", 0)
    assert read("old") == b"new"
    os.close(fd)


@check
def renamed_directories():
    os.makedirs("a/b/c")
    write("a/b/c/file", b"1")
    fd = os.open("a/b/c/file", os.O_RDONLY)
    os.rename("a/b", "b")
    assert os.pread(fd, 10, 0) == read("b/c/file") == b"1"
    refused(errno.EINVAL, os.rename, "b", "b/c/d")
    refused(errno.ENOTEMPTY, os.rmdir, "b")
    os.close(fd)


@check
def ways_to_open():
    write("one", b"12345")
    refused(errno.EEXIST, os.open, "one", os.O_CREAT | os.O_EXCL)
    os.symlink("nowhere", "dangling")
    refused(errno.EEXIST, os.open, "dangling", os.O_CREAT | os.O_EXCL)
    refused(errno.ELOOP, os.open, "dangling", os.O_NOFOLLOW)
    fd = os.open("one", os.O_RDONLY)
    os.close(os.open("one", os.O_WRONLY | os.O_TRUNC))
    assert os.fstat(fd).st_size == 0 and os.pread(fd, 10, 0) == b""
    os.close(fd)
    refused(errno.ENOTDIR, os.open, "one/below", os.O_RDONLY)
    refused(errno.EISDIR, os.open, ".", os.O_WRONLY)


@check
def appending():
    def append(letter):
        def work(_):
            fd = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for _ in range(40):
                os.write(fd, letter * 99 + b"\n")

        return work

    for child in [Child(append(b"a")), Child(append(b"b"))]:
        child.end()
    lines = read("log").split(b"\n")
    assert sorted(lines) == [b""] + [b"a" * 99] * 40 + [b"b" * 99] * 40


@check
def hard_links():
    write("first", b"1")
    os.link("first", "second")
    a, b = os.stat("first"), os.stat("second")
    assert (a.st_ino, a.st_nlink) == (b.st_ino, 2)
    write("second", b"changed")
    assert read("first") == b"changed"
    os.unlink("first")
    assert os.stat("second").st_nlink == 1
    refused(errno.EEXIST, os.link, "second", "second")


def locks(lock, unlock):
    """`lock(fd, waits)` refuses what another process holds, waits for it, and what a killed process had is free."""
    write("lock", b"0" * 10)

    def opened():
        return os.open("lock", os.O_RDWR)

    def hold(begun):
        fd = opened()
        lock(fd, False)
        begun()
        signal.pause()

    holder = Child(hold)
    holder.begun()
    fd = opened()
    for number in (errno.EAGAIN,):
        refused(number, lock, fd, False)

    def wait(begun):
        fd = opened()
        begun()
        lock(fd, True)
        unlock(fd)

    waits = Child(wait)
    waits.begun()
    holder.kill()
    waits.end()
    lock(fd, False)
    unlock(fd)
    os.close(fd)


@check
def flock():
    locks(
        lambda fd, waits: fcntl.flock(fd, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB)),
        lambda fd: fcntl.flock(fd, fcntl.LOCK_UN),
    )


@check
def record_locks():
    locks(
        lambda fd, waits: fcntl.lockf(fd, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB), 2, 3),
        lambda fd: fcntl.lockf(fd, fcntl.LOCK_UN, 2, 3),
    )


@check
def shared_maps():
    write("map", b"a" * 10000)
    fd = os.open("map", os.O_RDWR)
    memory = mmap.mmap(fd, 10000)
    memory[5000:5003] = b"xyz"
    memory.flush()
    assert os.pread(fd, 4, 4999) == b"axyz"
    os.pwrite(fd, b"written", 6000)
    assert memory[6000:6007] == b"written"

    def change(_):
        with open("map", "r+b") as file, mmap.mmap(file.fileno(), 10000) as its:
            assert its[5000:5003] == b"xyz"
            its[0:5] = b"child"

    Child(change).end()
    assert memory[0:5] == b"child"
    memory.close()
    os.close(fd)
    assert read("map")[:5] == b"child"


@check
def names():
    os.mkdir("names")
    longest = b"\xff" * 255
    wanted = [b"names/" + bytes([byte]) for byte in range(1, 256) if byte not in b"./"] + [b"names/" + longest]
    for name in wanted:
        write(name, name)
    assert sorted(os.listdir(b"names")) == sorted(name[6:] for name in wanted)
    for name in wanted:
        assert read(name) == name
    refused(errno.ENAMETOOLONG, os.mkdir, b"names/" + b"x" * 256)


@check
def holes():
    with open("holes", "wb") as file:
        file.seek(50_000_000)
        file.write(b"end")
    found = os.stat("holes")
    assert found.st_size == 50_000_003 and found.st_blocks < 64, found
    os.truncate("holes", 90_000_000)
    assert os.stat("holes").st_blocks < 64
    with open("holes", "rb") as file:
        file.seek(49_999_999)
        assert file.read(5) == b"\0end\0"


@check
def room_beforehand():
    with open("room", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 100_000)
    assert os.stat("room").st_size == 100_000 and read("room") == b"\0" * 100_000


@check
def punched_holes():
    write("punched", b"x" * 65536)
    fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    with open("punched", "r+b") as file:
        assert fallocate(file.fileno(), 3, 8192, 16384) == 0, os.strerror(ctypes.get_errno())
        assert os.pread(file.fileno(), 16386, 8191) == b"x" + b"\0" * 16384 + b"x"
    assert os.stat("punched").st_size == 65536


@check
def copies_in_the_kernel():
    write("source", os.urandom(100_000))
    with open("source", "rb") as source, open("copy", "wb") as copy:
        assert os.copy_file_range(source.fileno(), copy.fileno(), 60_000) == 60_000
        while os.sendfile(copy.fileno(), source.fileno(), None, 100_000):
            pass
    assert read("copy") == read("source")


@check
def past_the_cache():
    memory = mmap.mmap(-1, 8192)
    memory.write(b"d" * 8192)
    try:
        fd = os.open("direct", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    except OSError as error:
        # A file system in memory has nothing else.
        assert error.errno == errno.EINVAL, error
        return
    assert os.write(fd, memory) == 8192
    assert os.preadv(fd, [memory], 4096) == 4096
    os.close(fd)
    assert read("direct") == b"d" * 8192


@check
def a_database_with_two_writers():
    def opened():
        return sqlite3.connect("wal.db", timeout=60, isolation_level=None)

    base = opened()
    assert base.execute("pragma journal_mode=wal").fetchone() == ("wal",)
    base.execute("create table t (who, n)")

    def insert(who):
        def work(_):
            its = opened()
            for n in range(15):
                its.execute("begin immediate")
                its.execute("insert into t values (?, ?)", (who, n))
                its.execute("commit")

        return work

    children = [Child(insert(who)) for who in (1, 2)]
    seen = 0
    while seen < 30:
        now = base.execute("select count(*) from t").fetchone()[0]
        assert now >= seen
        seen = now
    for child in children:
        child.end()
    assert base.execute("pragma integrity_check").fetchone() == ("ok",)
    assert base.execute("select who, count(*), sum(n) from t group by who").fetchall() == [(1, 15, 105), (2, 15, 105)]


os.mkdir(root)
for function in checks:
    directory = os.path.join(root, function.__name__)
    os.mkdir(directory)
    os.chdir(directory)
    try:
        function()
    except BaseException:
        print(f"{function.__name__}: {traceback.format_exc()}")
print("done")
