/**
 * Makes a root file system in a process of its own, and prints as JSON on stdout what it took. For image-memory.test.ts.
 *
 *     node image-memory-main.ts '<MemoryCase as JSON>'
 */
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { parseImageConfig } from "../../src/image/image-config.ts";
import { importLayers } from "../../src/image/import/import-layers.ts";
import { defaultImportLimits } from "../../src/image/import/limits.ts";

export interface MemoryCase {
  /** The image's configuration, a file. */
  readonly config: string;
  /** The lowest first. */
  readonly layers: readonly { readonly path: string; readonly diffId: string }[];
  /** The image that is made. */
  readonly output: string;
}

export interface MemoryResult {
  readonly entries: number;
  /** The highest resident memory of the process so far. */
  readonly peakBytes: number;
}

async function main(): Promise<void> {
  const { config, layers, output } = JSON.parse(process.argv[2] ?? "") as MemoryCase;
  // As a pull has it: kept while the layers are read.
  const kept = parseImageConfig(await readFile(config), layers.length, "the config");
  const sources = layers.map(({ path, diffId }) => ({
    open: () => createReadStream(path, { highWaterMark: 1 << 20 }),
    diffId,
    description: path,
  }));
  const { entries } = await importLayers(sources, output, defaultImportLimits);
  // In KiB, on every system (Node's process.resourceUsage).
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  const result: MemoryResult = { entries, peakBytes };
  process.stdout.write(JSON.stringify(kept.os === "linux" ? result : null));
}

await main();
