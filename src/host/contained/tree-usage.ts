import { lstatSync } from "node:fs";
import { setImmediate as otherWork } from "node:timers/promises";
import { walkTree } from "./walk-tree.ts";

/** What st_blocks counts in (stat(2)), whatever the file system's blocks are. */
const blockBytes = 512n;
/** Other work of this process waits no longer than so many files take, some milliseconds. */
const filesAtOnce = 256;

/**
 * What a directory with all that is in it takes on the disk, in bytes. A file with several names counts once; holes do not count. What
 * comes and goes meanwhile may or may not be counted, and what cannot be read is not.
 *
 * @throws what the system reports about the directory itself
 */
export async function treeUsage(path: string): Promise<number> {
  let { blocks } = lstatSync(path, { bigint: true });
  let files = 0;
  for (const { status, isFirstName } of walkTree(path)) {
    if (isFirstName) blocks += status.blocks;
    if (++files % filesAtOnce === 0) await otherWork();
  }
  return Number(blocks * blockBytes);
}
