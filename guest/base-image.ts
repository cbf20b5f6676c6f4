/** The embedded image `localhost/base`: BusyBox, users, groups and the directories that programs expect. */
import { chmod, cp, mkdir, open, readFile, readdir, symlink } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { unpackPackage } from "./debian.ts";
import { run } from "./tools.ts";

const FILES = fileURLToPath(new URL("./base", import.meta.url));
/** Of the file system; fixed, so that the same inputs give the same bytes. */
const UUID = "6d736200-0000-4000-8000-000000000001";
const SANDBOX_USER = 1000;
const SANDBOX_HOME = "/home/sandbox";

const directories: Readonly<Record<string, number>> = {
  bin: 0o755,
  dev: 0o755,
  etc: 0o755,
  "etc/profile.d": 0o755,
  home: 0o755,
  "home/sandbox": 0o755,
  lib: 0o755,
  mnt: 0o755,
  opt: 0o755,
  proc: 0o555,
  root: 0o700,
  run: 0o755,
  sbin: 0o755,
  srv: 0o755,
  sys: 0o555,
  tmp: 0o1777,
  usr: 0o755,
  "usr/bin": 0o755,
  "usr/lib": 0o755,
  "usr/local": 0o755,
  "usr/local/bin": 0o755,
  "usr/local/sbin": 0o755,
  "usr/sbin": 0o755,
  "usr/share": 0o755,
  var: 0o755,
  "var/cache": 0o755,
  "var/lib": 0o755,
  "var/log": 0o755,
  "var/mail": 0o755,
  "var/spool": 0o755,
  "var/tmp": 0o1777,
};

const links: Readonly<Record<string, string>> = { "var/run": "../run", "etc/mtab": "../proc/mounts" };

/**
 * Makes the image as an uncompressed EROFS file. Needs no root: owners are set in the finished image.
 *
 * @param deb path of Debian's busybox-static package, for the architecture of this machine: it is asked for its applets
 * @param work directory to work in
 * @param image path of the file to write
 */
export async function buildBaseImage(deb: string, work: string, image: string): Promise<void> {
  const root = join(work, "root");
  await mkdir(root);
  for (const [path, mode] of Object.entries(directories)) {
    await mkdir(join(root, path));
    // mkdir's own mode is cut by the umask.
    await chmod(join(root, path), mode);
  }
  await cp(FILES, root, { recursive: true });
  for (const name of await readdir(join(FILES, "etc"))) {
    await chmod(join(root, "etc", name), name === "shadow" ? 0o600 : 0o644);
  }
  for (const [path, target] of Object.entries(links)) await symlink(target, join(root, path));
  await installBusybox(deb, work, root);
  await run("mkfs.erofs", [
    "--quiet",
    "-x-1", // no extended attributes: the host's security labels are not the guest's
    "-T0",
    `-U${UUID}`,
    "--all-root",
    // No checksum over the first block, because an owner in it may be changed below.
    "-Enosbcrc,force-inode-compact",
    image,
    root,
  ]);
  await setOwner(image, SANDBOX_HOME, SANDBOX_USER);
}

async function installBusybox(deb: string, work: string, root: string): Promise<void> {
  const unpacked = join(work, "busybox");
  await unpackPackage(deb, unpacked, ["./bin/busybox", "./usr/bin/busybox"]);
  const inBin = join(unpacked, "bin/busybox");
  const source = await readFile(inBin).then(
    () => inBin,
    () => join(unpacked, "usr/bin/busybox"),
  );
  await cp(source, join(root, "bin/busybox"));
  await chmod(join(root, "bin/busybox"), 0o755);
  const list = (await run(source, ["--list-full"])).toString();
  for (const applet of appletPaths(list)) {
    await symlink(posix.relative(dirname(applet), "bin/busybox"), join(root, applet));
  }
}

/** The paths at which BusyBox wants to be linked, without those that no guest of ours uses. */
export function appletPaths(listFull: string): string[] {
  const known = ["bin", "sbin", "usr/bin", "usr/sbin"];
  return listFull
    .split("\n")
    .filter((path) => known.includes(dirname(path)) && path !== "bin/busybox")
    .sort();
}

/**
 * Changes a file's owner and group in an EROFS image. `mkfs.erofs` can only take owners from the files it reads, and
 * giving files away needs root.
 *
 * Offsets: fs/erofs/erofs_fs.h, struct erofs_super_block and struct erofs_inode_compact.
 */
async function setOwner(image: string, path: string, owner: number): Promise<void> {
  const description = (await run("dump.erofs", [`--path=${path}`, image])).toString();
  const nid = /^NID:\s*(\d+)/m.exec(description)?.[1];
  const size = /^Inode size:\s*(\d+)/m.exec(description)?.[1];
  if (nid === undefined || size !== "32") throw new Error(`dump.erofs does not find ${path} in ${image}`);
  const file = await open(image, "r+");
  try {
    const superblock = Buffer.alloc(128);
    await file.read(superblock, 0, superblock.length, 1024);
    const hasChecksum = (superblock.readUInt32LE(8) & 1) !== 0;
    if (superblock.readUInt32LE(0) !== 0xe0f5e1e2 || hasChecksum) {
      throw new Error("mkfs.erofs made an image of an unexpected kind");
    }
    const blockBytes = 1 << superblock.readUInt8(12);
    const inode = superblock.readUInt32LE(40) * blockBytes + Number(nid) * 32;
    const ids = Buffer.alloc(4);
    ids.writeUInt16LE(owner, 0);
    ids.writeUInt16LE(owner, 2);
    await file.write(ids, 0, ids.length, inode + 24);
  } finally {
    await file.close();
  }
  const after = (await run("dump.erofs", [`--path=${path}`, image])).toString();
  if (!new RegExp(`^Uid: ${owner}\\s+Gid: ${owner}\\b`, "m").test(after)) {
    throw new Error(`the owner of ${path} in ${image} could not be set`);
  }
}
