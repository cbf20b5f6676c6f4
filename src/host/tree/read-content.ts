import type { FileHandle } from "node:fs/promises";
import { IoError } from "../../errors/index.ts";
import { readChunk } from "../files/read-chunk.ts";
import type { TreeEvent } from "./tree.ts";

/** A file of no more bytes is read at once, and ahead of its turn. */
export const smallFileBytes = 64 * 1024;
const chunkBytes = 256 * 1024;
/** A batch is full after five files that are just too large to be small, and three batches are to be there at a time. */
const ringSize = 16;
/** Holes are found in units of this many bytes: the block size of most file systems. */
const blockBytes = 4096;
const zeros = Buffer.alloc(blockBytes);

/** Where the contents of large files are read into. */
export class ContentBuffers {
  readonly #ring: Buffer[] = [];
  readonly #recycles: boolean;
  #turn = 0;

  /** @param recycles gives each buffer again when so many others have been given */
  constructor(recycles: boolean) {
    this.#recycles = recycles;
  }

  /** The one whose turn it is: the same again until it is {@link give}n. */
  get(bytes: number): Buffer {
    const buffer = (this.#ring[this.#turn] ??= Buffer.allocUnsafeSlow(this.#recycles ? chunkBytes : bytes));
    if (buffer.length >= bytes) return buffer.subarray(0, bytes);
    return (this.#ring[this.#turn] = Buffer.allocUnsafeSlow(bytes));
  }

  /** What was got last is somebody else's now. */
  give(): void {
    if (this.#recycles) this.#turn = (this.#turn + 1) % ringSize;
    else this.#ring.length = 0;
  }
}

/**
 * The content of an open file, from its start.
 *
 * Node has no SEEK_HOLE. So a file that takes less room than its size is read whole, and its blocks of zero are told as holes,
 * those that it has written out too.
 *
 * @param size as the file was opened; what was added since then is not read
 * @throws IoError when it has become shorter
 */
export async function* readContent(
  file: FileHandle,
  size: number,
  sparse: boolean,
  buffers: ContentBuffers,
): AsyncGenerator<TreeEvent> {
  for (let start = 0; start < size;) {
    const chunk = buffers.get(Math.min(chunkBytes, size - start));
    if ((await readChunk(file, chunk, start)) < chunk.length) throw becameShorter();
    start += chunk.length;
    // A batch can have the remains of any number of chunks with holes, so these are copied: they would need as many buffers.
    const events = sparse ? [...withHoles(chunk)] : null;
    if (events === null || (events.length === 1 && events[0]?.type === "data")) {
      buffers.give();
      yield { type: "data", bytes: chunk };
      continue;
    }
    for (const event of events) {
      yield event.type === "data" ? { type: "data", bytes: Buffer.from(event.bytes) } : event;
    }
  }
}

export function becameShorter(): IoError {
  return new IoError("it became shorter while it was read", { hint: "Copy it when nobody writes to it." });
}

function* withHoles(chunk: Buffer): Generator<TreeEvent> {
  let from = 0;
  let isHole = false;
  for (let at = 0; at <= chunk.length; at += blockBytes) {
    const end = Math.min(at + blockBytes, chunk.length);
    const zero = at < end && zeros.compare(chunk, at, end, 0, end - at) === 0;
    if (at < end && zero === isHole) continue;
    const until = Math.min(at, chunk.length);
    if (until > from) yield part(chunk, from, until, isHole);
    from = until;
    isHole = zero;
  }
  if (from < chunk.length) yield part(chunk, from, chunk.length, isHole);
}

function part(chunk: Buffer, from: number, to: number, isHole: boolean): TreeEvent {
  return isHole ? { type: "hole", length: to - from } : { type: "data", bytes: chunk.subarray(from, to) };
}
