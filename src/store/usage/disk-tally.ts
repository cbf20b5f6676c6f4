import { lstatSync } from "node:fs";
import { setImmediate as otherWork } from "node:timers/promises";
import { walkTree } from "../../host/contained/walk-tree.ts";
import { errorCode, ioError } from "../../host/system-error.ts";

/** Bytes on the host's disk. */
export interface DiskUsage {
  /** What would be free if it were removed. */
  readonly ownBytes: number;
  /** Of files that have another name elsewhere: it would stay. */
  readonly sharedBytes: number;
}

/** What st_blocks counts in (stat(2)), whatever the file system's blocks are. */
const blockBytes = 512;
/** Other work of this process waits no longer than so many files take, some milliseconds. */
const filesAtOnce = 256;

interface Totals {
  ownBytes: number;
  sharedBytes: number;
}

interface Status {
  readonly blocks: bigint;
  readonly dev: bigint;
  readonly ino: bigint;
  readonly nlink: bigint;
  isDirectory(): boolean;
}

/** A file with several names. */
interface Linked<Part> {
  /** In which it was met first. */
  readonly part: Part;
  readonly bytes: number;
  readonly links: bigint;
  names: bigint;
}

/**
 * Adds up what parts of something take on the disk: blocks that are there, not lengths. A file counts once, in the part in which one of its
 * names was met first, and as shared as long as not all of its names were met. What two files share without being one (reflinks) cannot be
 * seen: it counts in both.
 */
export class DiskTally<Part extends string> {
  readonly #singles = new Map<Part, number>();
  readonly #linked = new Map<string, Linked<Part>>();
  #files = 0;

  /**
   * A file, or a directory with all that is in it. Nothing when it is not there; what comes and goes meanwhile may or may not be counted, and
   * what cannot be read is not.
   *
   * @throws IoError about the path itself
   */
  async add(part: Part, path: string): Promise<void> {
    try {
      const status = lstatSync(path, { bigint: true });
      this.#count(part, status);
      if (!status.isDirectory()) return;
      for (const { status: below } of walkTree(path)) {
        this.#count(part, below);
        this.#files += 1;
        if (this.#files % filesAtOnce === 0) await otherWork();
      }
    } catch (error) {
      const code = errorCode(error);
      if (code !== "ENOENT" && code !== "ENOTDIR") throw ioError(`look at ${path}`, error);
    }
  }

  /** A file that has no name any more: others may have it open, too, and so it is shared. */
  addHeld(part: Part, status: Status): void {
    const identity = identityOf(status);
    if (this.#linked.has(identity)) return;
    this.#linked.set(identity, { part, bytes: bytesOf(status), links: 1n, names: 0n });
  }

  /** What was added of a part. */
  of(part: Part): DiskUsage {
    const totals: Totals = { ownBytes: this.#singles.get(part) ?? 0, sharedBytes: 0 };
    for (const linked of this.#linked.values()) if (linked.part === part) addLinked(totals, linked);
    return totals;
  }

  /** What was added of all of them. */
  all(): DiskUsage {
    const totals: Totals = { ownBytes: 0, sharedBytes: 0 };
    for (const bytes of this.#singles.values()) totals.ownBytes += bytes;
    for (const linked of this.#linked.values()) addLinked(totals, linked);
    return totals;
  }

  /** All of a part, its own or not. */
  bytesOf(part: Part): number {
    const { ownBytes, sharedBytes } = this.of(part);
    return ownBytes + sharedBytes;
  }

  #count(part: Part, status: Status): void {
    const bytes = bytesOf(status);
    if (status.nlink <= 1n || status.isDirectory()) {
      this.#singles.set(part, (this.#singles.get(part) ?? 0) + bytes);
      return;
    }
    const known = this.#linked.get(identityOf(status));
    if (known !== undefined) known.names += 1n;
    else this.#linked.set(identityOf(status), { part, bytes, links: status.nlink, names: 1n });
  }
}

function bytesOf({ blocks }: Status): number {
  return Number(blocks) * blockBytes;
}

function identityOf({ dev, ino }: Status): string {
  return `${dev}:${ino}`;
}

function addLinked(totals: Totals, { bytes, links, names }: Linked<string>): void {
  if (names >= links) totals.ownBytes += bytes;
  else totals.sharedBytes += bytes;
}
