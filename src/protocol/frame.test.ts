import assert from "node:assert/strict";
import { test } from "node:test";

import { ProtocolError } from "../errors/index.ts";
import { encodeControlFrame } from "./control.ts";
import { encodeFrame, FrameDecoder, FrameKind } from "./frame.ts";
import { FRAME_HEADER_BYTES, MAX_CONTROL_PAYLOAD, MAX_DATA_PAYLOAD } from "./generated/limits.ts";
import { decodeMessage } from "./generated/messages.ts";

const hello = Buffer.from("hello");

test("a frame inside one chunk is a view of the chunk", () => {
  const chunk = Buffer.concat([
    encodeFrame(1, FrameKind.data, hello),
    encodeFrame(2, FrameKind.extra, hello),
  ]);
  const frames = new FrameDecoder().push(chunk);
  assert.equal(frames.length, 2);
  for (const frame of frames) {
    assert.equal(frame.payload.buffer, chunk.buffer);
    assert.deepEqual(frame.payload, hello);
  }
});

test("a payload inside one chunk is a view of it even when its header came before", () => {
  const decoder = new FrameDecoder();
  const bytes = encodeFrame(3, FrameKind.data, hello);
  assert.deepEqual(decoder.push(bytes.subarray(0, 4)), []);
  assert.equal(decoder.partial, true);
  const chunk = bytes.subarray(4);
  const [frame] = decoder.push(chunk);
  assert.equal(frame?.payload.buffer, chunk.buffer);
  assert.equal(decoder.partial, false);
  decoder.end();
});

test("frames of the largest sizes pass, one byte more cannot be encoded", () => {
  const sizes = [
    [FrameKind.control, MAX_CONTROL_PAYLOAD],
    [FrameKind.data, MAX_DATA_PAYLOAD],
    [FrameKind.extra, MAX_DATA_PAYLOAD],
  ] as const;
  for (const [kind, size] of sizes) {
    const payload = Buffer.alloc(size, 7);
    const [frame] = new FrameDecoder().push(encodeFrame(1, kind, payload));
    assert.deepEqual(frame, { stream: 1, kind, payload });
    assert.throws(() => encodeFrame(1, kind, Buffer.alloc(size + 1)), ProtocolError);
    assert.throws(() => encodeFrame(1, kind, Buffer.alloc(0)), ProtocolError);
  }
});

test("a frame that the receiver would refuse is not encoded", () => {
  assert.throws(() => encodeFrame(0, FrameKind.data, hello), ProtocolError);
  assert.throws(() => encodeFrame(-1, FrameKind.data, hello), ProtocolError);
  assert.throws(() => encodeFrame(2 ** 32, FrameKind.data, hello), ProtocolError);
  assert.throws(() => encodeFrame(1.5, FrameKind.data, hello), ProtocolError);
});

test("the end of the connection is an error inside a frame only", () => {
  const bytes = encodeFrame(1, FrameKind.data, hello);
  for (let length = 0; length <= bytes.length; length++) {
    const decoder = new FrameDecoder();
    decoder.push(bytes.subarray(0, length));
    const inside = length > 0 && length < bytes.length;
    assert.equal(decoder.partial, inside);
    if (inside)
      assert.throws(() => decoder.end(), { name: "ProtocolError", message: /ended inside a frame/ });
    else decoder.end();
  }
});

test("after an error every call throws it again", () => {
  const decoder = new FrameDecoder();
  let first: unknown;
  try {
    decoder.push(Buffer.from("ffffffff", "hex"));
  } catch (error) {
    first = error;
  }
  assert.ok(first instanceof ProtocolError);
  assert.throws(
    () => decoder.push(encodeFrame(1, FrameKind.data, hello)),
    (error) => error === first,
  );
  assert.throws(
    () => decoder.end(),
    (error) => error === first,
  );
});

test("an oversized length allocates nothing", () => {
  const before = process.memoryUsage().arrayBuffers;
  for (let round = 0; round < 100; round++) {
    // 2^22 + 5 as extra: allowed for a message, 64 times too long for data.
    const header = Buffer.from("004000050000000102", "hex");
    assert.throws(() => new FrameDecoder().push(header), ProtocolError);
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < MAX_CONTROL_PAYLOAD);
});

test("a large frame that arrives byte by byte is copied once", () => {
  const bytes = encodeFrame(9, FrameKind.control, Buffer.alloc(MAX_CONTROL_PAYLOAD, 5));
  const decoder = new FrameDecoder();
  const frames = [];
  // Copying the whole on every byte would be 8.8 TB: this test would not end.
  for (let at = 0; at < bytes.length; at++) frames.push(...decoder.push(bytes.subarray(at, at + 1)));
  assert.deepEqual(frames, [{ stream: 9, kind: 0, payload: bytes.subarray(FRAME_HEADER_BYTES) }]);
});

test("a control frame carries its message", () => {
  const [frame] = new FrameDecoder().push(encodeControlFrame(4, { type: "Resize", rows: 1, cols: 2 }));
  assert.ok(frame !== undefined);
  assert.equal(frame.stream, 4);
  assert.equal(frame.kind, FrameKind.control);
  assert.deepEqual(decodeMessage(frame.payload, "client→supervisor"), { type: "Resize", rows: 1, cols: 2 });
});

test("a decoder that lends memory needs none of its own for data, and keeps what is a message", () => {
  const decoder = new FrameDecoder({ lends: true });
  const chunk = Buffer.alloc(50_000);
  const wire = Buffer.concat(
    Array.from({ length: 40 }, (_, index) =>
      Buffer.concat([
        encodeFrame(1, FrameKind.data, Buffer.alloc(65536 - index, index)),
        encodeFrame(2, FrameKind.control, Buffer.alloc(3000, index)),
      ]),
    ),
  );
  const messages: Buffer[] = [];
  const memory = new Set<ArrayBufferLike>();
  let data = 0;
  for (let at = 0; at < wire.length; at += chunk.length) {
    const length = wire.copy(chunk, 0, at, at + chunk.length);
    for (const { kind, payload } of decoder.push(chunk.subarray(0, length))) {
      if (kind === FrameKind.control) {
        messages.push(payload);
        continue;
      }
      assert.ok(payload.length === 65536 - data && payload.every((byte) => byte === data));
      data++;
      memory.add(payload.buffer);
    }
  }
  decoder.end();
  assert.equal(data, 40);
  // The chunk's, and two for frames that span several.
  assert.ok(memory.size <= 3, `${memory.size}`);
  chunk.fill(0xff);
  for (const [index, message] of messages.entries()) assert.ok(message.equals(Buffer.alloc(3000, index)));
});
