import { lstat, unlink } from "node:fs/promises";
import { HeldDirectory } from "../host/contained/held-directory.ts";
import { markOf } from "./base.ts";
import { bytesOf, childOf, entryOf } from "./entries.ts";
import { readRecords, writeRecords } from "./journal.ts";
import type { LayerPaths } from "./layer-paths.ts";
import type { LayerRecord } from "./layer-records.ts";

/**
 * Takes out of a layer whose sandbox does not run what the host has by now: files as they were applied, and what is deleted on both
 * sides. The layer's lock is held by the caller.
 *
 * @throws the system's error; IoError
 */
export async function settleLayer(layer: LayerPaths, host: string): Promise<void> {
  const records = await readRecords(layer);
  const upper = await HeldDirectory.open(layer.files);
  try {
    const lower = await HeldDirectory.open(host).catch(() => null);
    if (lower === null) return;
    try {
      if (await settle(records.root, upper, lower)) await writeRecords(layer, records);
    } finally {
      await lower.close();
    }
  } finally {
    await upper.close();
  }
}

/** @returns whether anything has changed */
async function settle(
  record: LayerRecord,
  upper: HeldDirectory | null,
  lower: HeldDirectory,
): Promise<boolean> {
  let changed = false;
  for (const [name, child] of record.children ?? []) {
    if (await isOver(child, name, upper, lower)) {
      record.children?.delete(name);
      changed = true;
      continue;
    }
    // What is seen of the host's below a deleted directory is nothing.
    if (child.isHidden || child.children === null) continue;
    const inside = await childOf(lower, name);
    if (inside === null) continue;
    const above = await childOf(upper, name);
    try {
      changed = (await settle(child, above, inside)) || changed;
    } finally {
      await inside.close();
      await above?.close();
    }
  }
  return changed;
}

async function isOver(
  { isHidden, applied }: LayerRecord,
  name: string,
  upper: HeldDirectory | null,
  lower: HeldDirectory,
): Promise<boolean> {
  const own = await entryOf(upper, name);
  if (own === null) return isHidden && (await entryOf(lower, name)) === null;
  if (upper === null || applied === null || own.isDirectory()) return false;
  const path = upper.at(bytesOf(name));
  if (markOf(await lstat(path, { bigint: true })) !== applied) return false;
  await unlink(path);
  return true;
}
