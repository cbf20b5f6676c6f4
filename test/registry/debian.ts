import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { chmod, lstat, mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { skopeo } from "./images.ts";

const run = promisify(execFile);

/** A Debian of about 300 MB with Python, and with what makes a root file system hard: Perl's many names, git's hard links. */
const withPython = ["--variant=minbase", "--include=python3,git", "bookworm"];

/**
 * A directory of this user's that later runs find again. What another user put there would be booted, so it is refused.
 *
 * @throws Error when the directory is not this user's alone
 */
export async function keptDirectory(): Promise<string> {
  const { uid } = userInfo();
  const directory = join(tmpdir(), `msb-test-debian-${uid}`);
  await mkdir(directory, { mode: 0o700 }).catch(async () => {
    const found = await lstat(directory);
    if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o022) !== 0) {
      throw new Error(`${directory} is not a directory that only this user can write`);
    }
  });
  return directory;
}

/**
 * A command in the network and with the mounts of whoever runs the tests: a file of tests with an internet of its own
 * (test/internet/namespace.ts) has no way to Debian's packages.
 */
function outside(command: readonly [string, ...string[]]): readonly [string, ...string[]] {
  if (process.env["MSB_TEST_INTERNET"] === undefined) return command;
  return ["nsenter", "--target", String(process.ppid), "--net", "--mount", "--", ...command];
}

/**
 * The tar file of a Debian that mmdebstrap makes, about a minute's work. It is kept under a name made of the recipe, for later
 * runs.
 *
 * @param recipe arguments of mmdebstrap
 */
export async function debianTar(recipe: readonly string[] = withPython): Promise<string> {
  const key = createHash("sha256")
    .update(JSON.stringify([recipe, process.arch]))
    .digest("hex")
    .slice(0, 16);
  const directory = await keptDirectory();
  const path = join(directory, `${key}.tar`);
  if ((await stat(path).catch(() => null)) !== null) return path;
  const aside = join(directory, `${key}.${randomBytes(4).toString("hex")}.tar`);
  try {
    const [program, ...args] = outside(["mmdebstrap", ...recipe, aside]);
    await run(program, args, { maxBuffer: 1 << 26 });
    await rename(aside, path);
  } finally {
    await rm(aside, { force: true });
  }
  return path;
}

export interface DebianImage {
  /** An OCI image layout. */
  readonly layout: string;
  readonly tag: string;
  /** Size of the base layer's tar in bytes; the other layers are small. */
  readonly bytes: number;
}

/**
 * An image of three layers, made by umoci below `directory`: the Debian, files that are new or replace others, and the
 * removal of a directory.
 */
export async function makeDebianImage(directory: string): Promise<DebianImage> {
  const tar = await debianTar();
  const layout = join(directory, "layout");
  const tag = "debian";
  const image = `${layout}:${tag}`;
  const umoci = (...args: readonly string[]): Promise<unknown> => run("umoci", args, { maxBuffer: 1 << 26 });
  await umoci("init", "--layout", layout);
  await umoci("new", "--image", image);
  await umoci("raw", "add-layer", "--image", image, tar);
  const added = join(directory, "added");
  await mkdir(added);
  await writeFile(join(added, "hello"), "#!/usr/bin/python3\nprint('hello from a layer')\n");
  await chmod(join(added, "hello"), 0o4755);
  await umoci("insert", "--image", image, added, "/opt/added");
  await umoci("insert", "--image", image, "--whiteout", "/usr/share/doc");
  await umoci(
    "config",
    "--image",
    image,
    "--config.cmd",
    "python3",
    "--config.env",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  );
  return { layout, tag, bytes: (await stat(tar)).size };
}

/** Pushes it to a registry of this machine that speaks plain HTTP. */
export async function pushDebianImage({ layout, tag }: DebianImage, target: string): Promise<void> {
  await skopeo("copy", "--quiet", "--dest-tls-verify=false", `oci:${layout}:${tag}`, `docker://${target}`);
}
