import type { BigIntStats } from "node:fs";
import { unlink } from "node:fs/promises";
import { removeTree } from "../host/contained/remove-tree.ts";
import type { HeldDirectory } from "../host/contained/held-directory.ts";
import { baseOf } from "./base.ts";
import { bytesOf, childOf, entryOf, inDirectoryOf } from "./entries.ts";
import { keptOverride, writeOverride } from "./guest-attributes.ts";
import { writeRecords } from "./journal.ts";
import type { LayerPaths } from "./layer-paths.ts";
import type { LayerRecords } from "./layer-records.ts";
import { namesIn, walkLayer, type FoundChange, type LayerChange } from "./layer-walk.ts";

/** What of a layer is to be dropped. */
export interface Discarding {
  readonly layer: LayerPaths;
  readonly records: LayerRecords;
  /** Both are held, and closed, by the caller. */
  readonly files: HeldDirectory;
  readonly host: HeldDirectory;
  /** What is chosen is at this path, or in it; by default anywhere. */
  readonly below?: string;
  chooses(change: LayerChange): boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * Drops changes of a layer whose sandbox does not run: what the host has is seen again. A directory goes with all that is in it.
 *
 * The journal is the first to be written, and from then on nothing is given up: where somebody is killed, files that are still there are
 * changes of which nobody knows what they were made of, so conflicts. The other way round they would be deletions.
 *
 * @returns how many changes were chosen
 * @throws the system's error; IoError
 */
export async function discardLayer(discarding: Discarding): Promise<number> {
  const { files, host, records, layer, signal, below = "" } = discarding;
  const chosen: Chosen[] = [];
  // First all of them: a layer that changes meanwhile is another one.
  for await (const found of walkLayer(files, host, records.root, { signal, below }))
    if (found.event === "change" && discarding.chooses(found.change)) chosen.push(chosenOf(found));
  for (const { path } of chosen) await reveal(records, host, path);
  for (const { path, theirs } of chosen) {
    if (theirs === null) records.drop(path);
    else records.note(["base", path, baseOf(theirs)]);
  }
  signal?.throwIfAborted();
  await writeRecords(layer, records);
  for (const each of chosen) await discard(files, each);
  return chosen.length;
}

interface Chosen {
  readonly path: string;
  readonly isDeleted: boolean;
  /** Of a directory on both sides, of which only the mode is another one, the host's; null: all of it goes. */
  readonly theirs: BigIntStats | null;
}

function chosenOf({ change, host, own, isTooDeep }: FoundChange): Chosen {
  const isDeleted = change.kind === "deleted";
  const onBoth = !isDeleted && own?.isDirectory() === true && host?.isDirectory() === true;
  return { path: change.path, isDeleted, theirs: onBoth && !isTooDeep ? host : null };
}

async function discard(files: HeldDirectory, { path, isDeleted, theirs }: Chosen): Promise<void> {
  if (isDeleted) return;
  await inDirectoryOf(files, path, async (directory, name) => {
    const own = await entryOf(directory, name);
    if (own === null) return;
    const at = directory.at(bytesOf(name));
    if (!own.isDirectory()) {
      await unlink(at);
      return;
    }
    if (theirs === null) {
      await removeTree({ path: at });
      return;
    }
    const inside = await childOf(directory, name);
    if (inside === null) return;
    try {
      await giveMode(inside, Number(theirs.mode));
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

/** Whoever serves the layer must be able to use its directories: a mode that would not let him is kept beside, for the guest. */
async function giveMode({ handle }: HeldDirectory, mode: number): Promise<void> {
  const permissions = mode & 0o777;
  // The owner that is kept there stays: it may be the host's own.
  const kept = keptOverride(handle.fd);
  const isPlain = kept === null && (permissions & 0o700) === 0o700;
  writeOverride(handle.fd, isPlain ? null : { uid: kept?.uid ?? 0, gid: kept?.gid ?? 0, mode, rdev: 0 });
  await handle.chmod(permissions | 0o700);
}

/** To be closed by the caller; null when there is none. */
async function directoryAt(top: HeldDirectory, path: string): Promise<HeldDirectory | null> {
  let found: HeldDirectory | null = null;
  await inDirectoryOf(top, path, async (directory, name) => {
    found = await childOf(directory, name);
  });
  return found;
}
