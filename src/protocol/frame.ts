/**
 * Frames: how both hops cut their byte stream.
 *
 *     u32 length | u32 stream | u8 kind | payload          big-endian; length = 5 + bytes of payload
 *
 * A control frame carries one message of the schema; the other two kinds carry raw bytes of the stream's service, which says what
 * they are. No frame is empty: the end of a byte stream is said by a message. Stream 0 belongs to the connection itself and has no
 * data.
 */

import {
  COUNTED_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  FrameKind,
  MAX_CONTROL_PAYLOAD,
  MAX_DATA_PAYLOAD,
} from "./generated/limits.ts";
import { unsendable, violation } from "./violation.ts";
import type { ProtocolError } from "../errors/index.ts";

export { FrameKind };
/** The kinds that carry raw bytes. */
export type DataKind = Exclude<FrameKind, typeof FrameKind.control>;

export interface Frame {
  readonly stream: number;
  readonly kind: FrameKind;
  /**
   * Often a view of the chunk that the frame arrived in: who keeps it for long copies it, or keeps the whole chunk alive. A decoder that
   * lends them has it back with the next chunk.
   */
  readonly payload: Buffer;
}

const MIN_LENGTH = COUNTED_HEADER_BYTES + 1;
const MAX_LENGTH = COUNTED_HEADER_BYTES + MAX_CONTROL_PAYLOAD;

/**
 * Encodes one frame, copying the payload behind its header.
 *
 * @param stream - 0 … 2^32-1; 0 only for control frames.
 * @throws ProtocolError when the receiver would have to refuse the frame.
 */
export function encodeFrame(stream: number, kind: FrameKind, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  writeHeader(frame, stream, kind, payload.length);
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

/** @internal Writes what comes before so many bytes of payload. @throws as {@link encodeFrame} */
export function writeHeader(target: Buffer, stream: number, kind: FrameKind, payloadLength: number): void {
  if (!Number.isInteger(stream) || stream < 0 || stream > 0xffff_ffff) {
    throw unsendable(`stream ${stream} is not a u32`, "Number streams from 0 to 4294967295.");
  }
  if (kind !== FrameKind.control && stream === 0) {
    throw unsendable("data on stream 0", "Send data on a stream that was opened for it.");
  }
  const limit = payloadLimit(kind);
  if (payloadLength < 1 || payloadLength > limit) {
    throw unsendable(
      `a frame of kind ${kind} carries 1 to ${limit} bytes, not ${payloadLength}`,
      kind === FrameKind.control
        ? "Shorten the message: its arguments, environment and scripts together must stay below 4 MiB."
        : "Split the bytes over several frames.",
    );
  }
  target.writeUInt32BE(COUNTED_HEADER_BYTES + payloadLength, 0);
  target.writeUInt32BE(stream, 4);
  target[8] = kind;
}

function payloadLimit(kind: FrameKind): number {
  return kind === FrameKind.control ? MAX_CONTROL_PAYLOAD : MAX_DATA_PAYLOAD;
}

/**
 * Cuts a byte stream into frames, however the bytes arrive. The payload of a frame that lies inside one chunk is a view of it; only
 * a frame that spans chunks is copied, into memory of its own size, which is allocated after the length was found good.
 *
 * @example
 * ```ts
 * const decoder = new FrameDecoder();
 * socket.on("data", (chunk) => decoder.push(chunk).forEach(handleFrame));
 * socket.on("end", () => decoder.end());
 * ```
 */
export class FrameDecoder {
  /** The first bytes of a header that has not arrived in full; the rest is 0. */
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  /** The frame whose header is known and whose payload has not arrived in full. */
  #pending: Frame | null = null;
  #payloadBytes = 0;
  #failure: ProtocolError | null = null;
  /** Where frames of data that span chunks come together, in turn: one may end in the chunk in which the next one begins. */
  readonly #lent: [Buffer | null, Buffer | null] | null;

  /**
   * @param options.lends - The caller uses a chunk's memory, and is done with its frames of data, before it pushes the next one: then
   *   those that span chunks need no memory of their own either. The payloads of control frames are the receiver's.
   */
  constructor({ lends = false }: { readonly lends?: boolean } = {}) {
    this.#lent = lends ? [null, null] : null;
  }

  /** True in the middle of a frame. */
  get partial(): boolean {
    return this.#headerBytes > 0 || this.#pending !== null;
  }

  /**
   * Takes the next bytes and returns the frames that they complete.
   *
   * @throws ProtocolError at the first byte with which the stream can no longer be right. Frames before it in the same chunk are not
   *   returned, and every later call throws the same error: the connection is of no more use.
   */
  push(chunk: Buffer): Frame[] {
    if (this.#failure !== null) throw this.#failure;
    const frames: Frame[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#pending !== null) {
        at += this.#fill(this.#pending, chunk, at);
        if (this.#payloadBytes === this.#pending.payload.length) {
          frames.push(this.#pending);
          this.#pending = null;
        }
      } else if (this.#headerBytes === 0 && chunk.length - at >= FRAME_HEADER_BYTES) {
        at = this.#start(frames, chunk, at, chunk, at + FRAME_HEADER_BYTES);
      } else {
        const copied = chunk.copy(this.#header, this.#headerBytes, at);
        this.#headerBytes += copied;
        at += copied;
        this.#check(this.#header, 0, this.#headerBytes);
        if (this.#headerBytes === FRAME_HEADER_BYTES) {
          at = this.#start(frames, this.#header, 0, chunk, at);
          this.#header.fill(0);
          this.#headerBytes = 0;
        }
      }
    }
    return frames;
  }

  /** Says that no more bytes follow. @throws ProtocolError in the middle of a frame, and after a failed `push`. */
  end(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.partial) {
      const progress =
        this.#pending === null
          ? `${this.#headerBytes} of ${FRAME_HEADER_BYTES} header bytes`
          : `${this.#payloadBytes} of ${this.#pending.payload.length} payload bytes`;
      throw this.#fail(`connection ended inside a frame, after ${progress}`);
    }
  }

  /**
   * Begins the frame whose header is at `headerAt` of `header` and whose payload begins at `at` of `chunk`. Returns the offset behind
   * the payload when all of it is there; otherwise leaves the payload to `#fill`.
   */
  #start(frames: Frame[], header: Buffer, headerAt: number, chunk: Buffer, at: number): number {
    const kind = this.#check(header, headerAt, FRAME_HEADER_BYTES);
    const length = header.readUInt32BE(headerAt) - COUNTED_HEADER_BYTES;
    const stream = header.readUInt32BE(headerAt + 4);
    if (chunk.length - at >= length) {
      const payload = chunk.subarray(at, at + length);
      const isOwn = this.#lent !== null && kind === FrameKind.control;
      frames.push({ stream, kind, payload: isOwn ? Buffer.from(payload) : payload });
      return at + length;
    }
    this.#pending = { stream, kind, payload: this.#memory(kind, length) };
    this.#payloadBytes = 0;
    return at;
  }

  #memory(kind: FrameKind, length: number): Buffer {
    if (this.#lent === null || kind === FrameKind.control) return Buffer.allocUnsafe(length);
    const [next, last] = this.#lent;
    const memory = next !== null && next.length >= length ? next : Buffer.allocUnsafeSlow(length);
    [this.#lent[0], this.#lent[1]] = [last, memory];
    return memory.subarray(0, length);
  }

  #fill(frame: Frame, chunk: Buffer, at: number): number {
    const copied = chunk.copy(frame.payload, this.#payloadBytes, at);
    this.#payloadBytes += copied;
    return copied;
  }

  /** Judges a header of which `known` bytes are there (those missing are 0) and returns its kind. */
  #check(header: Buffer, at: number, known: number): FrameKind {
    const length = header.readUInt32BE(at);
    // With bytes missing, this is the smallest length that it can still become.
    if (length > MAX_LENGTH || (known >= 4 && length < MIN_LENGTH)) {
      throw this.#fail(
        `frame length out of range: ${known < 4 ? "at least " : ""}${length}, allowed ${MIN_LENGTH} to ${MAX_LENGTH}`,
      );
    }
    const kind = header.readUInt8(at + 8);
    if (!isFrameKind(kind)) throw this.#fail(`unknown frame kind: ${kind}`);
    if (kind !== FrameKind.control) {
      if (header.readUInt32BE(at + 4) === 0) throw this.#fail(`data on stream 0: kind ${kind}`);
      if (length - COUNTED_HEADER_BYTES > MAX_DATA_PAYLOAD) {
        throw this.#fail(
          `frame length out of range: ${length}, allowed ${MIN_LENGTH} to ${COUNTED_HEADER_BYTES + MAX_DATA_PAYLOAD} for kind ${kind}`,
        );
      }
    }
    return kind;
  }

  #fail(what: string): ProtocolError {
    this.#failure = violation(what);
    return this.#failure;
  }
}

function isFrameKind(value: number): value is FrameKind {
  return value <= FrameKind.extra;
}
