import type { BigIntStats } from "node:fs";
import { open, readdir, readlink } from "node:fs/promises";
import type { HeldDirectory } from "../host/contained/held-directory.ts";
import { deepest } from "../host/tree/tree-path.ts";
import type { TreeKind } from "../host/tree/tree.ts";
import { baseOf, markOf } from "./base.ts";
import { bytesOf, childOf, entryOf, itself } from "./entries.ts";
import { keptOverride } from "./guest-attributes.ts";
import { below, type LayerRecord } from "./layer-records.ts";
import { sameContent } from "./same-content.ts";

/** Something that the guest sees otherwise than the host has it. */
export interface LayerChange {
  /** Below the directory, one character for each byte. */
  readonly path: string;
  readonly kind: "added" | "changed" | "deleted";
  /** What it is in the guest; of something deleted, what it is on the host. */
  readonly type: TreeKind;
  /** Of a file, bytes. */
  readonly size: number;
  /** Permissions, nine bits. */
  readonly mode: number;
  /** The host has changed it since the guest did, or the guest did without having seen what the host had. */
  readonly conflicts: boolean;
}

/** Where a change is found, and what is needed to write it to the host. */
export interface FoundChange {
  readonly event: "change";
  readonly change: LayerChange;
  readonly name: string;
  /** What the layer has; null when it is deleted. */
  readonly own: BigIntStats | null;
  /** What the host has; null for nothing. */
  readonly host: BigIntStats | null;
  readonly place: WalkedDirectory;
  readonly record: LayerRecord | undefined;
  /** A directory that is not entered: what is in it is told by this one change. */
  readonly isTooDeep: boolean;
}

/** A directory, after all that is in it. */
export interface LeftDirectory {
  readonly event: "leave";
  readonly path: string;
  readonly host: HeldDirectory | null;
}

/** One directory on the way, held open. */
export interface WalkedDirectory {
  readonly path: string;
  readonly name: string;
  /** The one that it is in; null for the one that the layer is over. */
  readonly above: WalkedDirectory | null;
  readonly layer: HeldDirectory;
  /** Of the host; null where it has none. Whoever makes it sets it, and it is closed with the other one. */
  host: HeldDirectory | null;
}

interface Walked extends WalkedDirectory {
  readonly record: LayerRecord | undefined;
  /** The guest has deleted the host's directory, and made its own. */
  readonly isOpaque: boolean;
  readonly depth: number;
  readonly options: WalkOptions;
}

export interface WalkOptions {
  /** Only what is at this path, in it, and on the way to it is looked at. */
  readonly below?: string;
  /** Looked at before each entry. */
  readonly signal?: AbortSignal | undefined;
  /** The guest has deleted the host's directory, and made its own. */
  readonly isOpaque?: boolean;
}

/**
 * All that a layer changes, depth first and by name, a directory before what is in it. Holds the names of the directories on the way and
 * no more. Nothing is followed, on either side: guests make what lies in a layer. What they make too deep is one change.
 *
 * @param records of the layer
 * @throws the system's error; the signal's reason
 */
export async function* walkLayer(
  layer: HeldDirectory,
  host: HeldDirectory,
  records: LayerRecord | undefined,
  options: WalkOptions = {},
): AsyncGenerator<FoundChange | LeftDirectory> {
  const top: Walked = {
    path: "",
    name: "",
    above: null,
    layer,
    host,
    record: records,
    isOpaque: options.isOpaque === true,
    depth: 0,
    options,
  };
  yield* walk(top);
}

async function* walk(here: Walked): AsyncGenerator<FoundChange | LeftDirectory> {
  for (const name of await namesToLookAt(here)) {
    here.options.signal?.throwIfAborted();
    if (!isOnTheWay(below(here.path, name), here.options.below ?? "")) continue;
    const found = await look(here, name);
    const isDirectory = found.own?.isDirectory() === true;
    const isTooDeep = isDirectory && here.depth >= deepest;
    const change = found.change ?? (isTooDeep ? await asOneChange(here, name, found) : null);
    if (change !== null) {
      const { own, host, record } = found;
      yield { event: "change", change, name, own, host, record, place: here, isTooDeep };
    }
    if (isDirectory && !isTooDeep) yield* inside(here, name, found);
  }
}

function isOnTheWay(path: string, wanted: string): boolean {
  return wanted === "" || path === wanted || path.startsWith(`${wanted}/`) || wanted.startsWith(`${path}/`);
}

/** Nobody knows what is in it. */
async function asOneChange(here: Walked, name: string, { own, host }: Looked): Promise<LayerChange | null> {
  if (own === null) return null;
  const { mode } = await asTheGuestSees(here.layer, name, own);
  const kind = host === null ? "added" : "changed";
  return { path: below(here.path, name), kind, type: "directory", size: 0, mode, conflicts: false };
}

async function* inside(
  here: Walked,
  name: string,
  found: Looked,
): AsyncGenerator<FoundChange | LeftDirectory> {
  const path = below(here.path, name);
  const layer = await childOf(here.layer, name);
  if (layer === null) return;
  const child: Walked = {
    path,
    name,
    above: here,
    layer,
    host: await childOf(here.host, name),
    record: found.record,
    isOpaque: found.isHidden,
    depth: here.depth + 1,
    options: here.options,
  };
  try {
    yield* walk(child);
    yield { event: "leave", path, host: child.host };
  } finally {
    await layer.close();
    await child.host?.close();
  }
}

async function namesToLookAt({ layer, host, record, isOpaque }: Walked): Promise<string[]> {
  const names = new Set<string>(await namesIn(layer));
  for (const [name, { isHidden }] of record?.children ?? []) if (isHidden) names.add(name);
  if (isOpaque) for (const name of await namesIn(host)) names.add(name);
  return [...names].sort((one, other) => (one < other ? -1 : 1));
}

export async function namesIn(directory: HeldDirectory | null): Promise<string[]> {
  return directory === null ? [] : await readdir(directory.at("."), { encoding: "latin1" });
}

interface Looked {
  readonly change: LayerChange | null;
  readonly own: BigIntStats | null;
  readonly host: BigIntStats | null;
  readonly record: LayerRecord | undefined;
  readonly isHidden: boolean;
}

async function look(here: Walked, name: string): Promise<Looked> {
  const record = here.record?.children?.get(name);
  const isHidden = here.isOpaque || record?.isHidden === true;
  const [own, host] = await Promise.all([entryOf(here.layer, name), entryOf(here.host, name)]);
  const common = { own, host, record, isHidden };
  const path = below(here.path, name);
  if (own === null) {
    if (!isHidden || host === null) return { change: null, ...common };
    const type = typeOf(host);
    const conflicts = !(await isAsKnown(here.host, name, host, record));
    const mode = Number(host.mode & 0o777n);
    return { change: { path, kind: "deleted", type, size: sizeOf(host), mode, conflicts }, ...common };
  }
  if (record?.applied === markOf(own) && !own.isDirectory()) return { change: null, ...common };
  const seen = await asTheGuestSees(here.layer, name, own);
  const entry = { path, type: seen.type, size: sizeOf(own), mode: seen.mode };
  if (host === null) {
    if (!isHidden && (await isOnlyCopied(here.layer, name, own, record))) return { change: null, ...common };
    // What it had there before, the host has removed by itself. A directory that both have removed is nobody's any more.
    const conflicts = (record?.base ?? null) !== null && !(own.isDirectory() && isHidden);
    return { change: { ...entry, kind: "added", conflicts }, ...common };
  }
  if (own.isDirectory() && host.isDirectory()) {
    const mode = Number(host.mode & 0o777n);
    const known = modeOfBase(record) ?? mode;
    if (seen.mode === mode || (!isHidden && seen.mode === known)) return { change: null, ...common };
    return { change: { ...entry, kind: "changed", conflicts: !isHidden && known !== mode }, ...common };
  }
  if (await isSame(here, name, own, host, seen.mode)) return { change: null, ...common };
  const conflicts = !(await isAsKnown(here.host, name, host, record));
  return { change: { ...entry, kind: "changed", conflicts }, ...common };
}

function modeOfBase(record: LayerRecord | undefined): number | null {
  return record?.base?.startsWith("d:") === true ? parseInt(record.base.slice(2), 8) & 0o777 : null;
}

/**
 * Whether a directory of the layer is there only because something in it was changed, of which nothing is left: it has the mode of the
 * host's, and in it are only such directories and what was applied.
 */
export async function isOnlyCopied(
  parent: HeldDirectory,
  name: string,
  own: BigIntStats,
  record: LayerRecord | undefined,
): Promise<boolean> {
  if (!own.isDirectory()) return record?.applied === markOf(own);
  const mode = modeOfBase(record);
  if (mode === null || mode !== (await asTheGuestSees(parent, name, own)).mode) return false;
  const directory = await childOf(parent, name);
  if (directory === null) return false;
  try {
    for (const inner of await namesIn(directory)) {
      const stat = await entryOf(directory, inner);
      const inside = record?.children?.get(inner);
      if (stat !== null && !(await isOnlyCopied(directory, inner, stat, inside))) return false;
    }
    return true;
  } finally {
    await directory.close();
  }
}

/** A file that was opened for writing and not written, or that both have changed in the same way. */
async function isSame(
  { layer, host }: Walked,
  name: string,
  own: BigIntStats,
  theirs: BigIntStats,
  mode: number,
): Promise<boolean> {
  if (host === null || own.size !== theirs.size) return false;
  if (own.isSymbolicLink() && theirs.isSymbolicLink()) {
    const [one, other] = await Promise.all(
      [layer, host].map((each) => readlink(each.at(bytesOf(name)), { encoding: "buffer" })),
    );
    return one !== undefined && other?.equals(one) === true;
  }
  if (!own.isFile() || !theirs.isFile() || mode !== Number(theirs.mode & 0o777n)) return false;
  return await sameContent(layer.at(bytesOf(name)), host.at(bytesOf(name)));
}

/** Whether the host's entry is what the guest knew; of a directory, all that is in it. */
export async function isAsKnown(
  parent: HeldDirectory | null,
  name: string,
  host: BigIntStats,
  record: LayerRecord | undefined,
): Promise<boolean> {
  if (!host.isDirectory()) return record?.base === baseOf(host);
  if (record?.base?.startsWith("d:") !== true) return false;
  const directory = await childOf(parent, name);
  if (directory === null) return false;
  try {
    for (const inner of await namesIn(directory)) {
      const stat = await entryOf(directory, inner);
      if (stat !== null && !(await isAsKnown(directory, inner, stat, record.children?.get(inner))))
        return false;
    }
    return true;
  } finally {
    await directory.close();
  }
}

/** Type and permissions. Devices, pipes and sockets are empty files on the host that remember what they are. */
export async function asTheGuestSees(
  layer: HeldDirectory,
  name: string,
  own: BigIntStats,
): Promise<{ type: TreeKind; mode: number }> {
  const natural = { type: typeOf(own), mode: Number(own.mode & 0o777n) };
  if (natural.type === "symlink" || natural.type === "other") return natural;
  const handle = await open(layer.at(bytesOf(name)), itself);
  try {
    const override = keptOverride(handle.fd);
    if (override === null) return natural;
    const isRegular = (override.mode & 0o170000) === 0o100000;
    const type = natural.type === "file" && !isRegular ? "other" : natural.type;
    return { type, mode: override.mode & 0o777 };
  } finally {
    await handle.close();
  }
}

function typeOf(stat: BigIntStats): TreeKind {
  if (stat.isDirectory()) return "directory";
  if (stat.isFile()) return "file";
  return stat.isSymbolicLink() ? "symlink" : "other";
}

function sizeOf(stat: BigIntStats): number {
  return stat.isFile() ? Number(stat.size) : 0;
}
