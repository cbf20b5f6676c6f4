import type { TreeLimits } from "../erofs/budget.ts";

/** What an import may take of the host. */
export interface ImportLimits extends TreeLimits {
  /** Bytes of all layers together once decompressed. */
  readonly maxUncompressedBytes: number;
}

const gib = 2 ** 30;

/**
 * Enough for every image that people run, and less than harms a host: with the window of a zstd layer and the garbage that
 * the collector lets stand, memory stays below 300 MB (src/image/import/memory.test.ts).
 */
export const defaultImportLimits: ImportLimits = {
  maxUncompressedBytes: 64 * gib,
  maxEntries: 1_000_000,
  maxMetadataBytes: 32 * 2 ** 20,
  maxFileBytes: 16 * 1024 * gib,
  maxImageBytes: 64 * gib,
};
