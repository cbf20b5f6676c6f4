/** What a file system of the host's is, as far as it matters for serving it. */
export type FileSystemKind =
  /** This system alone changes it, and hears of all that is changed. */
  | "files"
  /** Its files are the system itself, such as `/proc/<pid>/mem`: nobody means to give them to a guest. */
  | "system"
  /** Others change it without this system hearing of it, or may do so: whatever is not known to be one of the other two. */
  | "remote";

/** Types as statfs(2) has them (include/uapi/linux/magic.h, and the sources of each). */
const kinds: Readonly<Record<Exclude<FileSystemKind, "remote">, ReadonlySet<number>>> = {
  system: new Set([
    0x9fa0, // proc
    0x9fa1, // openprom
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xf97c_ff8c, // selinuxfs
    0x4341_5d53, // smackfs
    0xcafe_4a11, // bpf
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x6265_6570, // configfs
    0x6573_5543, // fusectl
    0x4249_4e4d, // binfmt_misc
    0x1cd1, // devpts
    0x6e73_6673, // nsfs
    0x6e66_7364, // nfsd
    0x6759_6969, // rpc_pipefs
    0x0765_5821, // resctrl
    0x1980_0202, // mqueue
    0xabba_1974, // xenfs
  ]),
  files: new Set([
    0xef53, // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
    0x2fc1_2fc1, // zfs
    0xca45_1a4e, // bcachefs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x794c_7630, // overlay
    0x7371_7368, // squashfs
    0xe0f5_e1e2, // erofs
    0x28cd_3d45, // cramfs
    0x9660, // iso9660
    0x1501_3346, // udf
    0x4d44, // fat
    0x2011_bab0, // exfat
    0x5346_544e, // ntfs
    0x7366_746e, // ntfs3
    0x4244, // hfs
    0x482b, // hfsplus
    0xf15f, // ecryptfs
    0x3434, // nilfs2
    0x3153_464a, // jfs
    0x5265_4973, // reiserfs
    0x72b6, // jffs2
    0x2405_1905, // ubifs
  ]),
};

/** @param type as statfs(2) has it, with a sign or without */
export function kindOfFileSystem(type: number): FileSystemKind {
  const unsigned = Number(BigInt.asUintN(32, BigInt(type)));
  if (kinds.system.has(unsigned)) return "system";
  return kinds.files.has(unsigned) ? "files" : "remote";
}
