import type { FileHandle } from "node:fs/promises";

/** Bytes that are written together. */
const stageBytes = 256 * 1024;
/** So many stages are kept for the next files. */
const mostKept = 4;

/** Stages that nobody uses. */
const free: Buffer[] = [];

/**
 * Writes what comes in any pieces to a file, from its start on, in large steps: while one step is written the next one comes together.
 * The pieces are copied, into memory that is used again.
 */
export class OrderedWrites {
  readonly #open: () => Promise<FileHandle>;
  readonly #small: boolean;
  /** Bytes that have come, holes included. */
  #position = 0;
  /** What has come of the next step; its last byte is the one before the position. */
  #pieces: Buffer[] = [];
  #stage: Buffer | null = null;
  #staged = 0;
  #writing: Promise<void> | null = null;

  /**
   * @param open gives the file, each time the same one
   * @param small nothing is written before the end, and no more than 64 KiB come
   */
  constructor(open: () => Promise<FileHandle>, small: boolean) {
    this.#open = open;
    this.#small = small;
  }

  get position(): number {
    return this.#position;
  }

  /** Takes the next bytes, which are the caller's again when this resolves. @throws the system's error, of earlier ones too */
  async add(bytes: Uint8Array): Promise<void> {
    if (this.#small) {
      this.#pieces.push(Buffer.from(bytes));
      this.#staged += bytes.length;
      this.#position += bytes.length;
      return;
    }
    for (let taken = 0; taken < bytes.length;) {
      const stage = (this.#stage ??= free.pop() ?? Buffer.allocUnsafeSlow(stageBytes));
      const part = bytes.subarray(taken, taken + stage.length - this.#staged);
      stage.set(part, this.#staged);
      taken += part.length;
      this.#staged += part.length;
      this.#position += part.length;
      if (this.#staged === stage.length) await this.#step();
    }
  }

  /** The next bytes are a hole. */
  async skip(length: number): Promise<void> {
    await this.#step();
    this.#position += length;
  }

  /** Resolves when all of it is written. @throws the system's error */
  async end(): Promise<void> {
    await this.#step();
    await this.#writing;
  }

  /** What is not written yet is not wanted any more. Resolves when nothing is being written. */
  async drop(): Promise<void> {
    this.#pieces = [];
    this.#staged = 0;
    if (this.#stage !== null) keep(this.#stage);
    this.#stage = null;
    await this.#writing?.catch(() => undefined);
  }

  /** Begins to write what has come together, when the step before is written. @throws what that failed with */
  async #step(): Promise<void> {
    await this.#writing;
    this.#writing = null;
    const bytes = this.#staged;
    if (bytes === 0) return;
    const at = this.#position - bytes;
    const pieces = this.#stage === null ? this.#pieces : [this.#stage.subarray(0, bytes)];
    const stage = this.#stage;
    this.#stage = null;
    this.#pieces = [];
    this.#staged = 0;
    this.#writing = writeAll(this.#open, pieces, at).finally(() => {
      if (stage !== null) keep(stage);
    });
    // Whoever waits for it hears of it.
    this.#writing.catch(() => undefined);
  }
}

function keep(stage: Buffer): void {
  if (free.length < mostKept) free.push(stage);
}

async function writeAll(
  open: () => Promise<FileHandle>,
  pieces: readonly Buffer[],
  at: number,
): Promise<void> {
  const handle = await open();
  let position = at;
  for (const bytes of pieces) {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position);
      done += bytesWritten;
      position += bytesWritten;
    }
  }
}
