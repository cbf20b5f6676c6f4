import { lstat, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { keyed } from "../../config/keys/keyed.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import type { Home } from "../home.ts";
import { readChunk } from "../../host/files/read-chunk.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { templateFileNames, templateRecordJson } from "./template-record.ts";
import { inspectTemplate, templatePaths, type Template } from "./templates.ts";

/** What is slower than a start can wait for: bringing a template to the disk, and hashes of its contents. */

const chunkBytes = 1024 * 1024;

const hashesSchema = v.object({ format: v.literal(1), files: keyed(v.string()) });

/**
 * Brings a template's files to the disk and notes that they are there: from then on it is good for later boots of the host
 * too. To be done after the sandbox runs: it waits for the disk.
 *
 * @returns false when the template is gone, or another one is in its place
 * @throws IoError
 */
export async function markDurable(home: Home, template: Template, signal?: AbortSignal): Promise<boolean> {
  const { directory, record } = template;
  try {
    for (const name of [...templateFileNames(record), ".", ".."]) {
      signal?.throwIfAborted();
      await using file = await open(join(directory, name), "r");
      await file.sync();
    }
    if (!(await isStillThere(home, template))) return false;
    await writeFileAtomically(template.paths.record, templateRecordJson({ ...record, durable: true }));
    return true;
  } catch (error) {
    signal?.throwIfAborted();
    if (!(await isStillThere(home, template))) return false;
    throw ioError(`bring the template ${directory} to the disk`, error);
  }
}

/**
 * Computes the hashes of a template's contents and keeps them beside it, for `verifyTemplate`. Reads everything; other work
 * of this process goes on meanwhile.
 *
 * @returns false when the template is gone, or another one is in its place
 * @throws IoError, or the reason of the signal
 */
export async function hashTemplate(home: Home, template: Template, signal?: AbortSignal): Promise<boolean> {
  const { directory, record, paths } = template;
  const files: Record<string, string> = {};
  try {
    for (const name of templateFileNames(record)) {
      files[name] = await hashSparseFile(join(directory, name), signal);
    }
    // A file that was changed before it was read would otherwise be taken for what was saved.
    if (!(await isStillThere(home, template))) return false;
    await writeFileAtomically(paths.hashes, `${JSON.stringify({ format: 1, files }, null, 2)}\n`);
    return true;
  } catch (error) {
    signal?.throwIfAborted();
    if (!(await isStillThere(home, template))) return false;
    throw ioError(`compute the hashes of the template ${directory}`, error);
  }
}

/** Whether the hashes of a template's contents were computed. */
export async function hasHashes(directory: string): Promise<boolean> {
  return (await lstat(templatePaths(directory).hashes).catch(() => null)) !== null;
}

export interface TemplateVerdict {
  readonly status: "verified" | "damaged" | "unchecked";
  /** One clause on why; empty when verified. */
  readonly detail: string;
}

/** Reads all of a template and compares its contents with their hashes. Changes nothing. @throws the reason of the signal */
export async function verifyTemplate(
  home: Home,
  key: string,
  signal?: AbortSignal,
): Promise<TemplateVerdict> {
  const inspection = await inspectTemplate(home, key);
  if (inspection.status === "missing") return { status: "unchecked", detail: "it is gone" };
  if (inspection.status === "damaged") return { status: "damaged", detail: inspection.reason };
  const { directory, record, paths } = inspection.template;
  if (record.unusable !== null) return { status: "verified", detail: "" };
  let known: Readonly<Record<string, string>>;
  try {
    known = v.parse(hashesSchema, JSON.parse(await readFile(paths.hashes, "utf8"))).files;
  } catch (error) {
    const missing = errorCode(error) === "ENOENT";
    return {
      status: "unchecked",
      detail: missing ? "its hashes were never computed" : "hashes.json is not valid",
    };
  }
  for (const name of templateFileNames(record)) {
    const expected = known[name];
    if (expected === undefined) return { status: "unchecked", detail: `hashes.json does not know ${name}` };
    try {
      if ((await hashSparseFile(join(directory, name), signal)) !== expected) {
        return { status: "damaged", detail: `the content of ${name} is not what was saved` };
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (errorCode(error) === "ENOENT") return { status: "unchecked", detail: "it is gone" };
      return { status: "damaged", detail: `${name} cannot be read (${errorCode(error) ?? String(error)})` };
    }
  }
  return { status: "verified", detail: "" };
}

async function isStillThere(home: Home, { key, inode }: Template): Promise<boolean> {
  const now = await inspectTemplate(home, key);
  return now.status === "intact" && now.template.inode === inode;
}

/**
 * One hash of a file's length and of every MiB of it that is not all zeros: the same wherever its holes are. The parts are
 * hashed off this thread, so that nothing waits for them but their own reader.
 */
export async function hashSparseFile(path: string, signal?: AbortSignal): Promise<string> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const zeros = Buffer.alloc(chunkBytes);
  const chunk = Buffer.alloc(chunkBytes);
  const parts = [Buffer.from(`${size}\n`)];
  for (let start = 0; start < size; start += chunkBytes) {
    signal?.throwIfAborted();
    const length = await readChunk(file, chunk, start);
    const data = chunk.subarray(0, length);
    if (data.compare(zeros, 0, length) === 0) continue;
    const digest = Buffer.from(await crypto.subtle.digest("SHA-256", data)).toString("hex");
    parts.push(Buffer.from(`${start} ${digest}\n`));
  }
  return Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.concat(parts))).toString("hex");
}
