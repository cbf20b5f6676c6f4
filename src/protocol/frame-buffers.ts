import type { Writable } from "node:stream";
import { encodeFrame, writeHeader, type DataKind } from "./frame.ts";
import { FRAME_HEADER_BYTES, MAX_DATA_PAYLOAD } from "./generated/limits.ts";

/** Bytes of payload; less is left to Node, which cuts its small buffers out of larger ones. */
const small = 4 * 1024;
/** So many are kept for the next frames. */
const mostKept = 16;

/** Buffers of a whole frame that nobody uses. */
const free: Buffer[] = [];

/**
 * Writes a frame of data, copied into a buffer that is used again when it is written: one of its own for each would be garbage outside
 * of V8's heap, of which V8 lets a lot come together.
 *
 * @throws ProtocolError when the receiver would have to refuse the frame
 */
export function writeFrame(to: Writable, stream: number, kind: DataKind, payload: Buffer): void {
  if (payload.length < small || payload.length > MAX_DATA_PAYLOAD) {
    to.write(encodeFrame(stream, kind, payload));
    return;
  }
  const frame = free.pop() ?? Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + MAX_DATA_PAYLOAD);
  writeHeader(frame, stream, kind, payload.length);
  frame.set(payload, FRAME_HEADER_BYTES);
  to.write(frame.subarray(0, FRAME_HEADER_BYTES + payload.length), () => {
    if (free.length < mostKept) free.push(frame);
  });
}
