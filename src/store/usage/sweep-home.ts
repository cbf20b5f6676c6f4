import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { tryLockFile } from "../../host/locks/lock.ts";
import type { Home } from "../home.ts";
import {
  newPrefix,
  removedPrefix,
  stagedRollback,
  sweepCheckpoints,
} from "../checkpoints/settle-checkpoints.ts";
import { removeLeftover, type Discard } from "../leftovers.ts";
import { removePoolLeftover, sweepPools } from "../pools/remove-pool.ts";
import { pathsIn, sweepLeftovers } from "../sandboxes.ts";
import { sweepSnapshots } from "../snapshots/staging.ts";
import { removeSuspensions } from "../suspension.ts";
import { sweepTemplateLeftovers } from "../templates/template-removal.ts";
import { removeVolumeLeftover, sweepVolumes } from "../volumes/volume-removal.ts";
import { DiskTally } from "./disk-tally.ts";

/** Where something was left. */
export const leftoverKinds = ["sandboxes", "volumes", "pools", "snapshots", "templates"] as const;
export type LeftoverKind = (typeof leftoverKinds)[number];

export interface SweptHome {
  readonly paths: readonly string[];
  /** What is free by that. */
  readonly bytes: number;
  readonly bytesOf: Readonly<Record<LeftoverKind, number>>;
}

/**
 * Clears a home of what processes left that were killed while they made, removed or suspended something. What somebody works on is spared.
 *
 * @param options.dryRun nothing is removed: it is only found out what would be
 * @throws IoError; the reason of the signal, between two of them
 */
export async function sweepHome(
  home: Home,
  { dryRun, signal }: { readonly dryRun: boolean; readonly signal: AbortSignal },
): Promise<SweptHome> {
  const paths = new Set<string>();
  const tally = new DiskTally<LeftoverKind>();
  const discardIn =
    (kind: LeftoverKind, remove = removeLeftover): Discard =>
    async (path) => {
      if (signal.aborted || paths.has(path) || !(await exists(path))) return;
      await tally.add(kind, path);
      paths.add(path);
      if (!dryRun) await remove(path);
    };
  await sweepLeftovers(home, discardIn("sandboxes"));
  await sweepStopped(home, discardIn("sandboxes"));
  signal.throwIfAborted();
  await sweepVolumes(home, discardIn("volumes", removeVolumeLeftover));
  await sweepPools(
    home,
    discardIn("pools", (path) => removePoolLeftover(home, path)),
  );
  await sweepSnapshots(home.snapshots, discardIn("snapshots"));
  await sweepTemplateLeftovers(home, discardIn("templates"));
  signal.throwIfAborted();
  return {
    paths: [...paths].sort(),
    bytes: tally.all().ownBytes,
    bytesOf: {
      sandboxes: tally.of("sandboxes").ownBytes,
      volumes: tally.of("volumes").ownBytes,
      pools: tally.of("pools").ownBytes,
      snapshots: tally.of("snapshots").ownBytes,
      templates: tally.of("templates").ownBytes,
    },
  };
}

/** In sandboxes that do not run: who starts, suspends, brings back or removes one has its lock. */
async function sweepStopped(home: Home, discard: Discard): Promise<void> {
  for (const name of await readdir(home.sandboxes).catch(() => [])) {
    if (name.startsWith(".")) continue;
    const { directory, lock: lockPath, config } = pathsIn(join(home.sandboxes, name));
    // What is no sandbox gets no lock.
    if (!(await exists(config))) continue;
    const lock = await tryLockFile(lockPath).catch(() => null);
    if (lock === null) continue;
    await removeSuspensions(directory, { fresh: false, discard }).catch(() => undefined);
    await discard(join(directory, stagedRollback)).catch(() => undefined);
    await sweepCheckpoints(directory, [newPrefix, removedPrefix], discard).catch(() => undefined);
    await lock.release();
  }
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null)) !== null;
}
