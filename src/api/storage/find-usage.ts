import { isTerminal } from "../../config/enums.ts";
import { IoError } from "../../errors/index.ts";
import { listImages, pruneImages } from "../../image/store/manage.ts";
import { findImageUses } from "../../image/store/uses.ts";
import type { Home } from "../../store/home.ts";
import { listMembers } from "../../store/pools/members.ts";
import { poolNames, poolPaths } from "../../store/pools/pools.ts";
import { listSandboxes } from "../../store/list-sandboxes.ts";
import { listSnapshots } from "../../store/snapshots/snapshots.ts";
import { listTemplates, pruneTemplates } from "../../store/templates/template-eviction.ts";
import { homeUsage, type StorageKind } from "../../store/usage/home-usage.ts";
import { sweepHome, type SweptHome } from "../../store/usage/sweep-home.ts";
import { listVolumes } from "../../store/volumes/volumes.ts";
import { volumesInUse } from "../../store/volumes/volumes-in-use.ts";
import { templatesUsedSince } from "./prune-storage.ts";
import type { StorageKindUsage, StorageUsage } from "./storage-types.ts";

type Counted = Omit<StorageKindUsage, "bytes">;

const uncounted: Counted = { count: null, active: null, reclaimableBytes: 0 };

/** @throws IoError; the reason of the signal */
export async function findStorageUsage(home: Home, signal: AbortSignal): Promise<StorageUsage> {
  const bytes = await homeUsage(home, signal);
  const swept = await sweepHome(home, { dryRun: true, signal });
  const sandboxes = await listSandboxes(home);
  const volumes = await listVolumes(home);
  const used = await unlessUnreadable(volumesInUse(home));
  const snapshots = await listSnapshots(home.snapshots);
  const begun = new Set(sandboxes.map(({ record }) => record.config.snapshotDigest));
  const of = (kind: StorageKind, counted: Counted): StorageKindUsage => ({ ...counted, bytes: bytes[kind] });
  const kinds = {
    images: of("images", await countImages(home, signal)),
    templates: of("templates", await countTemplates(home, swept, signal)),
    snapshots: of("snapshots", {
      count: snapshots.length,
      active: snapshots.filter(({ digest }) => begun.has(digest)).length,
      reclaimableBytes: swept.bytesOf.snapshots,
    }),
    volumes: of("volumes", {
      count: volumes.length,
      active: used === null ? null : volumes.filter(({ record }) => used.has(record.name)).length,
      reclaimableBytes: swept.bytesOf.volumes,
    }),
    pools: of("pools", { ...(await countPools(home)), reclaimableBytes: swept.bytesOf.pools }),
    sandboxes: of("sandboxes", {
      count: sandboxes.length,
      active: sandboxes.filter(({ status }) => !isTerminal(status)).length,
      reclaimableBytes: swept.bytesOf.sandboxes,
    }),
    forkMemory: of("forkMemory", uncounted),
    other: of("other", uncounted),
  };
  const all = Object.values(kinds);
  return {
    path: home.root,
    kinds,
    totalBytes: all.reduce((sum, kind) => sum + kind.bytes, 0),
    reclaimableBytes: all.reduce((sum, { reclaimableBytes }) => sum + (reclaimableBytes ?? 0), 0),
  };
}

async function countImages(home: Home, signal: AbortSignal): Promise<Counted> {
  const images = await listImages(home);
  const plan = await unlessUnreadable(pruneImages(home, () => findImageUses(home), { dryRun: true, signal }));
  if (plan === null) return { count: images.length, active: null, reclaimableBytes: null };
  const active = Math.max(0, images.length - plan.imageRefsRemoved);
  return { count: images.length, active, reclaimableBytes: plan.bytesReclaimed };
}

async function countTemplates(home: Home, swept: SweptHome, signal: AbortSignal): Promise<Counted> {
  const { length: count } = await listTemplates(home);
  const plan = await pruneTemplates(home, { unusedSince: templatesUsedSince(), dryRun: true, signal });
  return {
    count,
    active: Math.max(0, count - plan.templates),
    reclaimableBytes: plan.bytes + swept.bytesOf.templates,
  };
}

async function countPools(home: Home): Promise<Omit<Counted, "reclaimableBytes">> {
  const names = await poolNames(home);
  const members = await Promise.all(names.map((name) => listMembers(poolPaths(home, name))));
  return {
    count: names.length,
    active: members.filter((each) => each.some(({ isReady }) => isReady)).length,
  };
}

/** @returns null when it cannot be told what a sandbox or a snapshot needs */
async function unlessUnreadable<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof IoError) return null;
    throw error;
  }
}
