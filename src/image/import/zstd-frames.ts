import { ImageError } from "../../errors/index.ts";

type State =
  "magic" | "descriptor" | "frameHeader" | "blockHeader" | "blockData" | "checksum" | "skipSize" | "skip";

const frameMagic = 0xfd2f_b528;

/**
 * Passes a zstd stream on in pieces that never cross from one frame to the next, and leaves skippable frames out.
 *
 * Node's decompressor takes a piece's bytes behind a frame for garbage and drops them, while layers of several frames
 * are common: `pzstd`, and `zstd:chunked`, which has skippable ones too. Fed to the end of a frame and no further, it
 * goes on with the next frame.
 *
 * Format: RFC 8878, sections 3.1.1 (frames and blocks) and 3.1.2 (skippable frames).
 *
 * @throws ImageError when something that is no frame follows a frame, or the stream stops inside one
 */
export async function* splitZstdFrames(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const frames = new FrameCounter();
  for await (const chunk of input) {
    let start = 0;
    for (let at = 0; at < chunk.length;) {
      const wasSkipping = frames.isSkipping;
      at = frames.advance(chunk, at);
      // The bytes of a skippable frame's own header went out already: they make no difference to be told apart from
      // the magic of a frame, so that magic is only passed on once it is complete.
      if (frames.magic !== null) {
        if (!frames.isSkipping) yield frames.magic;
        frames.magic = null;
        start = at;
      } else if (wasSkipping) start = at;
      else if (frames.isBetween) {
        if (at > start) yield chunk.subarray(start, at);
        start = at;
      }
    }
    if (start < chunk.length && !frames.isSkipping && !frames.isBetween) yield chunk.subarray(start);
  }
  if (!frames.isBetween || frames.hasPartialMagic) throw truncated();
}

/** Follows a zstd stream's structure without decompressing it. */
class FrameCounter {
  #state: State = "magic";
  /** Bytes of a field that came so far. */
  readonly #field = Buffer.alloc(4);
  #filled = 0;
  /** Bytes to pass: of a block, a header or a skippable frame. */
  #left = 0;
  #hasChecksum = false;
  #isLast = false;
  /** A magic number that was just completed, until someone takes it. */
  magic: Buffer | null = null;

  /** Whether a frame, skippable or not, is complete, or none has begun. */
  get isBetween(): boolean {
    return this.#state === "magic";
  }

  get hasPartialMagic(): boolean {
    return this.#filled > 0;
  }

  get isSkipping(): boolean {
    return this.#state === "skip" || this.#state === "skipSize";
  }

  /** Takes some bytes, at most to the end of a field. @returns where it stopped */
  advance(chunk: Buffer, at: number): number {
    switch (this.#state) {
      case "magic":
      case "skipSize":
        return this.#takeField(chunk, at, 4);
      case "blockHeader":
        return this.#takeField(chunk, at, 3);
      case "descriptor":
        return this.#takeField(chunk, at, 1);
      default: {
        const end = Math.min(chunk.length, at + this.#left);
        this.#left -= end - at;
        if (this.#left === 0) this.#passed();
        return end;
      }
    }
  }

  #takeField(chunk: Buffer, at: number, length: number): number {
    const end = Math.min(chunk.length, at + length - this.#filled);
    this.#field.set(chunk.subarray(at, end), this.#filled);
    this.#filled += end - at;
    if (this.#filled === length) {
      this.#filled = 0;
      this.#complete(length);
    }
    return end;
  }

  #complete(length: number): void {
    const value = this.#field.readUIntLE(0, length);
    switch (this.#state) {
      case "magic":
        this.magic = Buffer.from(this.#field);
        if (value === frameMagic) this.#state = "descriptor";
        else if ((value & 0xffff_fff0) >>> 0 === 0x184d_2a50) this.#state = "skipSize";
        else throw new ImageError("its compressed data is corrupt: something else follows a zstd frame");
        return;
      case "skipSize":
        this.#pass("skip", value);
        return;
      case "descriptor": {
        this.#hasChecksum = (value & 4) !== 0;
        const singleSegment = (value & 0x20) !== 0;
        const sizeFlag = value >>> 6;
        const sizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << sizeFlag;
        const dictionaryBytes = [0, 1, 2, 4][value & 3] ?? 0;
        this.#pass("frameHeader", (singleSegment ? 0 : 1) + dictionaryBytes + sizeBytes);
        return;
      }
      default: {
        this.#isLast = (value & 1) !== 0;
        const isRunLength = ((value >>> 1) & 3) === 1;
        this.#pass("blockData", isRunLength ? 1 : value >>> 3);
      }
    }
  }

  #pass(state: State, bytes: number): void {
    this.#state = state;
    this.#left = bytes;
    if (bytes === 0) this.#passed();
  }

  #passed(): void {
    switch (this.#state) {
      case "frameHeader":
        this.#state = "blockHeader";
        return;
      case "blockData":
        if (!this.#isLast) this.#state = "blockHeader";
        else if (this.#hasChecksum) this.#pass("checksum", 4);
        else this.#state = "magic";
        return;
      default:
        this.#state = "magic";
    }
  }
}

function truncated(): ImageError {
  return new ImageError("its compressed data is corrupt: the zstd stream is truncated", {
    hint: "The layer is damaged: remove the image and pull it again.",
  });
}
