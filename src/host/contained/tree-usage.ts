import { readdir } from "node:fs/promises";
import { errorCode } from "../system-error.ts";
import { statusOf } from "./contained-directory.ts";
import { Descent } from "./descent.ts";

/** What st_blocks counts in (stat(2)), whatever the file system's blocks are. */
const blockBytes = 512n;
/** Of what has gone, has become something else, or cannot be read. */
const passedOver: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EACCES", "EPERM", "ESTALE"]);

/**
 * What a directory with all that is in it takes on the disk, in bytes. A file with several names counts once; holes do not count. What
 * comes and goes meanwhile may or may not be counted, and what cannot be read is not. When somebody moves the directory that is being
 * counted, the rest is not counted.
 *
 * @throws what the system reports about the directory itself
 */
export async function treeUsage(path: string): Promise<number> {
  const severalNames = new Set<string>();
  await using tree = await Descent.open(path);
  let blocks = (await statusOf(tree.here.at()))?.blocks ?? 0n;
  /** What is still to be counted in each directory on the way. */
  const way: Buffer[][] = [await readdir(tree.here.at(), { encoding: "buffer" })];
  for (let names = way.at(-1); names !== undefined; names = way.at(-1)) {
    const name = names.pop();
    if (name === undefined) {
      way.pop();
      if (way.length > 0 && (await unlessPassedOver(async () => await (await tree.up()).close())) === null)
        break;
      continue;
    }
    const status = await unlessPassedOver(() => statusOf(tree.here.at(name)));
    if (status === null) continue;
    if (status.nlink > 1n && !status.isDirectory()) {
      const key = `${status.dev}:${status.ino}`;
      if (severalNames.has(key)) continue;
      severalNames.add(key);
    }
    blocks += status.blocks;
    if (!status.isDirectory()) continue;
    const isInside = await unlessPassedOver(async () => {
      await tree.down(name);
      return true;
    });
    if (isInside !== true) continue;
    const inner = await unlessPassedOver(() => readdir(tree.here.at(), { encoding: "buffer" }));
    way.push(inner ?? []);
  }
  return Number(blocks * blockBytes);
}

/** @returns null for what is passed over */
async function unlessPassedOver<T>(look: () => Promise<T>): Promise<T | null> {
  try {
    return await look();
  } catch (error) {
    if (passedOver.has(errorCode(error) ?? "")) return null;
    throw error;
  }
}
