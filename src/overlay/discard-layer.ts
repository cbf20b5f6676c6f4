import { unlink } from "node:fs/promises";
import { removeTree } from "../host/contained/remove-tree.ts";
import { extendedAttributes } from "../host/files/extended-attributes.ts";
import type { HeldDirectory } from "../host/contained/held-directory.ts";
import { bytesOf, childOf, entryOf } from "./entries.ts";
import { overrideName } from "./guest-attributes.ts";
import { writeRecords } from "./journal.ts";
import type { LayerPaths } from "./layer-paths.ts";
import type { LayerRecords } from "./layer-records.ts";
import { namesIn, walkLayer, type LayerChange } from "./layer-walk.ts";

/** What of a layer is to be dropped. */
export interface Discarding {
  readonly layer: LayerPaths;
  readonly records: LayerRecords;
  /** Both are held, and closed, by the caller. */
  readonly files: HeldDirectory;
  readonly host: HeldDirectory;
  chooses(change: LayerChange): boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * Drops changes of a layer whose sandbox does not run: what the host has is seen again. A directory goes with all that is in it.
 *
 * @returns how many changes were chosen
 * @throws the system's error; IoError
 */
export async function discardLayer(discarding: Discarding): Promise<number> {
  const { files, host, records, layer, signal } = discarding;
  const chosen: LayerChange[] = [];
  // First all of them: a layer that changes meanwhile is another one.
  for await (const found of walkLayer(files, host, records.root))
    if (found.event === "change" && discarding.chooses(found.change)) chosen.push(found.change);
  for (const { path } of chosen) await reveal(records, host, path);
  for (const change of chosen) {
    signal?.throwIfAborted();
    await discard(files, host, change);
    if (change.type !== "directory" || change.kind !== "changed") records.drop(change.path);
  }
  await writeRecords(layer, records);
  return chosen.length;
}

async function discard(
  files: HeldDirectory,
  host: HeldDirectory,
  { path, kind, type }: LayerChange,
): Promise<void> {
  if (kind === "deleted") return;
  await inDirectoryOf(files, path, async (directory, name) => {
    const own = await entryOf(directory, name);
    if (own === null) return;
    const at = directory.at(bytesOf(name));
    if (!own.isDirectory()) {
      await unlink(at);
      return;
    }
    const theirs = await entryAt(host, path);
    if (kind !== "changed" || type !== "directory" || theirs?.isDirectory() !== true) {
      await removeTree({ path: at });
      return;
    }
    // Of a directory on both sides only the mode is another one.
    const inside = await childOf(directory, name);
    if (inside === null) return;
    try {
      extendedAttributes().removeAttrSync(inside.handle.fd, overrideName);
    } catch {
      // It has none.
    }
    try {
      await inside.handle.chmod(Number(theirs.mode & 0o777n) | 0o700);
    } finally {
      await inside.close();
    }
  });
}

/**
 * Lets the host's entry at a path be seen, where a directory above it hides all that the host has: each other entry of that is hidden by
 * itself then.
 */
async function reveal(records: LayerRecords, host: HeldDirectory, path: string): Promise<void> {
  const names = path.split("/");
  for (let depth = 1; depth < names.length; depth++) {
    const above = names.slice(0, depth).join("/");
    const record = records.find(above);
    if (record?.isHidden !== true) continue;
    const directory = await directoryAt(host, above);
    if (directory === null) return;
    try {
      for (const name of await namesIn(directory)) records.note(["hide", `${above}/${name}`, null]);
    } finally {
      await directory.close();
    }
    record.isHidden = false;
  }
}

async function entryAt(top: HeldDirectory, path: string): ReturnType<typeof entryOf> {
  let found: Awaited<ReturnType<typeof entryOf>> = null;
  await inDirectoryOf(top, path, async (directory, name) => {
    found = await entryOf(directory, name);
  });
  return found;
}

/** To be closed by the caller; null when there is none. */
async function directoryAt(top: HeldDirectory, path: string): Promise<HeldDirectory | null> {
  let found: HeldDirectory | null = null;
  await inDirectoryOf(top, path, async (directory, name) => {
    found = await childOf(directory, name);
  });
  return found;
}

/** Goes down to the directory of an entry, name by name; does nothing when there is none. */
async function inDirectoryOf(
  top: HeldDirectory,
  path: string,
  use: (directory: HeldDirectory, name: string) => Promise<void>,
): Promise<void> {
  const names = path.split("/");
  const last = names.pop() ?? "";
  let here = top;
  try {
    for (const name of names) {
      const next = await childOf(here, name);
      if (here !== top) await here.close();
      here = top;
      if (next === null) return;
      here = next;
    }
    await use(here, last);
  } finally {
    if (here !== top) await here.close();
  }
}
