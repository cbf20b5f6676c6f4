import { lstat, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { treeUsage } from "../../host/contained/tree-usage.ts";
import { tryLockFile } from "../../host/locks/lock.ts";
import { parseDigest } from "../digest.ts";
import { parseManifest } from "../manifest.ts";
import { entryName, updateEntries, type IndexEntry } from "./index-file.ts";
import { blobsOf, damageOf, readStoredImage, type StoredImage } from "./images.ts";
import { readBlob, type ImageStore } from "./layout.ts";
import { activeLeases } from "./leases.ts";
import { rootFileSystemKey } from "./rootfs-path.ts";

/** The hold of a sandbox or a snapshot on an image. */
export interface ImageUse {
  /** For the error that names it. */
  readonly user: { readonly kind: "sandbox" | "snapshot" | "pool"; readonly name: string };
  /** Canonical. */
  readonly reference: string;
  /** Null when it has not pinned one: then whatever the reference means now is in use. */
  readonly manifestDigest: string | null;
}

/** Looks sandboxes and snapshots through. Called under the store's lock, so that what it says stays true while things are removed. */
export type FindImageUses = () => Promise<readonly ImageUse[]>;

export interface Removed {
  /** Names that were given up. */
  readonly references: number;
  readonly manifests: number;
  readonly layers: number;
  readonly rootFileSystems: number;
  /** Of everything together, on the disk. */
  readonly bytes: number;
}

export interface SweepOptions {
  /** Nothing is removed: it is only found out what would be. */
  readonly dryRun?: boolean | undefined;
  /** Whether the beginnings of interrupted downloads go too. */
  readonly partial: boolean;
  /** Of what nothing needs, only this goes; everything when it is not given. */
  readonly only?: Doomed | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Doomed {
  /** @param name a blob's digest or a root file system's key */
  has(name: string): boolean;
  /** What was last changed before then goes too. */
  readonly before: Date;
}

/** Small blobs are written aside without a lock; nobody takes this long for one. */
const asideMs = 60_000;

/**
 * Gives up the names that `keep` does not want and removes what nothing needs any more. What stays: everything that a name,
 * a sandbox, a snapshot or a pull in progress needs.
 *
 * While the manifest or the configuration of one that stays cannot be read, nobody knows which blobs it needs. Then only
 * that goes which the names consisted of that are given up, and what `only` names.
 */
export async function collectGarbage(
  store: ImageStore,
  findUses: FindImageUses,
  keep: (entry: IndexEntry, uses: readonly ImageUse[]) => boolean,
  options: SweepOptions,
): Promise<Removed> {
  return updateEntries(store, options.signal, async (entries) => {
    const uses = await findUses();
    // What has no name was put there by another tool: it is not ours to remove.
    const kept = entries.filter((entry) => entryName(entry) === undefined || keep(entry, uses));
    const needed = await findNeeded(store, kept, uses);
    const released = new Set<string>();
    for (const { digest } of entries.filter((entry) => !kept.includes(entry))) {
      const image = await readStoredImage(store, digest);
      for (const name of image === null ? [digest] : namesIn(image)) released.add(name);
    }
    const references = entries.length - kept.length;
    return {
      entries: references === 0 || options.dryRun === true ? entries : kept,
      afterWrite: async (): Promise<Removed> => ({
        references,
        ...(await sweep(store, needed, released, options)),
      }),
    };
  });
}

interface Needed {
  readonly blobs: Set<string>;
  readonly rootfs: Set<string>;
  /** Whether that is all: every image that stays could be read. */
  isAll: boolean;
}

async function findNeeded(
  store: ImageStore,
  entries: readonly IndexEntry[],
  uses: readonly ImageUse[],
): Promise<Needed> {
  const needed: Needed = { blobs: new Set(), rootfs: new Set(), isAll: true };
  for (const lease of await activeLeases(store)) {
    for (const digest of lease.blobs) needed.blobs.add(digest);
    for (const key of lease.rootfs) needed.rootfs.add(key);
  }
  const pinned = uses.flatMap(({ manifestDigest }) => (manifestDigest === null ? [] : [manifestDigest]));
  for (const digest of new Set([...entries.map((entry) => entry.digest), ...pinned])) {
    await need(store, digest, needed);
    if ((await damageOf(store, digest)) !== null) needed.isAll = false;
  }
  return needed;
}

async function need(store: ImageStore, digest: string, needed: Needed): Promise<void> {
  if (needed.blobs.has(digest)) {
    // A lease may name a manifest; what it leads to is needed for the same reason, but is in the lease too.
    const image = await readStoredImage(store, digest);
    if (image !== null) needImage(image, needed);
    return;
  }
  needed.blobs.add(digest);
  const image = await readStoredImage(store, digest);
  if (image !== null) {
    needImage(image, needed);
    return;
  }
  // An index of another tool.
  const bytes = await readBlob(store, digest).catch(() => null);
  if (bytes === null) return;
  try {
    const parsed = parseManifest(bytes, null, digest);
    if (parsed.kind === "index") {
      for (const below of parsed.index.manifests) await need(store, below.digest, needed);
    }
  } catch {
    // Nothing that can be read leads any further.
  }
}

function needImage(image: StoredImage, needed: Needed): void {
  needed.blobs.add(image.configDigest);
  for (const { digest } of image.layers) needed.blobs.add(digest);
  needed.rootfs.add(rootFileSystemKey(image.config.diffIds));
}

function namesIn(image: StoredImage): string[] {
  return [...blobsOf(image), rootFileSystemKey(image.config.diffIds)];
}

async function sweep(
  store: ImageStore,
  needed: Needed,
  released: ReadonlySet<string>,
  { partial, only, dryRun = false }: SweepOptions,
): Promise<Omit<Removed, "references">> {
  const counts = { dryRun, manifests: 0, layers: 0, rootFileSystems: 0, bytes: 0 };
  const goes = (name: string, changed: Date): boolean => {
    if (only?.has(name) === true || released.has(name)) return true;
    return needed.isAll && (only === undefined || changed < only.before);
  };
  const doomed: string[] = [];
  for (const algorithm of ["sha256", "sha512"]) {
    for (const hex of await readdir(join(store.blobs, algorithm)).catch(() => [])) {
      const digest = `${algorithm}:${hex}`;
      if (needed.blobs.has(digest)) continue;
      if (goes(digest, await changedAt(join(store.blobs, algorithm, hex)))) doomed.push(digest);
    }
  }
  const configs = new Set<string>();
  const manifests = new Set<string>();
  for (const digest of doomed) {
    const image = await readStoredImage(store, digest);
    if (image === null) continue;
    manifests.add(digest);
    configs.add(image.configDigest);
  }
  for (const digest of doomed) {
    await removeFile(join(store.blobs, ...digest.split(":")), counts);
    if (manifests.has(digest)) counts.manifests += 1;
    else if (!configs.has(digest)) counts.layers += 1;
  }
  for (const name of await readdir(store.rootfs).catch(() => [])) {
    const [key = "", ...rest] = name.split(".");
    if (needed.rootfs.has(key) && rest.join(".") === "erofs") continue;
    // What is beside it is what a killed importer left: nobody goes on with that.
    if (rest.join(".") === "erofs" && !goes(key, await changedAt(join(store.rootfs, name)))) continue;
    if (!(await removeUnlessLocked(store.rootfs, name, `${key}.erofs.lock`, counts))) continue;
    if (rest.join(".") === "erofs") counts.rootFileSystems += 1;
  }
  if (partial) await sweepIngest(store, only, counts);
  const { manifests: manifestCount, layers, rootFileSystems, bytes } = counts;
  return { manifests: manifestCount, layers, rootFileSystems, bytes };
}

interface Counted {
  readonly dryRun: boolean;
  bytes: number;
}

async function sweepIngest(store: ImageStore, only: Doomed | undefined, counts: Counted): Promise<void> {
  for (const name of await readdir(store.ingest).catch(() => [])) {
    if (name.endsWith(".tmp")) {
      const path = join(store.ingest, name);
      const found = await stat(path).catch(() => null);
      if (found !== null && Date.now() - found.mtimeMs > asideMs) await removeFile(path, counts);
      continue;
    }
    const base = name.replace(/\.lock$/, "");
    const digest = base.replace("-", ":");
    // The beginning of a blob; all else is a lock, or what a killed load has unpacked.
    const isPart = name === base && parseDigest(digest) !== null;
    if (isPart && only?.has(digest) === false && (await changedAt(join(store.ingest, name))) >= only.before)
      continue;
    await removeUnlessLocked(store.ingest, name, `${base}.lock`, counts);
  }
}

async function changedAt(path: string): Promise<Date> {
  return (await stat(path).catch(() => null))?.mtime ?? new Date();
}

/** Removes what an ended process left aside; what someone works on is locked. */
async function removeUnlessLocked(
  directory: string,
  name: string,
  lockName: string,
  counts: Counted,
): Promise<boolean> {
  const lockPath = join(directory, lockName);
  const lock = await tryLockFile(lockPath);
  if (lock === null) return false;
  try {
    if (name !== lockName) await removeFile(join(directory, name), counts);
    return name !== lockName;
  } finally {
    // Nobody holds it, so it says nothing: it goes in a dry run too, which may just have made it.
    await rm(lockPath, { force: true });
    await lock.release();
  }
}

/** What st_blocks counts in (stat(2)), whatever the file system's blocks are. */
const blockBytes = 512;

async function removeFile(path: string, counts: Counted): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found?.isDirectory() === true) counts.bytes += await treeUsage(path).catch(() => 0);
  else counts.bytes += (found?.blocks ?? 0) * blockBytes;
  if (!counts.dryRun) await rm(path, { force: true, recursive: true });
}
