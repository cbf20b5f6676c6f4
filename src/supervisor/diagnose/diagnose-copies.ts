import { rm, writeFile } from "node:fs/promises";
import { canShareBlocks } from "../../host/files/copy-sparse.ts";
import { systemMessage } from "../../host/system-error.ts";
import { listMembers } from "../../store/pools/members.ts";
import { everyPool, membersWanted, poolPaths } from "../../store/pools/pools.ts";
import type { Home } from "../../store/home.ts";
import type { Finding } from "./finding.ts";

/** What forks, snapshots and the sandboxes of pools cost on this host, and whether the pools have what they are to have. */
export async function inspectCopies(home: Home): Promise<Finding[]> {
  return [await inspectDiskCopies(home), await inspectPools(home)];
}

async function inspectDiskCopies(home: Home): Promise<Finding> {
  const probe = `${home.cache}/.share-test-${process.pid}`;
  try {
    await writeFile(probe, "a block of its own");
    return diskCopiesFinding(await canShareBlocks(probe, `${probe}-copy`));
  } catch (error) {
    // The home is reported as a problem already.
    return { name: "copies", status: "info", detail: `unknown: ${systemMessage(error)}`, fix: "" };
  } finally {
    await rm(probe, { force: true }).catch(() => undefined);
  }
}

export function diskCopiesFinding(areShared: boolean): Finding {
  const detail = areShared
    ? "forks and snapshots share the blocks of disks until one of them writes"
    : "forks and snapshots copy what is on a disk: the file system cannot share blocks, as Btrfs, XFS and APFS can";
  return { name: "copies", status: areShared ? "ok" : "info", detail, fix: "" };
}

async function inspectPools(home: Home): Promise<Finding> {
  try {
    const pools = await everyPool(home);
    const counted = pools.map(async (pool) => {
      const { name } = pool;
      const paths = poolPaths(home, name);
      const members = await listMembers(paths);
      const ready = members.filter(({ isReady }) => isReady).length;
      return { name, ready, wanted: membersWanted(pool), log: paths.log };
    });
    return poolsFinding(await Promise.all(counted));
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return {
      name: "pools",
      status: "warning",
      detail,
      fix: 'Remove what cannot be read: "msb pool rm NAME".',
    };
  }
}

export interface CountedPool {
  readonly name: string;
  readonly ready: number;
  readonly wanted: number;
  /** The file with what its members have said that could not wait. */
  readonly log: string;
}

export function poolsFinding(pools: readonly CountedPool[]): Finding {
  const line = ({ name, ready, wanted }: CountedPool): string => `${name}: ${ready} of ${wanted} ready`;
  const empty = pools.filter(({ ready, wanted }) => ready === 0 && wanted > 0);
  const detail = pools.length === 0 ? "none" : pools.map(line).join("\n");
  if (empty.length === 0)
    return { name: "pools", status: pools.length === 0 ? "info" : "ok", detail, fix: "" };
  const names = empty.map(({ name }) => name).join(", ");
  const logs = empty.map(({ log }) => log).join(", ");
  const fix = `What is taken of ${names} starts from a template meanwhile. If it stays so, ${logs} says why; then make it again.`;
  return { name: "pools", status: "warning", detail, fix };
}
