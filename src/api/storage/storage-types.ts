import type { StorageKind } from "../../store/usage/home-usage.ts";

export type { DiskUsage } from "../../store/usage/disk-tally.ts";
export type { StorageKind } from "../../store/usage/home-usage.ts";
export type { SandboxPart, SandboxUsage as SandboxStorageUsage } from "../../store/usage/sandbox-usage.ts";
export type {
  SnapshotPart,
  SnapshotUsage as SnapshotStorageUsage,
} from "../../store/usage/snapshot-usage.ts";

/** Of one kind of thing that is stored. */
export interface StorageKindUsage {
  /** How many there are; null where they are not counted. */
  readonly count: number | null;
  /**
   * How many of them are in use: images that a sandbox or a snapshot needs, templates that were used in the last seven days, sandboxes that
   * run, pools with one that is ready, volumes that a sandbox has, snapshots that a sandbox began with. Null where that is not counted, or cannot be told because a sandbox
   * or a snapshot cannot be read.
   */
  readonly active: number | null;
  /** On the host's disk. */
  readonly bytes: number;
  /** What `Storage.prune()` would free of it now; null when it cannot be told, for the same reason. */
  readonly reclaimableBytes: number | null;
}

/** What is stored on this computer, in bytes on the disk. */
export interface StorageUsage {
  /** The directory with everything: `$MSB_HOME`. */
  readonly path: string;
  /**
   * By kind. A file with several names is counted once, in the first of these that has one of its names. `forkMemory` is the memory of guests
   * that are suspended, forked or at a checkpoint, `pools` what their sandboxes go on from and are, until they are taken, `other` what is left: caches, keys, settings.
   */
  readonly kinds: Readonly<Record<StorageKind, StorageKindUsage>>;
  readonly totalBytes: number;
  /** What `Storage.prune()` would free now, of what is known. */
  readonly reclaimableBytes: number;
}

/** What goes. */
export interface StoragePruneOptions {
  /** Nothing is removed: it is only found out what would be. */
  readonly dryRun?: boolean | undefined;
  /**
   * Images and templates go only when they were not used for so long. Without it all images go that nobody needs, and the templates that were
   * not used for seven days; with 0 all templates.
   */
  readonly olderThanSeconds?: number | undefined;
}

/** What {@link Storage.prune} has removed, or with `dryRun` would remove. */
export interface StoragePruneReport {
  readonly dryRun: boolean;
  readonly images: {
    /** The names that were given up. */
    readonly references: readonly string[];
    /** Layers without a name and the beginnings of interrupted downloads included. */
    readonly bytes: number;
  };
  readonly templates: { readonly keys: readonly string[]; readonly bytes: number };
  /** What processes have left that were killed while they made or removed something. */
  readonly leftovers: { readonly paths: readonly string[]; readonly bytes: number };
  readonly bytesReclaimed: number;
}
