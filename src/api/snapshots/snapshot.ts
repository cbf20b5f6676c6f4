import { resolve } from "node:path";
import { checkFlag } from "../../config/checks.ts";
import { checkString } from "../../config/guest-text.ts";
import type { Labels } from "../../config/labels.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome } from "../../store/home.ts";
import { groupOf } from "../../store/snapshots/descriptor.ts";
import type { FoundSnapshot } from "../../store/snapshots/snapshots.ts";
import type { SnapshotStorageUsage } from "../storage/storage-types.ts";
import { saveTo, type SaveOpts } from "./save-to.ts";

/** What of a sandbox a snapshot has: its disk, or, in `full` ones, its memory too, so that others go on where it was. */
export type SnapshotScope = "disk" | "full";

/** The memory of a snapshot, and what host it can be used on. */
export interface SnapshotMemory {
  /** What the guest had; it takes as much of the host's disk as it had used. */
  readonly sizeBytes: bigint;
  readonly cpus: number;
  /** Those that it can be used with. */
  readonly qemuVersion: string;
  readonly accelerator: string;
  /** Of the guest. */
  readonly kernelRelease: string;
  /** The host's, where the guest sees it: under hardware acceleration. Null under software emulation, which has one of its own. */
  readonly processor: string | null;
  /** Variables of the secrets whose values have to be given to go on from it. */
  readonly secrets: readonly string[];
}

/** What a snapshot consists of. */
export type SnapshotState =
  | {
      readonly kind: "file";
      readonly format: "raw" | "qcow2";
      readonly fstype: string;
      readonly upper: {
        /** In the snapshot's directory. */
        readonly file: string;
        readonly sizeBytes: bigint;
        /** Null when nothing was recorded. */
        readonly integrity: { readonly algorithm: string; readonly digest: string } | null;
      };
    }
  | { readonly kind: "checkpoint"; readonly checkpointId: string; readonly manifest: string };

/** What {@link Snapshot.verify} found. */
export interface SnapshotVerifyReport {
  readonly digest: string;
  readonly path: string;
  readonly upper:
    | { readonly kind: "notRecorded" }
    | { readonly kind: "verified"; readonly algorithm: string; readonly digest: string };
}

export interface SnapshotCopyOptions {
  /** Replaces a snapshot that is there already. */
  readonly force?: boolean;
}

/** A captured sandbox, as it says of itself. It does not change. */
export class Snapshot {
  /** Its directory: absolute. */
  readonly path: string;
  /** Its own among all snapshots, in any place: 16 hexadecimal digits. */
  readonly id: string;
  /** `sha256:…` of its description: what it is known by. */
  readonly digest: string;
  /** Those that it is one of: those of its sandbox, unless another one was said. Null when it does not say. */
  readonly group: string | null;
  readonly scope: SnapshotScope;
  readonly state: SnapshotState;
  /** Null for one of the scope `disk`. */
  readonly memory: SnapshotMemory | null;
  /** What its disk can hold; it takes as much of the host's as was written. */
  readonly sizeBytes: bigint | null;
  /** What the disk lies over. */
  readonly imageRef: string;
  /** Empty for `localhost/base`, which comes with this package. */
  readonly imageManifestDigest: string;
  readonly format: "raw" | "qcow2";
  readonly fstype: string;
  /** The digest of the snapshot that its sandbox was made from. */
  readonly parent: string | null;
  /** RFC 3339. */
  readonly createdAt: string;
  /** Sorted by their keys. */
  readonly labels: readonly (readonly [key: string, value: string])[];
  /** The name of the sandbox that it was taken of. */
  readonly sourceSandbox: string | null;

  readonly #found: FoundSnapshot;

  /** @internal */
  constructor(found: FoundSnapshot) {
    const { descriptor, directory, digest } = found;
    const { state, image } = descriptor;
    this.#found = found;
    this.path = directory;
    this.id = descriptor.id;
    this.digest = digest;
    this.group = groupOf(descriptor);
    this.scope = descriptor.scope;
    this.memory = memoryOf(descriptor);
    this.sizeBytes = BigInt(state.upper.size_bytes);
    this.state = {
      kind: state.kind,
      format: state.format,
      fstype: state.fstype,
      upper: { file: state.upper.file, sizeBytes: this.sizeBytes, integrity: state.upper.integrity },
    };
    this.imageRef = image.ref;
    this.imageManifestDigest = image.manifest_digest ?? "";
    this.format = state.format;
    this.fstype = state.fstype;
    this.parent = descriptor.parent;
    this.createdAt = descriptor.created_at;
    this.labels = sortedLabels(descriptor.labels);
    this.sourceSandbox = descriptor.source_sandbox;
  }

  /**
   * Reads the whole disk, and the memory of a `full` one, and compares them with the digests that were recorded when the snapshot was
   * made, if they were.
   *
   * @throws SnapshotIntegrityError when it is another; UnsupportedOperationError for a digest of another kind; IoError
   */
  async verify(options: WaitOptions = {}): Promise<SnapshotVerifyReport> {
    const { verifySnapshot } = await import("../../store/snapshots/verify-snapshot.ts");
    return await Operation.run(`verify snapshot ${this.path}`, options, async ({ signal }) => {
      const integrity = await verifySnapshot(this.#found, signal);
      const { digest, path } = this;
      if (integrity === null) return { digest, path, upper: { kind: "notRecorded" } };
      return { digest, path, upper: { kind: "verified", ...integrity } };
    });
  }

  /** Writes it to one file. @throws as `Snapshot.save` */
  async saveTo(output: string, options: SaveOpts & WaitOptions = {}): Promise<void> {
    await saveTo(this.path, output, false, options);
  }

  /**
   * Copies it to another place, where it is the same, with the same digest.
   *
   * @param directory its own there: it is made, by a name that a snapshot can have
   * @returns the copy
   * @throws InvalidConfigError; SnapshotAlreadyExistsError, unless `force` is set; SnapshotNotFoundError when it was removed meanwhile;
   *   IoError. Nothing is left then
   */
  async copyTo(directory: string, options: SnapshotCopyOptions & WaitOptions = {}): Promise<Snapshot> {
    const target = resolve(checkString("the directory of the copy", directory));
    const force = checkFlag("force", options.force ?? false);
    const { copySnapshot } = await import("../../store/snapshots/copy-snapshot.ts");
    const copy = async ({ signal }: Operation): Promise<FoundSnapshot> =>
      await copySnapshot(locateHome(), this.#found, target, force, signal);
    const found = await Operation.run(`copy snapshot ${this.path}`, options, copy, { force: "boolean" });
    return copiedSnapshot(found);
  }

  /**
   * What it takes on the host's disk, in blocks that are there: `ownBytes` are free when it is removed, `sharedBytes` are of files that have
   * a name elsewhere too (hard links). `parts` are the same for its `disk`, the `memory` of one that has it, and what is `other`. Blocks that
   * files share without being one file (reflinks) cannot be seen: they count as own.
   *
   * @throws IoError
   */
  async storageUsage(options: WaitOptions = {}): Promise<SnapshotStorageUsage> {
    const { snapshotUsage } = await import("../../store/usage/snapshot-usage.ts");
    return await Operation.run(`look at the storage of snapshot ${this.path}`, options, ({ signal }) =>
      snapshotUsage(this.#found, signal),
    );
  }
}

// A class that names itself inside would lose its name in the bundle, and users see it.
function copiedSnapshot(found: FoundSnapshot): Snapshot {
  return new Snapshot(found);
}

function memoryOf({ memory }: FoundSnapshot["descriptor"]): SnapshotMemory | null {
  if (memory === null) return null;
  const { qemuVersion, accelerator, kernelRelease, processor } = memory.guest.description;
  return {
    ...{ sizeBytes: BigInt(memory.memory.size_bytes), cpus: memory.config.cpus },
    ...{ qemuVersion, accelerator, kernelRelease },
    processor: processor?.model ?? null,
    secrets: (memory.config.network?.secrets ?? []).map(({ envVar }) => envVar),
  };
}

function sortedLabels(labels: Labels): (readonly [key: string, value: string])[] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}
