"""Works and checks its own work for as long as it runs, in ways that a copy of its memory or its disk that is not of one moment would break.

What it finds is in /dev/shm/survivor: how many rounds it has done, how many signals SIGUSR1 it got, and what is wrong.
"""

import os
import signal
import socket
import sqlite3
import sys
import time
import zlib

STATE = "/dev/shm/survivor"
DATABASE = "/root/survivor.db"

notified = 0
alarms = 0


def notify(*_):
    global notified
    notified += 1


def alarm(*_):
    global alarms
    alarms += 1


def require(what, holds):
    if not holds:
        raise AssertionError(what)


class Arrays:
    """Memory that is always another one, with a checksum of each part."""

    def __init__(self):
        self.parts = [bytearray(os.urandom(64 << 10)) for _ in range(96)]
        self.sums = [zlib.crc32(part) for part in self.parts]

    def check(self, at):
        require(f"array {at} is another one", zlib.crc32(self.parts[at]) == self.sums[at])

    def turn(self, count):
        at = count % len(self.parts)
        self.check(at)
        self.parts[at][:] = os.urandom(len(self.parts[at]))
        self.sums[at] = zlib.crc32(self.parts[at])


class Pair:
    """A TCP connection with itself, on which something is always on its way."""

    def __init__(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.one = socket.create_connection(listener.getsockname())
        self.other, _ = listener.accept()
        self.sent = self.heard = 0
        for _ in range(50):
            self.send()

    def send(self):
        self.one.sendall(self.sent.to_bytes(8, "big"))
        self.sent += 1

    def turn(self):
        self.send()
        number = int.from_bytes(self.other.recv(8, socket.MSG_WAITALL), "big")
        require(f"{number} came instead of {self.heard}", number == self.heard)
        self.heard += 1


class Rows:
    """A database, almost always in the middle of a transaction."""

    def __init__(self):
        self.database = sqlite3.connect(DATABASE, isolation_level=None)
        self.database.execute("create table if not exists rows (number integer primary key, content blob, sum integer)")
        self.count = 0
        self.database.execute("begin")

    def turn(self):
        content = os.urandom(200)
        self.database.execute("insert into rows values (?, ?, ?)", (self.count, content, zlib.crc32(content)))
        self.count += 1
        if self.count % 25 == 0:
            self.database.execute("commit")
            self.check()
            self.database.execute("begin")

    def check(self):
        require("the database is damaged", self.database.execute("pragma quick_check").fetchall() == [("ok",)])
        rows = self.database.execute("select number, content, sum from rows order by number desc limit 100").fetchall()
        require("rows are missing", self.database.execute("select count(*) from rows").fetchone() == (self.count,))
        for at, (number, content, total) in enumerate(rows):
            require("a row is another one", number == self.count - 1 - at and zlib.crc32(content) == total)


def write(text):
    with open(f"{STATE}.new", "w") as file:
        file.write(text)
    os.rename(f"{STATE}.new", STATE)


def work():
    signal.signal(signal.SIGUSR1, notify)
    signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    arrays, pair, rows = Arrays(), Pair(), Rows()
    rounds, seen, before = 0, 0, time.monotonic()
    while True:
        arrays.turn(rounds)
        pair.turn()
        rows.turn()
        now = time.monotonic()
        require("monotonic time went back", now >= before)
        before = now
        time.sleep(0.01)
        rounds += 1
        if rounds % 20 == 0:
            require("the timer has stopped", alarms > seen)
            seen = alarms
        if rounds % 100 == 0:
            for at in range(len(arrays.parts)):
                arrays.check(at)
        write(f"{rounds} {notified} well")


try:
    work()
except BaseException as error:
    write(f"0 {notified} {type(error).__name__}: {error}")
    sys.exit(1)
