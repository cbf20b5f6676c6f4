import { rmdir, unlink } from "node:fs/promises";
import { HeldDirectory } from "../host/contained/held-directory.ts";
import { errorCode } from "../host/system-error.ts";
import { baseOf, markOf } from "./base.ts";
import { bytesOf, childOf, entryOf, inDirectoryOf } from "./entries.ts";
import { readRecords, writeRecords } from "./journal.ts";
import type { LayerPaths } from "./layer-paths.ts";
import { below, type LayerRecord } from "./layer-records.ts";
import { asTheGuestSees, isOnlyCopied, walkLayer } from "./layer-walk.ts";

/**
 * Takes out of a layer whose sandbox does not run what the host has by now: files as they were applied, what is deleted on both sides,
 * and directories that were only copied and that the host has removed. Where a directory that the guest has made anew has all that the
 * host's has, it hides nothing any more. The layer's lock is held by the caller.
 *
 * Whoever dies on the way leaves files of which the journal says still that they were applied, and never a file less that would count
 * as deleted by the guest: first the journal says that nothing of the host's is hidden there, then the files go, then the journal forgets
 * them.
 *
 * @throws the system's error; IoError
 */
export async function settleLayer(layer: LayerPaths, host: string): Promise<void> {
  const records = await readRecords(layer);
  const upper = await HeldDirectory.open(layer.files);
  try {
    const lower = await HeldDirectory.open(host).catch(() => null);
    if (lower === null) return;
    const over = new Over();
    try {
      await settle(records.root, upper, lower, "", over);
    } finally {
      await lower.close();
    }
    if (over.isChanged) await writeRecords(layer, records);
    if (over.paths.length === 0) return;
    for (const path of over.paths) if (await remove(upper, path)) records.drop(path);
    await writeRecords(layer, records);
  } finally {
    await upper.close();
  }
}

/** What is found in one pass. All of it is found before anything is removed: a name less of a file is another time of change for all. */
class Over {
  /** Of the layer's files and directories, what is in a directory before itself. */
  readonly paths: string[] = [];
  /** Whether the records say something else by now. */
  isChanged = false;
}

async function settle(
  record: LayerRecord,
  upper: HeldDirectory | null,
  lower: HeldDirectory | null,
  path: string,
  over: Over,
): Promise<void> {
  for (const [name, child] of record.children ?? []) {
    const at = below(path, name);
    const own = await entryOf(upper, name);
    const theirs = await entryOf(lower, name);
    if (own === null || upper === null) {
      // With nothing hidden and all of it applied, it was removed by somebody who was killed then.
      const isSettled = !child.isHidden && child.applied !== null && child.children === null;
      if (isSettled || (child.isHidden && theirs === null)) {
        record.children?.delete(name);
        over.isChanged = true;
        continue;
      }
    } else if (!own.isDirectory()) {
      if (child.applied === null || markOf(own) !== child.applied) continue;
      if (child.isHidden) over.isChanged = true;
      child.isHidden = false;
      over.paths.push(at);
      continue;
    }
    const inside = await childOf(lower, name);
    const above = await childOf(upper, name);
    try {
      if (child.isHidden && above !== null && inside !== null && theirs !== null) {
        const { mode } = await asTheGuestSees(upper ?? above, name, own ?? theirs);
        if (mode === Number(theirs.mode & 0o777n) && (await isEqual(above, inside, child))) {
          child.isHidden = false;
          child.base = baseOf(theirs);
          over.isChanged = true;
        }
      }
      // What is seen of the host's below a deleted directory is nothing.
      if (child.isHidden) continue;
      await settle(child, above, inside, at, over);
    } finally {
      await inside?.close();
      await above?.close();
    }
    if (upper === null || own === null || theirs !== null) continue;
    if (await isOnlyCopied(upper, name, own, child)) over.paths.push(at);
  }
}

/** Whether the guest sees in a directory that hides the host's what the host has there. */
async function isEqual(above: HeldDirectory, inside: HeldDirectory, record: LayerRecord): Promise<boolean> {
  for await (const { event } of walkLayer(above, inside, record, { isOpaque: true }))
    if (event === "change") return false;
  return true;
}

/** @returns whether it is gone: a directory that has something in it stays */
async function remove(upper: HeldDirectory, path: string): Promise<boolean> {
  let isGone = true;
  await inDirectoryOf(upper, path, async (directory, name) => {
    const own = await entryOf(directory, name);
    if (own === null) return;
    const at = directory.at(bytesOf(name));
    if (!own.isDirectory()) {
      await unlink(at);
      return;
    }
    try {
      await rmdir(at);
    } catch (error) {
      if (errorCode(error) !== "ENOTEMPTY") throw error;
      isGone = false;
    }
  });
  return isGone;
}
