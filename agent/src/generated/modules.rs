// Generated from src/protocol/schema/ by scripts/generate-protocol.ts. Change the schema, then run `npm run generate`.

/// Everything that is needed before the supervisor's first message, and the file systems. Dependencies come first.
pub const EARLY: &[&str] = &[
    "virtio_ring",
    "virtio",
    "virtio_mmio",
    "virtio_console",
    "failover",
    "net_failover",
    "virtio_net",
    "crc32c_generic",
    "libcrc32c",
    "crc16",
    "mbcache",
    "jbd2",
    "ext4",
    "erofs",
    "overlay",
    "netfs",
    "fscache",
    "9pnet",
    "9pnet_virtio",
    "9p",
    "fuse",
    "pvpanic",
    "pvpanic-mmio",
];

/// Loaded when the supervisor says which disks are there: what is behind a disk may change until then, and its driver
/// reads the size only once.
pub const DISK: &str = "virtio_blk";
