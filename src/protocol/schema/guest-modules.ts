/**
 * The kernel modules that a guest needs to reach its agent, its disks and its host: the guest's build puts them into the initramfs,
 * the agent loads them. Debian builds all drivers as modules; one that another kernel has built in is left out.
 */

/** Needed before the supervisor's first message, and the file systems. In the order of loading: dependencies come first. */
export const earlyModules = [
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
] as const;

/**
 * Loaded when the supervisor says which disks are there: what is behind a disk may change until then, and its driver reads the size
 * only once.
 */
export const diskModule = "virtio_blk";
