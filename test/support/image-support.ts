import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { importLayers, type ImportResult } from "../../src/image/import/import-layers.ts";
import type { LayerSource } from "../../src/image/import/layer-source.ts";
import { defaultImportLimits, type ImportLimits } from "../../src/image/import/limits.ts";
import { readErofs, type ReadFile } from "./erofs-reader.ts";

const execFileAsync = promisify(execFile);

/** Runs a program and returns what it wrote; fails with its words when it fails. */
export async function run(program: string, args: readonly string[], cwd?: string): Promise<string> {
  const { stdout } = await execFileAsync(program, args, { cwd, maxBuffer: 1 << 28, timeout: 240_000 });
  return stdout;
}

export async function hasPrograms(...programs: readonly string[]): Promise<boolean> {
  try {
    for (const program of programs) await run("sh", ["-c", `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
}

/** A directory that goes with the test. */
export async function workDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "msb-image-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A layer of these bytes; `stored` are the bytes as they stand in the store. */
export function layerOf(tar: Uint8Array, stored: Uint8Array = tar, description = "one"): LayerSource {
  return {
    open: () => Readable.from(pieces(stored), { objectMode: false }),
    diffId: `sha256:${createHash("sha256").update(tar).digest("hex")}`,
    description,
  };
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

/** Imports tars, the lowest first, and reads the image back. */
export async function imported(...tars: readonly Uint8Array[]): Promise<Map<string, ReadFile>> {
  await using work = await workDirectory();
  const output = join(work.path, "image");
  await importLayers(
    tars.map((tar, index) => layerOf(tar, tar, `layer ${index}`)),
    output,
    defaultImportLimits,
  );
  if (await hasPrograms("fsck.erofs")) await run("fsck.erofs", ["--extract", output]);
  return await readErofs(output);
}

/** What an import that must fail failed with, after a look at what it left. */
export async function refused(
  layers: readonly LayerSource[],
  limits: Partial<ImportLimits> = {},
): Promise<{
  readonly error: unknown;
  readonly left: readonly string[];
  readonly result: ImportResult | null;
}> {
  await using work = await workDirectory();
  let error: unknown = null;
  let result: ImportResult | null = null;
  try {
    result = await importLayers(layers, join(work.path, "image"), { ...defaultImportLimits, ...limits });
  } catch (reason) {
    error = reason;
  }
  return { error, result, left: await readdir(work.path) };
}
