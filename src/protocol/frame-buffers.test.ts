import assert from "node:assert/strict";
import { PassThrough, Writable } from "node:stream";
import { test } from "node:test";
import { ProtocolError } from "../errors/index.ts";
import { writeFrame } from "./frame-buffers.ts";
import { FrameDecoder, FrameKind } from "./frame.ts";

test("what is written is what was given, whatever becomes of the payload afterwards", () => {
  const to = new PassThrough();
  const payload = Buffer.alloc(65536);
  const sizes = [1, 4095, 4096, 65536, 40_000];
  for (const [index, size] of sizes.entries()) {
    payload.fill(index + 1);
    writeFrame(to, 3, FrameKind.data, payload.subarray(0, size));
  }
  const frames = new FrameDecoder().push(to.read() as Buffer);
  assert.deepEqual(
    frames.map((frame) => [frame.payload.length, frame.payload.every((byte) => byte === frame.payload[0])]),
    sizes.map((size) => [size, true]),
  );
  assert.deepEqual(
    frames.map((frame) => frame.payload[0]),
    sizes.map((_, index) => index + 1),
  );
});

test("a buffer is not used again before it was written", () => {
  const held: { readonly bytes: Buffer; readonly done: () => void }[] = [];
  const to = new Writable({
    highWaterMark: 1,
    write: (bytes: Buffer, _encoding, done) => {
      held.push({ bytes, done });
    },
  });
  const payload = Buffer.alloc(65536);
  for (let round = 0; round < 30; round++) writeFrame(to, 3, FrameKind.data, payload.fill(round));
  for (let round = 0; round < 30; round++) {
    const next = held.shift();
    assert.equal(
      next?.bytes.subarray(9).every((byte) => byte === round),
      true,
    );
    next.done();
  }
  // Now they are, and what was given before is none of theirs.
  writeFrame(to, 3, FrameKind.data, payload.fill(99));
  assert.equal(held[0]?.bytes.at(-1), 99);
});

test("no frame is written that would be refused", () => {
  const to = new PassThrough();
  for (const size of [0, 65537]) {
    assert.throws(() => {
      writeFrame(to, 3, FrameKind.data, Buffer.alloc(size));
    }, ProtocolError);
  }
  assert.throws(() => {
    writeFrame(to, 0, FrameKind.data, Buffer.alloc(5000));
  }, ProtocolError);
  assert.equal(to.read(), null);
});
