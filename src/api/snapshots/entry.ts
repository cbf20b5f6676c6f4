import { resolve } from "node:path";
import { checkList } from "../../config/checks.ts";
import { checkString } from "../../config/guest-text.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome } from "../../store/home.ts";
import type { FoundSnapshot } from "../../store/snapshots/snapshots.ts";
import { withStatics } from "../with-statics.ts";
import { loadFrom } from "./load-from.ts";
import { saveTo, type ExportOpts, type SaveOpts } from "./save-to.ts";
import { SnapshotBuilder } from "./snapshot-builder.ts";
import { openSnapshot, removeNamed, SnapshotHandle, type SnapshotRemoveOptions } from "./snapshot-handle.ts";
import { Snapshot as SnapshotObject } from "./snapshot.ts";

/** The ways to get a snapshot. They are apart from its class because they need what makes snapshots, which needs the class. */
const statics = {
  /**
   * Begins a new snapshot.
   *
   * @param subject the name of the snapshot when `fromSandbox()` is called, else that of the sandbox
   */
  builder(subject?: string): SnapshotBuilder {
    return new SnapshotBuilder(subject);
  },

  /**
   * Everything that a snapshot says of itself, wherever it lies. Its disk is there and as long as it should be; it is not read.
   *
   * @param pathOrName a path has a slash; a digest or an id finds one of the home, `group:name` the one of that group, and the name of a
   *   group its newest, where no snapshot has that name
   * @throws SnapshotNotFoundError; JsonError when it is damaged, SnapshotIntegrityError when its disk is missing or of another size;
   *   UnsupportedOperationError when another version made it; InvalidConfigError for a name that none can have; IoError
   */
  async open(pathOrName: string, options: WaitOptions = {}): Promise<SnapshotObject> {
    return await openSnapshot(checkReference(pathOrName), options);
  },

  /** The same as a handle. @throws as {@link open} */
  async get(nameOrDigestOrPath: string, options: WaitOptions = {}): Promise<SnapshotHandle> {
    const { findSnapshot, nameIn } = await import("../../store/snapshots/snapshots.ts");
    const home = locateHome();
    const reference = checkReference(nameOrDigestOrPath);
    return await Operation.run(`find snapshot ${reference}`, options, async (operation) => {
      const found = await operation.wait(findSnapshot(home, reference));
      return new SnapshotHandle(found, nameIn(home, found.directory));
    });
  },

  /**
   * The newest snapshot of a group, which is what the group's name means wherever a snapshot is asked for that has no such name itself; except
   * by `remove()`, which takes none by its group.
   *
   * @throws SnapshotNotFoundError when there is none; InvalidConfigError for a name that no group can have; IoError
   */
  async groupHead(group: string, options: WaitOptions = {}): Promise<SnapshotHandle> {
    const { findGroupHead, nameIn } = await import("../../store/snapshots/snapshots.ts");
    const home = locateHome();
    const name = checkString("the group of snapshots", group);
    return await Operation.run(`find the head of ${name}`, options, async (operation) => {
      const found = await operation.wait(findGroupHead(home, name));
      return new SnapshotHandle(found, nameIn(home, found.directory));
    });
  },

  /** The snapshots of the home, newest first. What cannot be read is passed over. */
  async list(options: WaitOptions = {}): Promise<SnapshotHandle[]> {
    const { nameIn } = await import("../../store/snapshots/snapshots.ts");
    const home = locateHome();
    const found = await listIn(home.snapshots, options);
    return found.map((each) => new SnapshotHandle(each, nameIn(home, each.directory)));
  },

  /** The snapshots in any directory, newest first. What is none is passed over. */
  async listDir(directory: string, options: WaitOptions = {}): Promise<SnapshotObject[]> {
    const path = resolve(checkString("the directory", directory));
    return (await listIn(path, options)).map((each) => new SnapshotObject(each));
  },

  /**
   * Removes a snapshot. Sandboxes and snapshots that were made from it have disks of their own, and stay.
   *
   * @param pathOrName or its digest
   * @throws SnapshotNotFoundError; CustomError when it is the parent of another one of the home, unless `force` is set; IoError
   */
  async remove(pathOrName: string, options: SnapshotRemoveOptions & WaitOptions = {}): Promise<void> {
    await removeNamed(checkReference(pathOrName), options, null);
  },

  /**
   * How many snapshots there are in a directory, by default the home's. There is no index that could be out of date: this clears away
   * what was left in the home by processes that were killed.
   */
  async reindex(directory?: string, options: WaitOptions = {}): Promise<number> {
    const { sweepSnapshots } = await import("../../store/snapshots/staging.ts");
    const { snapshots } = locateHome();
    const path = directory === undefined ? snapshots : resolve(checkString("the directory", directory));
    await sweepSnapshots(snapshots);
    return (await listIn(path, options)).length;
  },

  /**
   * Writes a snapshot to one file, with a digest of its disk, which `import` compares: a tar archive, compressed with zstd.
   *
   * @param output the archive, which appears when it is complete
   * @throws as {@link save}
   */
  async export(nameOrPath: string, output: string, options: ExportOpts & WaitOptions = {}): Promise<void> {
    await saveTo(nameOrPath, output, true, options);
  },

  /**
   * The same without looking at the disk's content first: nothing is hashed.
   *
   * @throws SnapshotNotFoundError, also with `withParents` for a parent that is not here; SnapshotIntegrityError for a disk that is not
   *   what was recorded; ImageNotFoundError with `withImage` when it is not stored; what {@link open} throws; IoError
   */
  async save(nameOrPath: string, output: string, options: SaveOpts & WaitOptions = {}): Promise<void> {
    await saveTo(nameOrPath, output, false, options);
  },

  /**
   * Takes a snapshot in from an archive, with its parents and its image if they are there. Its disk is compared with the digest that
   * was written with it, or recorded when it was made.
   *
   * @param destination the directory in which its own is made, by its name; by default that of the home's snapshots
   * @throws as {@link load}
   */
  async import(archive: string, destination?: string, options: WaitOptions = {}): Promise<SnapshotHandle> {
    return await loadFrom(archive, destination, true, options);
  },

  /**
   * The same without hashing the disk: only what the archive says of itself is checked.
   *
   * @throws SnapshotIntegrityError when the archive is damaged or none; SnapshotAlreadyExistsError when a name is taken: nothing is
   *   replaced; UnsupportedOperationError when another version made it; ImageError for its image; IoError. No snapshot is left then
   */
  async load(archive: string, destination?: string, options: WaitOptions = {}): Promise<SnapshotHandle> {
    return await loadFrom(archive, destination, false, options);
  },

  /**
   * Takes in several archives, one after the other.
   *
   * @returns the snapshots that were asked for when these were saved, in their order
   * @throws InvalidConfigError; as {@link load}, for the first that cannot be taken in: those before it are there then
   */
  async loadMany(
    archives: readonly string[],
    destination?: string,
    options: WaitOptions = {},
  ): Promise<SnapshotHandle[]> {
    checkList("the archives", archives);
    for (const archive of archives) checkString("the archive's path", archive);
    return await Operation.run("load snapshots", options, async ({ signal }) => {
      const handles: SnapshotHandle[] = [];
      for (const archive of archives) handles.push(await loadFrom(archive, destination, false, { signal }));
      return handles;
    });
  },
};

function checkReference(reference: unknown): string {
  return checkString("the snapshot", reference);
}

async function listIn(directory: string, options: WaitOptions): Promise<FoundSnapshot[]> {
  const { listSnapshots } = await import("../../store/snapshots/snapshots.ts");
  return await Operation.run("list the snapshots", options, async (operation) =>
    operation.wait(listSnapshots(directory)),
  );
}

/**
 * Captured disks of sandboxes: from each any number of new sandboxes can be made. They outlive the sandbox.
 *
 * @example
 * ```ts
 * import { Snapshot } from "microsandbox";
 *
 * for (const { name, imageRef, createdAt } of await Snapshot.list()) console.log(name, imageRef, createdAt);
 * ```
 */
export const Snapshot: typeof SnapshotObject & typeof statics = withStatics(SnapshotObject, statics);
export type Snapshot = SnapshotObject;
