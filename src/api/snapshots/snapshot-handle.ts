import { checkFlag } from "../../config/checks.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome } from "../../store/home.ts";
import type { SnapshotStorageUsage } from "../storage/storage-types.ts";
import { groupOf } from "../../store/snapshots/descriptor.ts";
import type { FoundSnapshot } from "../../store/snapshots/snapshots.ts";
import { Snapshot, type SnapshotScope } from "./snapshot.ts";

export interface SnapshotRemoveOptions {
  /** Also when it is the parent of other snapshots, which stay usable; and one of the home that cannot be read. */
  readonly force?: boolean;
}

/** What is known about a snapshot, as it was when the handle was made. */
export class SnapshotHandle {
  readonly digest: string;
  /** Those that it is one of: those of its sandbox, unless another one was said. Null when it does not say. */
  readonly group: string | null;
  /** Null for one that does not lie among the snapshots of this user's home. */
  readonly name: string | null;
  readonly parentDigest: string | null;
  readonly imageRef: string;
  readonly format: "raw" | "qcow2";
  readonly fstype: string;
  readonly sizeBytes: bigint | null;
  readonly createdAt: Date;
  /** Its directory: absolute. */
  readonly path: string;
  readonly scope: SnapshotScope;
  readonly stateKind: "file" | "checkpoint";
  /** Those of other systems have one. */
  readonly checkpointManifestDigest: string | null = null;
  /** Where it lies: on this computer. */
  readonly locality = "local" as const;
  readonly availability = "available" as const;
  /** Only those of older versions have to be brought to the present form, and there are none. */
  readonly migrationState = "current" as const;
  readonly migrationErrorCode: string | null = null;

  /** @internal */
  constructor(found: FoundSnapshot, name: string | null) {
    const { descriptor, directory, digest } = found;
    this.digest = digest;
    this.group = groupOf(descriptor);
    this.name = name;
    this.parentDigest = descriptor.parent;
    this.imageRef = descriptor.image.ref;
    this.format = descriptor.state.format;
    this.fstype = descriptor.state.fstype;
    this.sizeBytes = BigInt(descriptor.state.upper.size_bytes);
    this.createdAt = new Date(descriptor.created_at);
    this.path = directory;
    this.scope = descriptor.scope;
    this.stateKind = descriptor.state.kind;
  }

  /** Everything that the snapshot says of itself. @throws as `Snapshot.open` */
  async open(options: WaitOptions = {}): Promise<Snapshot> {
    return await openSnapshot(this.path, options);
  }

  /** What it takes on the host's disk, as `Snapshot.storageUsage`. @throws SnapshotNotFoundError when it is gone, or another one is in its place by now; IoError */
  async storageUsage(options: WaitOptions = {}): Promise<SnapshotStorageUsage> {
    const { replacedSnapshot } = await import("../../store/snapshots/snapshots.ts");
    return await Operation.run(`look at snapshot ${this.path}`, options, async ({ signal }) => {
      const snapshot = await this.open({ signal });
      if (snapshot.digest !== this.digest) throw replacedSnapshot(this.path);
      return await snapshot.storageUsage({ signal });
    });
  }

  /** Removes the snapshot. @throws as `Snapshot.remove`; SnapshotNotFoundError also when another one is in its place by now */
  async remove(options: SnapshotRemoveOptions & WaitOptions = {}): Promise<void> {
    await removeNamed(this.path, options, this.digest);
  }
}

/** @throws SnapshotNotFoundError and the like */
export async function openSnapshot(reference: string, options: WaitOptions): Promise<Snapshot> {
  const { findSnapshot } = await import("../../store/snapshots/snapshots.ts");
  return await Operation.run(`open snapshot ${reference}`, options, async (operation) =>
    operation.wait(findSnapshot(locateHome(), reference).then((found) => new Snapshot(found))),
  );
}

/** @param digest of the one that is meant; null: whichever is there */
export async function removeNamed(
  reference: string,
  options: SnapshotRemoveOptions & WaitOptions,
  digest: string | null,
): Promise<void> {
  const { removeSnapshot } = await import("../../store/snapshots/remove-snapshot.ts");
  const work = async (): Promise<void> => {
    await removeSnapshot(locateHome(), reference, checkFlag("force", options.force ?? false), digest);
  };
  await Operation.run(`remove snapshot ${reference}`, options, work, { force: "boolean" });
}
