import type { BigIntStats } from "node:fs";
import { lstat, readFile, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Home } from "../home.ts";
import { hostBootId } from "../../host/system/host-boot.ts";
import { errorCode } from "../../host/system-error.ts";
import { dropTemplate } from "./template-removal.ts";
import {
  isTemplateKey,
  parseTemplateRecord,
  templateFileNames,
  type TemplateFile,
  type TemplateRecord,
} from "./template-record.ts";

/**
 * `$MSB_HOME/templates/<key>/`: the memory and the state of a machine that has booted, from which others start. The key, 64
 * hexadecimal digits, stands for everything that must be the same. A template is a cache: it can go at any moment, and what
 * was started from it does not notice.
 *
 * It holds memory that will be executed. So it is used only if nobody else could have written it, and only if its files
 * are, by size, time and inode, those that were saved. That costs one read and a few looks, not a hash of everything.
 *
 * Reading order: this file (using one), `template-record.ts`, `template-staging.ts`, `template-removal.ts`,
 * `template-eviction.ts` (which there are, and when old ones go), `template-hashes.ts` (contents), `template-settings.ts`.
 */
export interface Template {
  readonly key: string;
  readonly directory: string;
  /** Of the directory: another template of this key has another one. */
  readonly inode: bigint;
  readonly record: TemplateRecord;
  readonly paths: TemplatePaths;
}

export interface TemplatePaths {
  readonly record: string;
  /** The guest's memory, as long as that is, with holes where it is zero. */
  readonly memory: string;
  /** Everything else of the machine, as QEMU migrates it. */
  readonly state: string;
  /** Image templates only: the upper disk at that moment, packed by `packExtents`. */
  readonly upper: string;
  /** Of the files' contents, once they were computed. */
  readonly hashes: string;
}

export function templatePaths(directory: string): TemplatePaths {
  return {
    record: join(directory, "template.json"),
    memory: join(directory, "memory"),
    state: join(directory, "state"),
    upper: join(directory, "upper.extents"),
    hashes: join(directory, "hashes.json"),
  };
}

export function templateDirectory(home: Home, key: string): string {
  if (!isTemplateKey(key)) throw new TypeError(`${JSON.stringify(key)} is no template's key`);
  return join(home.templates, key);
}

export interface DroppedTemplate {
  /** One clause. */
  readonly reason: string;
  /** Whether it was damaged, and so removed; else it only cannot be reached now. */
  readonly isRemoved: boolean;
}

export interface OpenedTemplate {
  /** Null when there is none that can be used. */
  readonly template: Template | null;
  /** Why none of this key can be made here; null when one may be tried. */
  readonly unusable: string | null;
  /** The one that was there and is not used; null when there was none. */
  readonly dropped: DroppedTemplate | null;
}

/**
 * Finds the template of a key, and marks it as used now.
 *
 * @throws TypeError when the key is none. Never because of what is or is not on the disk: without a template a sandbox boots.
 */
export async function openTemplate(home: Home, key: string): Promise<OpenedTemplate> {
  const found = await inspectTemplate(home, key);
  if (found.status === "missing") return { template: null, unusable: null, dropped: null };
  if (found.status === "damaged") {
    const seen = found.inode === null ? null : { key, inode: found.inode };
    if (seen !== null) await dropTemplate(home, seen).catch(() => undefined);
    return { template: null, unusable: null, dropped: { reason: found.reason, isRemoved: seen !== null } };
  }
  const { template } = found;
  await markUsed(template.directory);
  // What did not work may work after the host was started anew: with another kernel, or another load.
  const holds = template.record.hostBoot === (await hostBootId());
  if (template.record.unusable !== null && !holds) {
    await dropTemplate(home, template).catch(() => undefined);
    return { template: null, unusable: null, dropped: null };
  }
  const { unusable } = template.record;
  return { template: unusable === null ? template : null, unusable, dropped: null };
}

/** The ones that were not used for longest go first. */
export async function markUsed(directory: string): Promise<void> {
  const now = new Date();
  await utimes(templatePaths(directory).record, now, now).catch(() => undefined);
}

/** What is there under a key. */
export type TemplateInspection =
  | { readonly status: "missing" }
  | {
      readonly status: "damaged";
      /** One clause. */
      readonly reason: string;
      /** Of what stands in its place; null when it may be well, and only cannot be reached now. */
      readonly inode: bigint | null;
    }
  | { readonly status: "intact"; readonly template: Template; readonly lastUsedAt: Date };

/** Looks at a template and changes nothing. */
export async function inspectTemplate(home: Home, key: string): Promise<TemplateInspection> {
  const directory = templateDirectory(home, key);
  try {
    const parent = await statOrNull(home.templates, stat);
    if (parent === null) return { status: "missing" };
    const foreign = distrust(parent, "directory");
    if (foreign !== null) {
      return { status: "damaged", reason: `the directory of all templates ${foreign}`, inode: null };
    }
    const found = await statOrNull(directory, lstat);
    if (found === null) return { status: "missing" };
    const wrong = distrust(found, "directory");
    if (wrong !== null) return { status: "damaged", reason: `its directory ${wrong}`, inode: found.ino };
    const inspection = await inspectInside(key, directory, found.ino);
    if (inspection.status === "damaged" && (await statOrNull(directory, lstat))?.ino !== found.ino) {
      // It was removed or replaced while it was looked at.
      return await inspectTemplate(home, key);
    }
    return inspection;
  } catch (error) {
    // Too many open files, a disk that does not answer: no reason to remove anything.
    const reason = `it cannot be looked at (${errorCode(error) ?? String(error)})`;
    return { status: "damaged", reason, inode: null };
  }
}

async function inspectInside(key: string, directory: string, inode: bigint): Promise<TemplateInspection> {
  const paths = templatePaths(directory);
  const damaged = (reason: string): TemplateInspection => ({ status: "damaged", reason, inode });
  const recordFile = await statOrNull(paths.record, lstat);
  const wrong = recordFile === null ? "is missing" : distrust(recordFile, "file");
  if (recordFile === null || wrong !== null) return damaged(`template.json ${wrong ?? ""}`);
  const record = await readRecord(paths.record);
  if (record === null) return damaged("template.json is not valid");
  const reason = (await findOlderBoot(record)) ?? (await findChange(directory, record));
  if (reason !== null) return damaged(reason);
  return {
    status: "intact",
    template: { key, directory, inode, record, paths },
    lastUsedAt: recordFile.mtime,
  };
}

/** @returns null when it is none, or has just been removed */
async function readRecord(path: string): Promise<TemplateRecord | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
  try {
    return parseTemplateRecord(text);
  } catch {
    return null;
  }
}

/** What has not been fsynced may be full of zeros after the host was switched off, and look the same from outside. */
async function findOlderBoot({ durable, hostBoot, unusable }: TemplateRecord): Promise<string | null> {
  if (durable || unusable !== null) return null;
  if (hostBoot !== null && hostBoot === (await hostBootId())) return null;
  return "it was made before the host was started, and had not reached the disk for certain";
}

async function findChange(directory: string, record: TemplateRecord): Promise<string | null> {
  const names = templateFileNames(record);
  const reasons = await Promise.all(
    names.map(async (name) => {
      const expected = record.files[name];
      if (expected === undefined) return `template.json does not know ${name}`;
      const found = await statOrNull(join(directory, name), lstat);
      if (found === null) return `${name} is missing`;
      const wrong = distrust(found, "file") ?? change(found, expected);
      return wrong === null ? null : `${name} ${wrong}`;
    }),
  );
  return reasons.find((reason) => reason !== null) ?? null;
}

function change(found: BigIntStats, expected: TemplateFile): string | null {
  if (found.size !== BigInt(expected.size)) {
    return `has ${String(found.size)} bytes instead of ${expected.size}`;
  }
  const now = describeFile(found);
  if (now.inode !== expected.inode) return "is another file than the one that was saved";
  return now.mtimeNs === expected.mtimeNs ? null : "was changed after it was saved";
}

export function describeFile(found: BigIntStats): TemplateFile {
  return { size: Number(found.size), mtimeNs: String(found.mtimeNs), inode: String(found.ino) };
}

/** @returns null when there is nothing */
async function statOrNull(
  path: string,
  read: (path: string, options: { readonly bigint: true }) => Promise<BigIntStats>,
): Promise<BigIntStats | null> {
  try {
    return await read(path, { bigint: true });
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
}

/** Why what was found is not to be trusted: of another kind, or someone else may write it. Null when all is well. */
export function distrust(found: BigIntStats, kind: "directory" | "file"): string | null {
  if (kind === "directory" ? !found.isDirectory() : !found.isFile()) return `is no ${kind}`;
  if (process.getuid !== undefined && found.uid !== BigInt(process.getuid()))
    return "belongs to another user";
  return (found.mode & 0o022n) === 0n ? null : "can be written by other users";
}
