import type { Duplex } from "node:stream";

/** Pieces that are not longer in all are copied into one: a record of TLS, or a segment, for each would cost more. */
const joinBytes = 16 * 1024;

/**
 * What one side is told. Pieces wait until `flush()`, and go out together; those that lie side by side in memory, as most of what is
 * passed on unchanged does, are one again.
 */
export class Outlet {
  readonly #to: Duplex;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #hasEnded = false;

  constructor(to: Duplex) {
    this.#to = to;
  }

  /** Whether who is told has yet to take what it was told: then it should be told no more. */
  get isFull(): boolean {
    return this.#to.writableNeedDrain;
  }

  /** Waits until it is told no more than it takes, or nothing any more. */
  async drained(): Promise<void> {
    const to = this.#to;
    if (!to.writableNeedDrain || to.destroyed) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        to.off("drain", done).off("close", done);
        resolve();
      };
      to.on("drain", done).on("close", done);
    });
  }

  /** What waits for `flush()`, in bytes. */
  get waiting(): number {
    return this.#bytes;
  }

  push(bytes: Buffer): void {
    if (bytes.length === 0 || this.#hasEnded) return;
    const last = this.#pieces.at(-1);
    this.#bytes += bytes.length;
    if (last?.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset)
      this.#pieces[this.#pieces.length - 1] = Buffer.from(
        bytes.buffer,
        last.byteOffset,
        last.length + bytes.length,
      );
    else this.#pieces.push(bytes);
  }

  flush(): void {
    const pieces = this.#pieces;
    const [first] = pieces;
    if (first === undefined || !this.#to.writable) {
      this.#forget();
      return;
    }
    if (pieces.length === 1) this.#to.write(first);
    else if (this.#bytes <= joinBytes) this.#to.write(Buffer.concat(pieces, this.#bytes));
    else {
      this.#to.cork();
      for (const piece of pieces) this.#to.write(piece);
      this.#to.uncork();
    }
    this.#forget();
  }

  /** Nothing comes after what was pushed. */
  end(): void {
    if (this.#hasEnded) return;
    this.flush();
    this.#hasEnded = true;
    if (this.#to.writable) this.#to.end();
  }

  #forget(): void {
    if (this.#pieces.length > 0) this.#pieces = [];
    this.#bytes = 0;
  }
}
