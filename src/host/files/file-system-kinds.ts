/** What a file system of the host's is, as far as it matters for serving it. */
export type FileSystemKind =
  | "files"
  /** Its files are the system itself, such as `/proc/<pid>/mem`: nobody means to give them to a guest. */
  | "system"
  /** Others change it without this system hearing of it. */
  | "remote";

/** Types as statfs(2) has them (include/uapi/linux/magic.h, and the sources of each). */
const kinds: Readonly<Record<Exclude<FileSystemKind, "files">, ReadonlySet<number>>> = {
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
  remote: new Set([
    0x6969, // nfs
    0x517b, // smb
    0xff53_4d42, // cifs
    0xfe53_4d42, // smb2
    0x6573_5546, // fuse
    0x0102_1997, // 9p
    0x00c3_6400, // ceph
    0x5346_414f, // afs
    0x6b41_4653, // kafs
    0x7375_7245, // coda
    0x0bd0_0bd0, // lustre
    0x0116_1970, // gfs2
    0x7461_636f, // ocfs2
    0x786f_4256, // vboxsf
  ]),
};

/** @param type as statfs(2) has it, with a sign or without */
export function kindOfFileSystem(type: number): FileSystemKind {
  const unsigned = Number(BigInt.asUintN(32, BigInt(type)));
  if (kinds.system.has(unsigned)) return "system";
  return kinds.remote.has(unsigned) ? "remote" : "files";
}
