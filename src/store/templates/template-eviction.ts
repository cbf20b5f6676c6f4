import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Home } from "../home.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { isTemplateKey, type TemplateRecord } from "./template-record.ts";
import { removeTemplate, sweepTemplateLeftovers } from "./template-removal.ts";
import { inspectTemplate } from "./templates.ts";

/** A template as found on disk. */
export interface ListedTemplate {
  readonly key: string;
  readonly inode: bigint;
  /** Null when it is damaged. */
  readonly record: TemplateRecord | null;
  /** Why it is not used, in one clause; null when it is. */
  readonly damage: string | null;
  /** What it takes on the disk, which is less than its files are long. */
  readonly diskBytes: number;
  readonly lastUsedAt: Date;
}

export interface RemovedTemplates {
  readonly templates: number;
  readonly bytes: number;
}

/** All templates, the one used last first. What is no template is passed over. @throws IoError */
export async function listTemplates(home: Home): Promise<ListedTemplate[]> {
  let names: string[];
  try {
    names = await readdir(home.templates);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw ioError(`list ${home.templates}`, error);
  }
  const found = await Promise.all(names.filter(isTemplateKey).map((key) => describeTemplate(home, key)));
  return found
    .filter((template) => template !== null)
    .sort((a, b) => b.lastUsedAt.getTime() - a.lastUsedAt.getTime() || (a.key < b.key ? -1 : 1));
}

async function describeTemplate(home: Home, key: string): Promise<ListedTemplate | null> {
  const directory = join(home.templates, key);
  const found = await lstat(directory, { bigint: true }).catch(() => null);
  const inspection = await inspectTemplate(home, key);
  // Removed between two looks.
  if (found === null || inspection.status === "missing") return null;
  const intact = inspection.status === "intact" ? inspection : null;
  return {
    key,
    inode: found.ino,
    record: intact?.template.record ?? null,
    damage: inspection.status === "damaged" ? inspection.reason : null,
    diskBytes: await diskBytes(directory),
    lastUsedAt: intact?.lastUsedAt ?? found.mtime,
  };
}

/** What a directory and the files in it take on the disk. stat(2): a block has 512 bytes here, whatever the file system's have. */
export async function diskBytes(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => []);
  const paths = [directory, ...names.map((name) => join(directory, name))];
  const sizes = await Promise.all(
    paths.map(async (path) => {
      const found = await lstat(path).catch(() => null);
      return found === null ? 0 : found.blocks * 512;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/**
 * Removes templates, first those that were not used for longest, until the rest takes no more than `limitBytes`.
 *
 * @param keep a key that stays
 * @throws IoError
 */
export async function evictTemplates(
  home: Home,
  limitBytes: number,
  keep?: string,
): Promise<RemovedTemplates> {
  const templates = await listTemplates(home);
  let total = templates.reduce((sum, template) => sum + template.diskBytes, 0);
  const removed = { templates: 0, bytes: 0 };
  for (const template of templates.toReversed()) {
    if (total <= limitBytes) break;
    if (template.key === keep) continue;
    total -= template.diskBytes;
    if (!(await removeTemplate(home, template))) continue;
    removed.templates += 1;
    removed.bytes += template.diskBytes;
  }
  return removed;
}

export interface TemplatePruning {
  /** Of those that can be used, only what nobody has used since then goes; all when it is not given. */
  readonly unusedSince?: Date | undefined;
  /** Nothing is removed: it is only found out what would be. */
  readonly dryRun?: boolean | undefined;
  /** Given up between two of them. */
  readonly signal?: AbortSignal | undefined;
}

export interface PrunedTemplates extends RemovedTemplates {
  readonly keys: readonly string[];
}

/**
 * Removes templates, and, unless it is to be found out only, what killed processes left of some. What is being made at the moment is spared.
 *
 * @throws IoError for what could not be removed, after the rest was; the reason of the signal
 */
export async function pruneTemplates(
  home: Home,
  { unusedSince, dryRun = false, signal }: TemplatePruning = {},
): Promise<PrunedTemplates> {
  const removed = { templates: 0, bytes: 0, keys: [] as string[] };
  const failures: unknown[] = [];
  for (const template of await listTemplates(home)) {
    signal?.throwIfAborted();
    const isUsed = unusedSince !== undefined && template.lastUsedAt >= unusedSince;
    if (isUsed && template.damage === null) continue;
    try {
      if (!dryRun && !(await removeTemplate(home, template))) continue;
      removed.templates += 1;
      removed.bytes += template.diskBytes;
      removed.keys.push(template.key);
    } catch (error) {
      failures.push(error);
    }
  }
  if (!dryRun) await sweepTemplateLeftovers(home);
  if (failures.length > 0) throw failures[0];
  return removed;
}
