//! The C library's functions, types and numbers that the agent uses, for 64-bit Linux with glibc (x86-64 and arm64).
//! Values come from the kernel's uapi headers; where the two architectures differ, it says so.

#![allow(non_camel_case_types)]

pub use std::os::raw::{c_char, c_int, c_long, c_uint, c_ulong, c_void};

pub const EPERM: i32 = 1;
pub const ENOENT: i32 = 2;
pub const ENXIO: i32 = 6;
pub const EINTR: i32 = 4;
pub const EIO: i32 = 5;
pub const EACCES: i32 = 13;
pub const EBUSY: i32 = 16;
pub const EEXIST: i32 = 17;
pub const EXDEV: i32 = 18;
pub const ENODEV: i32 = 19;
pub const ENOTDIR: i32 = 20;
pub const EISDIR: i32 = 21;
pub const EINVAL: i32 = 22;
pub const EMFILE: i32 = 24;
pub const EFBIG: i32 = 27;
pub const EROFS: i32 = 30;
pub const ENAMETOOLONG: i32 = 36;
pub const ENOSYS: i32 = 38;
pub const ELOOP: i32 = 40;
pub const EOPNOTSUPP: i32 = 95;
pub const ESHUTDOWN: i32 = 108;
pub const ETIMEDOUT: i32 = 110;
pub const ESTALE: i32 = 116;
pub const ECANCELED: i32 = 125;

pub const O_RDWR: c_int = 2;
pub const O_NOCTTY: c_int = 0o400;
pub const O_NONBLOCK: c_int = 0o4000;
pub const O_DIRECTORY: c_int = DIRECTORY;
pub const O_NOFOLLOW: c_int = NOFOLLOW;
pub const O_CLOEXEC: c_int = 0o2000000;
pub const O_PATH: c_int = 0o10000000;
pub const F_DUPFD_CLOEXEC: c_int = 1030;
pub const F_GETFL: c_int = 3;
pub const F_SETFL: c_int = 4;
pub const F_SETPIPE_SZ: c_int = 1031;
pub const F_GETPIPE_SZ: c_int = 1032;

pub const EPOLL_CLOEXEC: c_int = O_CLOEXEC;
pub const EPOLL_CTL_ADD: c_int = 1;
pub const EPOLL_CTL_DEL: c_int = 2;
pub const EPOLL_CTL_MOD: c_int = 3;

pub const SIGKILL: c_int = 9;
pub const SIGUSR1: c_int = 10;
pub const SIGUSR2: c_int = 12;
pub const SIGPIPE: c_int = 13;
pub const SIGTERM: c_int = 15;
pub const SIGCHLD: c_int = 17;
pub const SIGCONT: c_int = 18;
pub const SIG_BLOCK: c_int = 0;
pub const SIG_SETMASK: c_int = 2;
pub const SIG_DFL: usize = 0;
pub const CLONE_VM: c_int = 0x100;
pub const CLONE_VFORK: c_int = 0x4000;
pub const WNOHANG: c_int = 1;

pub const AT_FDCWD: c_int = -100;
pub const AT_SYMLINK_NOFOLLOW: c_int = 0x100;
/// In the place of nanoseconds: leaves the time as it is (linux/stat.h).
pub const UTIME_OMIT: i64 = 0x3fff_fffe;
pub const EFD_CLOEXEC: c_int = O_CLOEXEC;
pub const EFD_NONBLOCK: c_int = O_NONBLOCK;
pub const IN_CLOEXEC: c_int = O_CLOEXEC;
pub const IN_NONBLOCK: c_int = O_NONBLOCK;

pub const CLOCK_REALTIME: c_int = 0;
pub const RLIMIT_NOFILE: c_int = 7;

/// `_IOW('R', 3, int[2])` and `_IO('R', 7)`, linux/random.h.
pub const RNDADDENTROPY: c_ulong = 0x4008_5203;
pub const RNDRESEEDCRNG: c_ulong = 0x5207;
/// `_IOW('f', 16, __u64)`, fs/ext4/ext4.h.
pub const EXT4_IOC_RESIZE_FS: c_ulong = 0x4008_6610;
/// `_IOWR('X', 119, int)` and the one after it, linux/fs.h.
pub const FIFREEZE: c_ulong = 0xc004_5877;
pub const FITHAW: c_ulong = 0xc004_5878;
/// asm-generic/ioctls.h.
pub const FIONREAD: c_ulong = 0x541b;
pub const TIOCSCTTY: c_ulong = 0x540e;
pub const TIOCSWINSZ: c_ulong = 0x5414;
pub const TIOCSPTLCK: c_ulong = 0x4004_5431;
pub const TIOCGPTPEER: c_ulong = 0x5441;
pub const AF_UNSPEC: u16 = 0;
pub const AF_INET: c_int = 2;
pub const AF_INET6: c_int = 10;
pub const IPPROTO_ICMP: c_int = 1;
pub const IPPROTO_ICMPV6: c_int = 58;
pub const AF_NETLINK: c_int = 16;
pub const NETLINK_ROUTE: c_int = 0;
pub const SOL_SOCKET: c_int = 1;
pub const SO_PEERCRED: c_int = 17;
pub const SOCK_RAW: c_int = 3;
pub const SOCK_DGRAM: c_int = 2;
pub const SOCK_CLOEXEC: c_int = O_CLOEXEC;

pub const MNT_DETACH: c_int = 2;
pub const RB_POWER_OFF: c_int = 0x4321_fedc_u32 as c_int;

/// Calls that are younger than glibc's functions for them have one number everywhere (asm-generic/unistd.h).
pub const SYS_PIDFD_OPEN: c_long = 434;
pub const SYS_PIDFD_GETFD: c_long = 438;
#[cfg(target_arch = "x86_64")]
pub const SYS_FINIT_MODULE: c_long = 313;
#[cfg(target_arch = "x86_64")]
pub const SYS_SETUID: c_long = 105;
#[cfg(target_arch = "x86_64")]
pub const SYS_SETGID: c_long = 106;
#[cfg(target_arch = "x86_64")]
pub const SYS_SETGROUPS: c_long = 116;
#[cfg(target_arch = "aarch64")]
pub const SYS_FINIT_MODULE: c_long = 273;
#[cfg(target_arch = "aarch64")]
pub const SYS_SETUID: c_long = 146;
#[cfg(target_arch = "aarch64")]
pub const SYS_SETGID: c_long = 144;
#[cfg(target_arch = "aarch64")]
pub const SYS_SETGROUPS: c_long = 159;

/// arm64 has numbers of its own for what the other architectures agree on (arch/arm64/include/uapi/asm/fcntl.h).
#[cfg(target_arch = "x86_64")]
const NOFOLLOW: c_int = 0o400000;
#[cfg(target_arch = "x86_64")]
const DIRECTORY: c_int = 0o200000;
#[cfg(target_arch = "aarch64")]
const NOFOLLOW: c_int = 0o100000;
#[cfg(target_arch = "aarch64")]
const DIRECTORY: c_int = 0o40000;

/// The kernel packs this structure on x86-64 only (`EPOLL_PACKED`).
#[derive(Clone, Copy)]
#[cfg_attr(target_arch = "x86_64", repr(C, packed))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C))]
pub struct epoll_event {
    pub events: u32,
    pub data: u64,
}

#[repr(C)]
pub struct pollfd {
    pub fd: c_int,
    pub events: i16,
    pub revents: i16,
}

/// glibc's size: 1024 bits.
#[repr(C)]
pub struct sigset_t {
    pub bits: [u64; 16],
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct iovec {
    pub base: *mut c_void,
    pub length: usize,
}

#[repr(C)]
pub struct sockaddr {
    pub family: u16,
    pub data: [u8; 14],
}

#[repr(C)]
pub struct timespec {
    pub tv_sec: i64,
    pub tv_nsec: i64,
}

#[repr(C)]
pub struct rlimit {
    pub soft: u64,
    pub hard: u64,
}

#[repr(C)]
pub struct winsize {
    pub rows: u16,
    pub cols: u16,
    pub x_pixels: u16,
    pub y_pixels: u16,
}

#[repr(C)]
pub struct statfs {
    pub f_type: i64,
    pub f_bsize: i64,
    pub f_blocks: u64,
    pub f_bfree: u64,
    pub f_bavail: u64,
    pub f_files: u64,
    pub f_ffree: u64,
    pub f_fsid: [i32; 2],
    pub f_namelen: i64,
    pub f_frsize: i64,
    pub f_flags: i64,
    pub f_spare: [i64; 4],
}

extern "C" {
    pub fn read(fd: c_int, buffer: *mut c_void, count: usize) -> isize;
    pub fn readv(fd: c_int, parts: *const iovec, count: c_int) -> isize;
    pub fn write(fd: c_int, buffer: *const c_void, count: usize) -> isize;
    pub fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    pub fn pipe2(fds: *mut c_int, flags: c_int) -> c_int;
    pub fn dup2(from: c_int, to: c_int) -> c_int;
    pub fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    pub fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    pub fn fchown(fd: c_int, uid: u32, gid: u32) -> c_int;
    pub fn chown(path: *const c_char, uid: u32, gid: u32) -> c_int;
    pub fn lchown(path: *const c_char, uid: u32, gid: u32) -> c_int;
    pub fn utimensat(
        directory: c_int,
        path: *const c_char,
        times: *const timespec,
        flags: c_int,
    ) -> c_int;
    pub fn futimens(fd: c_int, times: *const timespec) -> c_int;
    pub fn eventfd(initial: c_uint, flags: c_int) -> c_int;
    pub fn inotify_init1(flags: c_int) -> c_int;
    pub fn inotify_add_watch(fd: c_int, path: *const c_char, mask: u32) -> c_int;
    pub fn poll(fds: *mut pollfd, count: c_ulong, timeout: c_int) -> c_int;
    pub fn epoll_create1(flags: c_int) -> c_int;
    pub fn epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, event: *mut epoll_event) -> c_int;
    pub fn epoll_wait(epoll: c_int, events: *mut epoll_event, max: c_int, ms: c_int) -> c_int;
    pub fn sigprocmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> c_int;
    pub fn signalfd(fd: c_int, mask: *const sigset_t, flags: c_int) -> c_int;
    pub fn signal(signal: c_int, handler: usize) -> usize;
    pub fn kill(pid: c_int, signal: c_int) -> c_int;
    pub fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    pub fn clone(
        entry: extern "C" fn(*mut c_void) -> c_int,
        stack: *mut c_void,
        flags: c_int,
        argument: *mut c_void,
        ...
    ) -> c_int;
    pub fn execve(
        path: *const c_char,
        argv: *const *const c_char,
        envp: *const *const c_char,
    ) -> c_int;
    pub fn setsid() -> c_int;
    pub fn umask(mask: c_uint) -> c_uint;
    pub fn chdir(path: *const c_char) -> c_int;
    pub fn chroot(path: *const c_char) -> c_int;
    pub fn setrlimit(resource: c_int, limit: *const rlimit) -> c_int;
    pub fn mount(
        source: *const c_char,
        target: *const c_char,
        fs_type: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    pub fn umount2(target: *const c_char, flags: c_int) -> c_int;
    pub fn statfs(path: *const c_char, out: *mut statfs) -> c_int;
    pub fn sync();
    pub fn lseek64(fd: c_int, offset: i64, whence: c_int) -> i64;
    pub fn reboot(command: c_int) -> c_int;
    pub fn sethostname(name: *const c_char, length: usize) -> c_int;
    pub fn clock_settime(clock: c_int, time: *const timespec) -> c_int;
    pub fn getrandom(buffer: *mut c_void, count: usize, flags: c_uint) -> isize;
    pub fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
    pub fn connect(socket: c_int, address: *const sockaddr, length: c_uint) -> c_int;
    pub fn getsockopt(
        socket: c_int,
        level: c_int,
        option: c_int,
        value: *mut c_void,
        length: *mut c_uint,
    ) -> c_int;
    pub fn syscall(number: c_long, ...) -> c_long;
}
