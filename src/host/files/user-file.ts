import { constants, createWriteStream, open as openCallback } from "node:fs";
import { lstat, open, readlink, realpath, rename, stat, unlink, type FileHandle } from "node:fs/promises";
import { Socket } from "node:net";
import { dirname, join, resolve } from "node:path";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { IoError } from "../../errors/index.ts";
import { syncPath } from "./atomic-file.ts";
import { errorCode, ioError } from "../system-error.ts";

export interface UserFileOptions {
  /** Of a file that is not there yet, before the umask; what is there keeps its own. 0o644 when not given. */
  readonly mode?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Status = Awaited<ReturnType<typeof stat>>;

/** MAXSYMLINKS of Linux. */
const maximumLinks = 40;
/** How often a pipe without a reader is looked at; there is no event for it. In milliseconds. */
const readerMs = 50;

/**
 * Writes the file at a path that a user gave, whatever stands there.
 *
 * - Links are followed, also one that leads to a file that is not there yet.
 * - A regular file keeps its content until the new one is complete, and its owner and mode: it is written aside and renamed.
 *   Only where it cannot be replaced (its directory is not writable, it belongs to somebody else, it is a mount) it is
 *   written in place.
 * - A pipe is waited for until it has a reader; pipes and devices are written through, and `/dev/stdout`, `/dev/fd/3` and
 *   the like are the descriptors of this process, at the place where they stand.
 *
 * @param content all of it, or what makes a stream of it: called again when only renaming shows that the file cannot be
 *   replaced
 * @throws IoError; what the stream fails with, if it is an error of ours; the signal's reason. A regular file that could be
 *   replaced is what it was before then, and nothing is left beside it.
 * @example
 * ```ts
 * await writeUserFile("report.json", "{}\n");
 * ```
 */
export async function writeUserFile(
  path: string,
  content: string | Uint8Array | (() => Readable),
  options: UserFileOptions = {},
): Promise<void> {
  const { mode = 0o644, signal } = options;
  const source = typeof content === "function" ? content : () => Readable.from([Buffer.from(content)]);
  try {
    const place = await locate(path);
    if ("descriptor" in place) await writeDescriptor(place.descriptor, source, signal);
    else if (place.status === null) await replace(place.path, null, mode, source, signal);
    else if (place.status.isFile()) await writeRegular(place.path, place.status, source, signal);
    else if (place.status.isFIFO()) await copy(source, await openPipe(place.path, signal), signal);
    else if (place.status.isDirectory())
      throw new IoError(`cannot write ${path}: it is a directory`, { hint: "Name a file in it." });
    else await writeThrough(place.path, constants.O_WRONLY, source, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw ioError(`write ${path}`, error, "userFile");
  }
}

type Place =
  | { readonly descriptor: number }
  /** Null: there is nothing yet. */
  | { readonly path: string; readonly status: Status | null };

/** Follows the links at the end of a path one by one: realpath(3) knows neither files to come nor pipes without a name. */
async function locate(path: string): Promise<Place> {
  let current = resolve(path);
  for (let links = 0; links < maximumLinks; links++) {
    const own = /^(?:\/dev\/fd|\/proc\/(?:self|thread-self|(\d+))\/fd)\/(\d+)$/.exec(current);
    if (own !== null && (own[1] === undefined || Number(own[1]) === process.pid))
      return { descriptor: Number(own[2]) };
    const found = await lstat(current).catch((error: unknown) => {
      if (errorCode(error) === "ENOENT") return null;
      throw error;
    });
    if (found?.isSymbolicLink() !== true) return { path: current, status: found };
    const target = await readlink(current);
    // Not normalized: a .. behind a link to a directory leads to where that is.
    current = target.startsWith("/") ? target : `${await realpath(dirname(current))}/${target}`;
  }
  throw Object.assign(new Error("too many symbolic links"), { code: "ELOOP" });
}

async function writeRegular(
  path: string,
  status: Status,
  source: () => Readable,
  signal: AbortSignal | undefined,
): Promise<void> {
  // A file that is mounted over another one cannot be renamed over. One of the same file system shows only then.
  const isMount = (await stat(dirname(path))).dev !== status.dev;
  if (!isMount && (await replace(path, status, Number(status.mode), source, signal))) return;
  await writeThrough(path, constants.O_WRONLY | constants.O_TRUNC, source, signal);
}

/**
 * Writes aside and renames.
 *
 * @param earlier the file that is there
 * @returns false, and nothing has happened, when that file cannot be replaced by one of the same owner
 */
async function replace(
  path: string,
  earlier: Status | null,
  mode: number,
  source: () => Readable,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const aside = join(dirname(path), `.msb-${Math.random().toString(36).slice(2)}.tmp`);
  let file: FileHandle;
  try {
    file = await open(aside, "wx", earlier === null ? mode : 0o600);
  } catch (error) {
    if (earlier !== null && isOneOf(error, "EACCES", "EPERM")) return false;
    throw error;
  }
  try {
    try {
      if (earlier !== null && !(await takeOwner(file, earlier))) {
        await unlink(aside);
        return false;
      }
      await file.writeFile(source(), { signal });
      // Last: writing takes set-user-ID bits away.
      if (earlier !== null) await file.chmod(mode & 0o7777);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await unlink(aside).catch(() => undefined);
    throw error;
  }
  try {
    await rename(aside, path);
  } catch (error) {
    await unlink(aside).catch(() => undefined);
    if (earlier !== null && isOneOf(error, "EBUSY", "EXDEV")) return false;
    throw error;
  }
  await syncIfPossible(dirname(path));
  return true;
}

/** As far as it can be done: the file is written already. */
async function syncIfPossible(path: string): Promise<void> {
  try {
    await syncPath(path);
  } catch (error) {
    // A directory that only its names may be used of, and file systems of a network that know nothing of this.
    if (!isOneOf(error, "EACCES", "EPERM", "EINVAL")) throw error;
  }
}

function isOneOf(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(errorCode(error) ?? "");
}

async function takeOwner(file: FileHandle, { uid, gid }: Status): Promise<boolean> {
  const own = await file.stat();
  if (own.uid === uid && own.gid === gid) return true;
  try {
    await file.chown(Number(uid), Number(gid));
    return true;
  } catch (error) {
    if (errorCode(error) === "EPERM") return false;
    throw error;
  }
}

async function writeThrough(
  path: string,
  flags: number,
  source: () => Readable,
  signal: AbortSignal | undefined,
): Promise<void> {
  await using file = await open(path, flags);
  await file.writeFile(source(), { signal });
}

/** A descriptor that this process was given stays open, and where it stands is where the next bytes go. */
async function writeDescriptor(
  descriptor: number,
  source: () => Readable,
  signal: AbortSignal | undefined,
): Promise<void> {
  // Node's own streams: they may have made the descriptor one that does not block.
  const standard = descriptor === 1 ? process.stdout : descriptor === 2 ? process.stderr : null;
  const target = standard ?? createWriteStream("", { fd: descriptor, autoClose: false });
  await copy(source, target, signal);
}

/** Waits for a reader as open(2) does, but without holding up the process, and can be called off. */
async function openPipe(path: string, signal: AbortSignal | undefined): Promise<Writable> {
  for (;;) {
    try {
      const fd = await promisify(openCallback)(path, constants.O_WRONLY | constants.O_NONBLOCK);
      return new Socket({ fd, readable: false, writable: true });
    } catch (error) {
      if (errorCode(error) !== "ENXIO") throw error;
    }
    await sleep(readerMs, undefined, signal === undefined ? {} : { signal });
  }
}

async function copy(
  source: () => Readable,
  target: Writable,
  signal: AbortSignal | undefined,
): Promise<void> {
  await pipeline(source(), target, signal === undefined ? {} : { signal });
}
