import { constants } from "node:fs";
import { lchown, lutimes, open, symlink, unlink, type FileHandle } from "node:fs/promises";
import { errorCode, systemMessage } from "../system-error.ts";
import type { HeldDirectory } from "../contained/held-directory.ts";
import { partialName } from "./partial-names.ts";
import type { TreeEntry } from "./tree.ts";

/** How entries are written. */
export interface WriteStyle {
  /** Give each entry the owner that it has in the tree. For root alone. */
  readonly owners: boolean;
}

/** Not the setuid, setgid and sticky bits: whoever sends a tree is not to say what runs here with whose rights. */
const keptMode = 0o777;

/** The mode, owner or time of something that is written otherwise could not be kept. */
export class AttributesError extends Error {}

/** A new file, whatever stands there already. */
const newFile = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export interface AsideFile {
  readonly handle: FileHandle;
  /** For as long as the directory is held. */
  readonly path: Buffer;
}

/** Opens a new file beside its place. @throws the system's error */
export async function openAside(directory: HeldDirectory): Promise<AsideFile> {
  const path = directory.at(await partialName());
  return { handle: await open(path, newFile, 0o600), path };
}

/** Makes a link beside its place. @returns its path. @throws the system's error */
export async function linkAside(
  directory: HeldDirectory,
  entry: TreeEntry,
  style: WriteStyle,
): Promise<Buffer> {
  const path = directory.at(await partialName());
  await symlink(Buffer.from(entry.target), path);
  try {
    if (style.owners) await lchown(path, entry.uid, entry.gid);
    const mtime = time(entry.mtimeNs);
    await lutimes(path, mtime, mtime);
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw error;
  }
  return path;
}

/** Gives an open file or directory the owner, mode and time of its entry. @throws AttributesError */
export async function setAttributes(handle: FileHandle, entry: TreeEntry, style: WriteStyle): Promise<void> {
  const mtime = time(entry.mtimeNs);
  try {
    // The other way round, the change of owner would take the setuid bit away.
    if (style.owners) await handle.chown(entry.uid, entry.gid);
    await handle.chmod(entry.mode & keptMode);
    await handle.utimes(mtime, mtime);
  } catch (error) {
    if (endsAll(error)) throw error;
    throw new AttributesError(`its mode, owner or time: ${messageOf(error)}`, { cause: error });
  }
}

/** Whether nothing more can be written after this error, whatever comes. */
export function endsAll(error: unknown): boolean {
  return fatalCodes.has(errorCode(error) ?? "");
}

const fatalCodes: ReadonlySet<string> = new Set(
  "ENOSPC EDQUOT EIO EROFS EMFILE ENFILE ENOMEM ESTALE".split(" "),
);

/** The system's words, without the call and the path, which is one of a descriptor. */
export function messageOf(error: unknown): string {
  const text = systemMessage(error);
  return errorCode(error) === undefined ? text : text.replace(/, [a-z]+( '.*)?$/su, "");
}

/**
 * Node takes times as seconds with a fraction, right to a quarter of a microsecond. A number below 0 it takes for now; a Date, right to
 * the millisecond, it does not. What no file system can have is cut.
 */
function time(ns: bigint): number | Date {
  if (ns < 0n) return new Date(Math.max(-(2 ** 33) * 1000, Number(ns) / 1e6));
  return Math.min(2 ** 34, Number(ns) / 1e9);
}
