import {
  CustomError,
  JsonError,
  SnapshotIntegrityError,
  UnsupportedOperationError,
} from "../../errors/index.ts";
import { ioError } from "../../host/system-error.ts";
import type { Home } from "../home.ts";
import { readDescriptor } from "./descriptor.ts";
import { setAside, sweepSnapshots } from "./staging.ts";
import { findExact, listSnapshots, nameIn, replacedSnapshot, snapshotDirectory } from "./snapshots.ts";

/**
 * Removes a snapshot. Sandboxes and snapshots that were made from it have disks of their own.
 *
 * @param force also when it is the parent of others of this home, and one of this home whose description cannot be read
 * @param expectedDigest of the one that is meant; null: whichever is there
 * @throws SnapshotNotFoundError; CustomError when it has children; JsonError, IoError
 */
export async function removeSnapshot(
  home: Home,
  reference: string,
  force: boolean,
  expectedDigest: string | null,
): Promise<void> {
  const { directory, digest } = await findRemovable(home, reference, force);
  if (expectedDigest !== null && digest !== expectedDigest) throw replacedSnapshot(directory);
  const child = (await listSnapshots(home.snapshots)).find(({ descriptor }) => descriptor.parent === digest);
  if (digest !== null && child !== undefined && !force) {
    const name = nameIn(home, child.directory) ?? child.directory;
    throw new CustomError(`the snapshot ${directory} is the parent of the snapshot ${name}`, {
      hint: "Remove that one first, or remove this one with force: the other one stays usable.",
    });
  }
  try {
    await setAside(directory, directory);
  } catch (error) {
    throw ioError(`remove the snapshot ${directory}`, error);
  }
  await sweepSnapshots(home.snapshots);
}

interface Removable {
  readonly directory: string;
  /** Null when nobody can tell. */
  readonly digest: string | null;
}

/** The newest of a group is not meant by the group's name. One that is damaged can be removed too; elsewhere than in the home only if it says that it is a snapshot. */
async function findRemovable(home: Home, reference: string, force: boolean): Promise<Removable> {
  try {
    return await findExact(home, reference);
  } catch (error) {
    const isDamaged = [JsonError, SnapshotIntegrityError, UnsupportedOperationError].some(
      (type) => error instanceof type,
    );
    if (!isDamaged) throw error;
    const directory = snapshotDirectory(home, reference);
    const read = await readDescriptor(directory).catch(() => null);
    if (read !== null) return { directory, digest: read.digest };
    if (force && nameIn(home, directory) !== null) return { directory, digest: null };
    throw error;
  }
}
