import { open, rename, unlink, type FileHandle } from "node:fs/promises";
import { errorCode, ioError } from "../system-error.ts";

export interface RotatingFileOptions {
  /** A file that has reached this size is rotated before the next write. Bytes. */
  readonly maximumBytes: number;
  /** How many files there are at most, the current one included. The oldest goes. */
  readonly maximumFiles: number;
  /** The first bytes of a new file, given how many bytes all files before it held. */
  readonly header?: (base: number) => string;
}

interface Appended {
  readonly bytes: Buffer;
  readonly done: (() => void) | undefined;
}

/**
 * Appends to `path`, and renames it to `path.1`, `path.2`… when it is full. Writes are queued, in order, and gathered into
 * few system calls. A write that fails (a full disk) drops its bytes: a log must not end what it describes.
 */
export class RotatingFile {
  readonly #path: string;
  readonly #options: RotatingFileOptions;
  #file: FileHandle | null = null;
  #size = 0;
  #base = 0;
  #queue: Appended[] = [];
  #queuedBytes = 0;
  /** Bytes that were appended and that were written (or dropped), ever. */
  #appendedBytes = 0;
  #writtenBytes = 0;
  /** Who waits until so many bytes are written; in ascending order. */
  readonly #flushes: { readonly upTo: number; readonly resolve: () => void }[] = [];
  #writing: Promise<void> | null = null;
  readonly #watchers = new Set<() => void>();
  #failure: Error | null = null;

  private constructor(path: string, options: RotatingFileOptions) {
    this.#path = path;
    this.#options = options;
  }

  /**
   * @param base how many bytes the files before `path` held, for a file that exists
   * @throws IoError
   */
  static async open(path: string, options: RotatingFileOptions, base = 0): Promise<RotatingFile> {
    const self = new RotatingFile(path, options);
    self.#base = base;
    await self.#openCurrent();
    return self;
  }

  /** How many bytes all files have held so far, with their headers. */
  get position(): number {
    return this.#base + this.#size;
  }

  /** Bytes that wait to be written. */
  get pendingBytes(): number {
    return this.#queuedBytes;
  }

  /** The latest write that failed, for a report. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** @param done called when the bytes are written, or dropped, and their memory is the caller's again */
  append(bytes: Buffer, done?: () => void): void {
    this.#queue.push({ bytes, done });
    this.#queuedBytes += bytes.length;
    this.#appendedBytes += bytes.length;
    this.#writing ??= this.#writeQueue();
  }

  /** Resolves when everything appended so far is written (or dropped), whatever is appended meanwhile. */
  flush(): Promise<void> {
    if (this.#queuedBytes === 0) return Promise.resolve();
    return new Promise((resolve) => this.#flushes.push({ upTo: this.#appendedBytes, resolve }));
  }

  /** Calls back whenever something was written. @returns stops that */
  watch(written: () => void): () => void {
    // Its own, so that one that is given twice is called twice.
    const watcher = (): void => {
      written();
    };
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  async close(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    await this.#file?.close();
    this.#file = null;
  }

  async #writeQueue(): Promise<void> {
    while (this.#queue.length > 0) {
      const room = Math.max(this.#options.maximumBytes - this.#size, 1);
      const batch: Appended[] = [];
      let bytes = 0;
      for (let next = this.#queue[0]; next !== undefined && bytes < room; next = this.#queue[0]) {
        batch.push(next);
        bytes += next.bytes.length;
        this.#queue.shift();
      }
      try {
        // null: the latest rotation got no further than moving the full file away.
        if (this.#file === null) await this.#openCurrent();
        else if (this.#size >= this.#options.maximumBytes) await this.#rotate();
        if (this.#file !== null) {
          const pieces = batch.map((appended) => appended.bytes);
          await writeAll(this.#file, pieces, bytes);
        }
        this.#size += bytes;
        for (const watcher of this.#watchers) watcher();
      } catch (error) {
        this.#failure = error instanceof Error ? error : new Error(String(error));
        await this.#remeasure();
      }
      for (const { done } of batch) done?.();
      this.#queuedBytes -= bytes;
      this.#writtenBytes += bytes;
      for (
        let flush = this.#flushes[0];
        flush !== undefined && flush.upTo <= this.#writtenBytes;
        flush = this.#flushes[0]
      ) {
        this.#flushes.shift();
        flush.resolve();
      }
    }
    this.#writing = null;
  }

  async #rotate(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
    const last = this.#options.maximumFiles - 1;
    await unlink(`${this.#path}.${last}`).catch(ignoreMissing);
    for (let n = last; n > 1; n--)
      await rename(`${this.#path}.${n - 1}`, `${this.#path}.${n}`).catch(ignoreMissing);
    await rename(this.#path, `${this.#path}.1`);
    this.#base += this.#size;
    this.#size = 0;
    await this.#openCurrent();
  }

  async #openCurrent(): Promise<void> {
    let file: FileHandle | null = null;
    try {
      file = await open(this.#path, "a", 0o600);
      this.#size = (await file.stat()).size;
      if (this.#size === 0 && this.#options.header !== undefined) {
        const header = this.#options.header(this.#base);
        await file.appendFile(header);
        this.#size = Buffer.byteLength(header);
      }
      this.#file = file;
    } catch (error) {
      // A file without its whole header would give every position in the log twice.
      if (this.#size === 0) await file?.truncate(0).catch(() => undefined);
      await file?.close();
      throw ioError(`open the log ${this.#path}`, error);
    }
  }

  /** After a write that failed, part of it may be in the file. */
  async #remeasure(): Promise<void> {
    const found = await this.#file?.stat().catch(() => null);
    if (found !== null && found !== undefined) this.#size = found.size;
  }
}

function ignoreMissing(error: unknown): void {
  if (errorCode(error) !== "ENOENT") throw error;
}

/** Of pieces that are larger on average, each is handed to the system as it is: copying them would leave as much garbage. Bytes. */
const largePiece = 4096;

async function writeAll(file: FileHandle, pieces: readonly Buffer[], bytes: number): Promise<void> {
  let left = bytes < pieces.length * largePiece ? [Buffer.concat(pieces)] : [...pieces];
  while (left.length > 0) {
    let { bytesWritten } = await file.writev(left);
    const index = left.findIndex((piece) => {
      if (bytesWritten < piece.length) return true;
      bytesWritten -= piece.length;
      return false;
    });
    left = index === -1 ? [] : left.slice(index);
    if (left[0] !== undefined) left[0] = left[0].subarray(bytesWritten);
  }
}
