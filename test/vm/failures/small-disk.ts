import { execFile } from "node:child_process";
import type { StatsFs } from "node:fs";
import { lstat, mkdir, readFile, statfs } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually } from "../support.ts";

// A small file system of its own for a part of a home.

const run = promisify(execFile);

/** For tests that mount one. */
export const mountingSkip =
  process.platform === "linux" && process.getuid?.() === 0 ? false : "mounting a tmpfs takes root";

/** Mounts a tmpfs over a directory that is made if need be. @param options of tmpfs, such as `size=64m` */
export async function mountSmallDisk(directory: string, options: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Mounted where the link leads, it would hide what other files of tests share.
  if ((await lstat(directory)).isSymbolicLink()) throw new Error(`${directory} is a link`);
  await run("mount", ["-t", "tmpfs", "-o", `mode=0700,${options}`, "msb-test", directory]);
}

/** Does nothing where none is mounted. A process that has ended for all who look may keep its files open a moment longer. */
export async function unmountSmallDisk(directory: string): Promise<void> {
  await eventually(`the disk at ${directory}`, async () => {
    const mounted = (await readFile("/proc/mounts", "utf8")).includes(` ${directory} `);
    if (mounted) await run("umount", [directory]).catch(() => undefined);
    return mounted ? null : true;
  });
}

/** Fills a disk with a file named `ballast`, until no more than so many bytes are free. */
export async function leaveRoom(directory: string, bytes: number): Promise<void> {
  await writeBallast(directory, ({ bavail, bsize }) => bavail * bsize - bytes);
}

/** The same, until all else that lies on the disk, now or later, has no more than so many bytes. */
export async function leaveInAll(directory: string, bytes: number): Promise<void> {
  await writeBallast(directory, ({ blocks, bavail, bsize }) =>
    Math.min(blocks * bsize - bytes, bavail * bsize),
  );
}

async function writeBallast(directory: string, size: (disk: StatsFs) => number): Promise<void> {
  // Others write meanwhile, so what was free a moment ago may not be any more.
  await eventually("a disk that is filled", async () => {
    const bytes = String(Math.max(1, Math.floor(size(await statfs(directory)))));
    return await run("fallocate", ["-l", bytes, join(directory, "ballast")]).then(
      () => true,
      () => null,
    );
  });
}
