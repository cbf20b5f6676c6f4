import assert from "node:assert/strict";
import { test } from "node:test";
import { SendQueue } from "./send-queue.ts";

/** Numbers one after the other, so that every byte tells where it belongs. */
const memory = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);

/** What is sent next, joined. */
function next(queue: SendQueue, most: number): Buffer {
  return Buffer.concat(queue.next(Math.min(most, queue.unsent)));
}

test("what was written piece by piece from one memory is sent without a copy", () => {
  const queue = new SendQueue();
  queue.push(memory.subarray(0, 300));
  queue.push(memory.subarray(300, 500));
  const [first, ...others] = queue.next(400);
  assert.equal(first?.buffer, memory.buffer);
  assert.deepEqual(first, memory.subarray(0, 400));
  assert.deepEqual(others, []);
  assert.deepEqual(queue.next(100), [memory.subarray(400, 500)]);
  assert.equal(queue.unsent, 0);
});

test("what lies in several memories is sent without a copy, unless the pieces are many", () => {
  const queue = new SendQueue();
  const pieces = Array.from({ length: 12 }, (_, index) => Uint8Array.from([index, index, index]));
  for (const piece of pieces) queue.push(piece);
  const sent = queue.next(7);
  assert.deepEqual(sent, [pieces[0], pieces[1], pieces[2]?.subarray(0, 1)]);
  assert.ok(sent.every((piece, index) => piece.buffer === pieces[index]?.buffer));
  assert.deepEqual(queue.next(4), [pieces[2]?.subarray(1), pieces[3]?.subarray(0, 2)]);
  const joined = queue.next(25);
  assert.equal(joined.length, 1);
  assert.deepEqual(joined[0], Buffer.concat(pieces).subarray(11));
  // Once more, from where the guest has got to.
  queue.acknowledge(2);
  assert.deepEqual(queue.head(3), [pieces[0]?.subarray(2), pieces[1]?.subarray(0, 2)]);
});

test("what comes when all is sent, or a part acknowledged, is sent once, and again when it has to be", () => {
  const queue = new SendQueue();
  queue.push(memory.subarray(0, 100));
  assert.deepEqual(queue.next(100), [memory.subarray(0, 100)]);
  queue.push(memory.subarray(100, 200));
  assert.deepEqual(queue.next(100), [memory.subarray(100, 200)]);
  queue.acknowledge(150);
  queue.push(memory.subarray(200, 250));
  assert.deepEqual(queue.head(100), [memory.subarray(150, 250)]);
  assert.deepEqual(queue.next(50), [memory.subarray(200, 250)]);
  queue.acknowledge(100);
  assert.equal(queue.length, 0);
  // Nothing of what is forgotten is one with what comes.
  queue.push(memory.subarray(250, 260));
  assert.deepEqual(queue.next(10), [memory.subarray(250, 260)]);
});

test("any pieces come out as they went in", () => {
  const queue = new SendQueue();
  let seed = 7;
  const random = (below: number): number => (seed = (seed * 48_271) % 0x7fff_ffff) % below;
  const sent: number[] = [];
  let written = 0;
  let acknowledged = 0;
  while (sent.length < 20_000) {
    if (random(2) === 0 || queue.unsent === 0) {
      const start = written % 251;
      const piece = memory.subarray(start, start + 1 + random(200));
      // Half of them lie elsewhere.
      queue.push(random(2) === 0 ? piece : Uint8Array.from(piece));
      written += piece.length;
    } else sent.push(...next(queue, 1 + random(300)));
    if (random(4) === 0 && sent.length > acknowledged) {
      const bytes = 1 + random(sent.length - acknowledged);
      queue.acknowledge(bytes);
      acknowledged += bytes;
    }
    assert.equal(queue.length, written - acknowledged);
    assert.equal(queue.unsent, written - sent.length);
  }
  assert.ok(sent.every((byte, index) => byte === index % 251));
});
