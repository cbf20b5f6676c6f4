/** The embedded image `localhost/base`: BusyBox, users, groups and the directories that programs expect. */
import { chmod, cp, mkdir, readFile, readdir, symlink } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { importDirectory } from "../src/image/import/directory.ts";
import { defaultImportLimits } from "../src/image/import/limits.ts";
import { unpackPackage } from "./debian.ts";
import { run } from "./tools.ts";

const FILES = fileURLToPath(new URL("./base", import.meta.url));
/** Of the file system; fixed, so that the same inputs give the same bytes. */
const UUID = "6d736200-0000-4000-8000-000000000001";
/** Everything else is root's. The host's owners have no say, so that no build needs root. */
const SANDBOX_HOME = "home/sandbox";
const SANDBOX_USER = { uid: 1000, gid: 1000 };
const ROOT_USER = { uid: 0, gid: 0 };

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
 * Makes the image as an uncompressed EROFS file, with the writer that makes them of pulled images.
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
  await importDirectory(root, image, defaultImportLimits, {
    owner: (path) => (path === SANDBOX_HOME ? SANDBOX_USER : ROOT_USER),
    seconds: 0,
    uuid: Buffer.from(UUID.replaceAll("-", ""), "hex"),
  });
  await chmod(image, 0o644);
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
