import { MAX_DATA_PAYLOAD } from "../../protocol/generated/limits.ts";

/** A large chunk is there until so many other large ones were given: whoever gathers what comes has written it by then. */
const lentAtATime = 8;
/** Bytes; a smaller chunk has memory of its own. Else whoever sends many small ones would make each take as much as a large one. */
const large = 32 * 1024;

/** Memory for the chunks of a stream that are done with soon after they were given: it is used again. */
export class LentChunks {
  readonly #free: Buffer[] = [];
  readonly #given: Buffer[] = [];

  /** A copy of what arrived. */
  copy(bytes: Buffer): Buffer {
    if (bytes.length < large) return Buffer.from(bytes);
    const chunk = (this.#free.pop() ?? Buffer.allocUnsafeSlow(MAX_DATA_PAYLOAD)).subarray(0, bytes.length);
    chunk.set(bytes);
    return chunk;
  }

  /** A chunk was given to who reads the stream. */
  given(chunk: Buffer): void {
    if (chunk.length < large) return;
    const memory = Buffer.from(chunk.buffer, chunk.byteOffset, MAX_DATA_PAYLOAD);
    if (this.#given.push(memory) <= lentAtATime) return;
    const used = this.#given.shift();
    if (used !== undefined) this.#free.push(used);
  }
}
