import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, constants, copyFile, lstat, open, rm } from "node:fs/promises";
import { promisify } from "node:util";
import { readChunk } from "./read-chunk.ts";
import { errorCode, ioError } from "../system-error.ts";

const chunkBytes = 1024 * 1024;
/** Zeros are left out in units of this many bytes: the block size of most file systems, and the page size of most guests. */
const blockBytes = 4096;

/**
 * Copies a sparse file and keeps it sparse: what is zero takes no room in the copy. A file system that can share blocks
 * between files (Btrfs, XFS, APFS) copies nothing at all.
 *
 * @param target mode 0600; must not exist, in a directory that nobody else writes
 * @throws IoError, or the reason of the signal; nothing is left at `target` then, unless it was there before
 */
export async function copySparse(source: string, target: string, signal?: AbortSignal): Promise<void> {
  await copyWith(() => copyWithCp(source, target, signal), source, target, signal);
}

/** A copy that is about to be made. */
export interface ReadyCopy extends Disposable {
  /** @throws as {@link copySparse} */
  begin(): Promise<void>;
}

/**
 * As {@link copySparse}, later, and without the time that it takes to start a process: for this one's memory is copied for that, and it
 * is slower for a while.
 */
export async function readyToCopy(source: string, target: string): Promise<ReadyCopy> {
  const waiting = ["-c", 'read -r _ && exec cp "$@"', "sh", ...cpArguments(source, target)];
  const child = spawn("sh", waiting, { stdio: ["pipe", "ignore", "ignore"] });
  // One that could not be started has not copied anything.
  const ended = once(child, "close").then(
    ([code]) => code === 0,
    () => false,
  );
  child.stdin.on("error", () => undefined);
  await Promise.race([once(child, "spawn"), ended]).catch(() => undefined);
  const tell = async (): Promise<boolean> => {
    child.stdin.end("\n");
    return await ended;
  };
  return {
    begin: () => copyWith(tell, source, target),
    [Symbol.dispose]: () => child.stdin.destroy(),
  };
}

/** @param cp resolves with whether it could */
async function copyWith(
  cp: () => Promise<boolean>,
  source: string,
  target: string,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  try {
    if (await shareBlocks(source, target)) return;
    await refuseExisting(target);
  } catch (error) {
    throw ioError(`copy ${source} to ${target}`, error);
  }
  try {
    if (process.platform !== "linux" || !(await cp())) {
      await rm(target, { force: true });
      await copySparseByBlocks(source, target, signal);
    }
    await chmod(target, 0o600);
  } catch (error) {
    await rm(target, { force: true }).catch(() => undefined);
    signal?.throwIfAborted();
    throw ioError(`copy ${source} to ${target}`, error);
  }
}

/** @returns false when the file system cannot; throws when no other way would do better */
async function shareBlocks(source: string, target: string): Promise<boolean> {
  try {
    await copyFile(source, target, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "EEXIST" || code === "EACCES") throw error;
    return false;
  }
  await chmod(target, 0o600);
  return true;
}

/**
 * Whether the file system of a file lets another one share its blocks.
 *
 * @param probe where the other one is made, and removed again
 * @throws what the system reports of a file that cannot be read, or is there already
 */
export async function canShareBlocks(source: string, probe: string): Promise<boolean> {
  const areShared = await shareBlocks(source, probe);
  await rm(probe, { force: true });
  return areShared;
}

/**
 * The target is not made here: ext4 writes out a file that is cut to nothing and filled again as soon as it is closed, and
 * that takes `cp` half as long again.
 */
async function refuseExisting(target: string): Promise<void> {
  const found = await lstat(target).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  });
  if (found !== null) throw new Error("the target exists");
}

/**
 * Node knows no SEEK_DATA and would read every hole. coreutils' `cp` does not, and takes a half to a quarter of the time of
 * the loop below: 60 ms for 512 MiB with 100 MB of data in 2000 pieces.
 *
 * @returns whether it could. Why not is found out by doing the same by hand.
 */
async function copyWithCp(source: string, target: string, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await promisify(execFile)("cp", cpArguments(source, target), { signal });
    return true;
  } catch {
    signal?.throwIfAborted();
    return false;
  }
}

function cpArguments(source: string, target: string): string[] {
  return ["--sparse=always", "--reflink=never", "--no-target-directory", "--", source, target];
}

/** The same anywhere: reads everything, writes what is not zero. */
export async function copySparseByBlocks(
  source: string,
  target: string,
  signal?: AbortSignal,
): Promise<void> {
  await using input = await open(source, "r");
  await using output = await open(target, "wx", 0o600);
  const { size } = await input.stat();
  await output.truncate(size);
  const zeros = Buffer.alloc(chunkBytes);
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (let start = 0; start < size; start += chunkBytes) {
    signal?.throwIfAborted();
    const length = await readChunk(input, chunk, start);
    for (const [from, to] of dataIn(chunk.subarray(0, length), zeros)) {
      for (let at = from; at < to;) {
        at += (await output.write(chunk, at, to - at, start + at)).bytesWritten;
      }
    }
  }
}

/** The runs of blocks that are not zero. */
function* dataIn(chunk: Buffer, zeros: Buffer): Generator<readonly [from: number, to: number]> {
  if (chunk.compare(zeros, 0, chunk.length) === 0) return;
  let from = -1;
  for (let at = 0; at < chunk.length; at += blockBytes) {
    const end = Math.min(at + blockBytes, chunk.length);
    const isZero = chunk.compare(zeros, 0, end - at, at, end) === 0;
    if (!isZero && from < 0) from = at;
    else if (isZero && from >= 0) {
      yield [from, at];
      from = -1;
    }
  }
  if (from >= 0) yield [from, chunk.length];
}
