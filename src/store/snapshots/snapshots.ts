/**
 * Snapshots of sandboxes' disks. A snapshot is a directory with `snapshot.json` (`descriptor.ts`) and the disk; there is no index, and
 * one that was copied from elsewhere is as good as one that was made here. `create-snapshot.ts` makes them, `staging.ts` is why
 * nobody sees a half one, `remove-snapshot.ts` removes them.
 */
import { lstat, readdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { checkSnapshotGroup, checkSnapshotName } from "../../config/sandbox-name.ts";
import { checkString } from "../../config/guest-text.ts";
import { SnapshotIntegrityError, SnapshotNotFoundError } from "../../errors/index.ts";
import { copySparse } from "../../host/files/copy-sparse.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import type { Home } from "../home.ts";
import { groupOf, readDescriptor, type ReadDescriptor } from "./descriptor.ts";
import { devicesName, memoryName } from "./memory-part.ts";

/** A snapshot as found on disk. */
export interface FoundSnapshot extends ReadDescriptor {
  /** Absolute. */
  readonly directory: string;
  /** Path of its disk. */
  readonly upper: string;
  /** Paths of what else one with memory has; null: it has none. */
  readonly guest: { readonly memory: string; readonly devices: string } | null;
}

const digestPattern = /^sha256:[0-9a-f]{64}$/;

/** The name of a snapshot of this home; null for one that lies elsewhere. */
export function nameIn(home: Home, directory: string): string | null {
  return dirname(directory) === home.snapshots ? basename(directory) : null;
}

/**
 * Where a snapshot is that was named, or whose path was given: a path has a slash, or is `.` or `..`.
 *
 * @throws InvalidConfigError for what is neither
 */
export function snapshotDirectory(home: Home, pathOrName: string): string {
  checkString("the snapshot", pathOrName);
  if (pathOrName.includes("/") || pathOrName === "." || pathOrName === "..") return resolve(pathOrName);
  checkSnapshotName(pathOrName);
  return join(home.snapshots, pathOrName);
}

/**
 * Finds a snapshot by its name, its path, or the digest of one of this home; else by its id, by its group and its name (`group:name`), or
 * the newest of the group that has this name.
 *
 * @throws SnapshotNotFoundError; JsonError, UnsupportedOperationError, SnapshotIntegrityError, IoError as {@link readSnapshot}
 */
export async function findSnapshot(home: Home, reference: string): Promise<FoundSnapshot> {
  const member = /^([^/:]+):([^/:]+)$/.exec(reference);
  if (member !== null && !digestPattern.test(reference)) {
    const [, group, name] = member;
    checkSnapshotGroup(group);
    const found = await findExact(home, name ?? "");
    if (groupOf(found.descriptor) === group) return found;
    throw snapshotNotFound(
      `named ${found.directory} in the group ${group}: it is in ${groupOf(found.descriptor) ?? "none"}`,
    );
  }
  try {
    return await findExact(home, reference);
  } catch (error) {
    if (!(error instanceof SnapshotNotFoundError) || reference.includes("/") || digestPattern.test(reference))
      throw error;
    const all = await listSnapshots(home.snapshots);
    const found = all.find(({ descriptor }) => descriptor.id === reference) ?? headOf(all, reference);
    if (found === undefined) throw error;
    return found;
  }
}

/** The newest of a group. @throws SnapshotNotFoundError; InvalidConfigError for a name that no group can have; IoError */
export async function findGroupHead(home: Home, group: string): Promise<FoundSnapshot> {
  checkSnapshotGroup(group);
  const head = headOf(await listSnapshots(home.snapshots), group);
  if (head === undefined) throw snapshotNotFound(`in the group ${group}`);
  return head;
}

/** @param snapshots newest first */
function headOf(snapshots: readonly FoundSnapshot[], group: string): FoundSnapshot | undefined {
  return snapshots.find(({ descriptor }) => groupOf(descriptor) === group);
}

/** Finds the snapshot that has this name, path or digest itself. @throws as {@link findSnapshot} */
export async function findExact(home: Home, reference: string): Promise<FoundSnapshot> {
  if (typeof reference === "string" && digestPattern.test(reference)) {
    const found = (await listSnapshots(home.snapshots)).find(({ digest }) => digest === reference);
    if (found !== undefined) return found;
    throw snapshotNotFound(`with the digest ${reference}`);
  }
  const directory = snapshotDirectory(home, reference);
  const found = await readSnapshot(directory);
  if (found !== null) return found;
  const name = nameIn(home, directory);
  throw snapshotNotFound(name === null ? `at ${directory}` : `named ${name}`);
}

/** The one that was meant is not there any more. */
export function replacedSnapshot(directory: string): SnapshotNotFoundError {
  return new SnapshotNotFoundError(`the snapshot ${directory} was removed, and another one is in its place`, {
    hint: "Get it anew: Snapshot.get(name).",
  });
}

function snapshotNotFound(which: string): SnapshotNotFoundError {
  return new SnapshotNotFoundError(`there is no snapshot ${which}`, {
    hint: 'See "msb snapshot ls" for the ones there are.',
  });
}

/**
 * Reads what a snapshot says, and looks whether its files are there and as long as they should be. Their content is not read.
 *
 * @returns null when there is none
 * @throws JsonError when it is damaged; UnsupportedOperationError when another version made it; SnapshotIntegrityError for its files; IoError
 */
export async function readSnapshot(directory: string): Promise<FoundSnapshot | null> {
  const read = await readDescriptor(directory);
  if (read === null) return null;
  const { state, memory } = read.descriptor;
  const upper = await requireFile(directory, "disk", state.upper.file, state.upper.size_bytes);
  if (memory === null) return { ...read, directory, upper, guest: null };
  const guest = {
    memory: await requireFile(directory, "memory", memoryName, memory.memory.size_bytes),
    devices: await requireFile(directory, "state of devices", devicesName, memory.devices.size_bytes),
  };
  return { ...read, directory, upper, guest };
}

/** @returns its path */
async function requireFile(directory: string, what: string, file: string, size: number): Promise<string> {
  const path = join(directory, file);
  // A link would lead out of the snapshot, to what the guest then could read.
  const found = await lstat(path).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return null;
    throw ioError(`look at ${path}`, error);
  });
  const wrong = (why: string): SnapshotIntegrityError =>
    new SnapshotIntegrityError(`the snapshot ${directory} is damaged: its ${what} ${why}`, {
      hint: "Copy it again from where it came, or remove it.",
    });
  const name = file === what ? "" : `${file} `;
  if (found === null) throw wrong(`${name}is missing`);
  if (!found.isFile()) throw wrong(`${name}is no regular file`);
  if (found.size !== size) throw wrong(`${name}has ${found.size} bytes instead of ${size}`);
  return path;
}

/** The snapshots in a directory, newest first. What is none, or cannot be read, is passed over. @throws IoError */
export async function listSnapshots(directory: string): Promise<FoundSnapshot[]> {
  const found: FoundSnapshot[] = [];
  for (const name of await snapshotNames(directory)) {
    const snapshot = await readSnapshot(join(directory, name)).catch(() => null);
    if (snapshot !== null) found.push(snapshot);
  }
  return found.sort((a, b) => {
    const [older, newer] = [a.descriptor.created_at, b.descriptor.created_at];
    if (older !== newer) return older < newer ? 1 : -1;
    return a.directory < b.directory ? -1 : 1;
  });
}

/** The names of what may be snapshots in a directory, in order. @throws IoError */
export async function snapshotNames(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => !name.startsWith(".")).sort();
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw ioError(`list ${directory}`, error);
  }
}

/**
 * Copies a snapshot's disk. Blocks are shared where the file system can.
 *
 * @param target must not exist
 * @throws as {@link whileThere}, IoError; the signal's reason
 */
export async function copyUpper(
  snapshot: FoundSnapshot,
  target: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await whileThere(snapshot, () => copySparse(snapshot.upper, target, signal));
}

/**
 * Reads files of a snapshot, which may be removed meanwhile.
 *
 * @throws SnapshotNotFoundError when it was removed or replaced meanwhile; SnapshotIntegrityError; what `work` throws
 */
export async function whileThere(snapshot: FoundSnapshot, work: () => Promise<void>): Promise<void> {
  const gone = (): SnapshotNotFoundError =>
    new SnapshotNotFoundError(`the snapshot ${snapshot.directory} was removed or replaced meanwhile`, {
      hint: "Try again.",
    });
  try {
    await work();
  } catch (error) {
    if ((await readSnapshot(snapshot.directory).catch(() => undefined)) === null) throw gone();
    throw error;
  }
  // It is named by its path only: what was read is its own if it is in its place still, for nobody can have put it back.
  if ((await readSnapshot(snapshot.directory))?.digest !== snapshot.digest) throw gone();
}
