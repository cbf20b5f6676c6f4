import { ImageError } from "../../errors/index.ts";

/** How much of the host an image may take while it is made. */
export interface TreeLimits {
  /** Files, directories and links, those that a later layer hides included. */
  readonly maxEntries: number;
  /** Bytes of names, link targets, extended attributes and chunk maps: what is kept in memory. */
  readonly maxMetadataBytes: number;
  /** Bytes of one file as a program sees it, holes included. */
  readonly maxFileBytes: number;
  /** Bytes of the finished image. */
  readonly maxImageBytes: number;
}

/** More than the deepest trees that people keep have levels. */
const stepsPerEntry = 64;
/** A tenth of a second's work. */
const freeSteps = 1_000_000;

/** Counts what a tree takes and refuses more than its limits. */
export class Budget {
  readonly limits: TreeLimits;
  #entries = 0;
  #metadata = 0;
  #steps = 0;

  constructor(limits: TreeLimits) {
    this.limits = limits;
  }

  get entries(): number {
    return this.#entries;
  }

  entry(): void {
    if (++this.#entries > this.limits.maxEntries) {
      throw new ImageError(`the image has more than ${this.limits.maxEntries} entries`, {
        hint: limitHint("max_entries"),
      });
    }
  }

  metadata(bytes: number): void {
    this.#metadata += bytes;
    if (this.#metadata > this.limits.maxMetadataBytes) {
      throw new ImageError(
        `the names, links and attributes of the image take more than ${this.limits.maxMetadataBytes} bytes`,
        { hint: limitHint("max_metadata_mib") },
      );
    }
  }

  /**
   * Counts directories and links that are gone through on the way to entries: in proportion to the entries, so that
   * names which lead through each other cannot make few entries take long.
   */
  steps(count: number): void {
    this.#steps += count;
    if (this.#steps > freeSteps + stepsPerEntry * this.#entries) {
      throw new ImageError("its name, or a link in it, is too long to follow that often");
    }
  }

  file(size: number): void {
    if (size > this.limits.maxFileBytes) {
      throw new ImageError(`a file has ${size} bytes, more than ${this.limits.maxFileBytes}`, {
        hint: limitHint("max_file_mib"),
      });
    }
  }
}

/** @param setting of `images` in config.json */
export function limitHint(setting: string): string {
  return (
    "This may be an image made to fill the host's disk or memory. " +
    `If you trust it, raise images.${setting} in config.json.`
  );
}
