import assert from "node:assert/strict";
import { once } from "node:events";
import { Socket } from "node:net";
import { duplexPair, type Duplex } from "node:stream";
import { test } from "node:test";
import { unixCable } from "../../../test/support/network/cable.ts";
import { FrameCollector } from "../../../test/support/network/guest-end.ts";
import { prefixed } from "../../../test/support/network/frames.ts";
import { prefixBytes } from "./frame-buffer.ts";
import { FrameLink, type FrameLinkOptions } from "./frame-link.ts";

type Cable = readonly [gateway: Duplex, guest: Duplex];

const cables: readonly (readonly [string, () => Cable | Promise<Cable>])[] = [
  ["in memory", (): Cable => duplexPair()],
  ["a unix socket", unixCable],
];

function linkTo(stream: Duplex, options: Partial<FrameLinkOptions> = {}): FrameLink {
  return new FrameLink({
    stream,
    rateLimiter: null,
    failed: (error) => assert.fail(String(error)),
    closed: () => undefined,
    ...options,
  });
}

/** A frame whose bytes tell which one it is. */
function frame(length: number, number = length): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, at) => (at + number * 31) & 255));
}

/** With room for the prefix. */
function outgoing(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(prefixBytes), bytes]);
}

/** Copies of all that comes, and a promise for so many. */
function collect(link: FrameLink, count: number): Promise<Buffer[]> {
  const { promise, resolve } = Promise.withResolvers<Buffer[]>();
  const frames: Buffer[] = [];
  link.start((bytes, at, end) => {
    frames.push(Buffer.from(bytes.subarray(at, end)));
    if (frames.length === count) resolve(frames);
  });
  return promise;
}

for (const [what, connect] of cables) {
  test(`${what}: frames of every length come as they were sent, however they are cut`, async () => {
    const [gateway, guest] = await connect();
    const link = linkTo(gateway);
    const sent = [14, 15, 60, 1514, 65_534, 65_535, 65_549, 14, 40_000, 65_549, 65_549, 65_549, 1000].map(
      frame,
    );
    const bytes = prefixed(...sent);
    const received = collect(link, 3 * sent.length);
    guest.write(bytes);
    for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 3 + 1) % 70_001)
      guest.write(bytes.subarray(at, at + step));
    guest.write(bytes);
    assert.deepEqual(await received, [...sent, ...sent, ...sent]);
    assert.equal(link.fromGuest.frames, 3 * sent.length);
    assert.equal(link.fromGuest.bytes, 3 * (bytes.length - 4 * sent.length));
    link.close();
  });

  test(`${what}: what is too short or too long costs only itself`, async () => {
    const [gateway, guest] = await connect();
    const link = linkTo(gateway);
    const received = collect(link, 3);
    const wrong = [0, 0, 1, 13, 65_550, 70_000, 69_632, 5_000_000].map((length) => Buffer.alloc(length, 1));
    guest.write(prefixed(frame(14), ...wrong, frame(100), ...wrong, frame(65_535)));
    assert.deepEqual(await received, [frame(14), frame(100), frame(65_535)]);
    assert.deepEqual(link.dropped, { tooShort: 8, tooLong: 8, overflowed: 0 });
    assert.equal(link.fromGuest.frames, 3);
    link.close();
  });

  test(`${what}: frames go out whole and in order, those that wait do not grow without bound`, async () => {
    const [gateway, guest] = await connect();
    const link = linkTo(gateway);
    let drains = 0;
    const { promise: drained, resolve } = Promise.withResolvers<boolean>();
    link.onDrain(() => {
      drains++;
      resolve(link.isCongested);
    });
    const sent: Buffer[] = [];
    while (!link.isCongested) {
      const bytes = frame(60_000, sent.length);
      sent.push(bytes);
      link.send(outgoing(bytes.subarray(0, 54)), [bytes.subarray(54, 1001), bytes.subarray(1001)]);
      link.send(outgoing(bytes.subarray(0, 100)), []);
      sent.push(bytes.subarray(0, 100));
    }
    assert.ok(sent.length < 24);
    // Who does not heed it is stopped all the same.
    const more = frame(60_000);
    for (let count = 0; count < 200; count++) link.send(outgoing(more), []);
    assert.ok(link.dropped.overflowed > 100);
    const kept = 200 - link.dropped.overflowed;
    assert.equal(drains, 0);
    const collector = new FrameCollector(guest);
    await collector.until((frames) => frames.length === sent.length + kept);
    assert.ok(sent.every((bytes, index) => collector.frames[index]?.equals(bytes)));
    assert.equal(link.toGuest.frames, sent.length + kept);
    assert.equal(await drained, false);
    assert.equal(drains, 1);
    link.close();
  });

  test(`${what}: the end of the other side is told once`, async () => {
    const [gateway, guest] = await connect();
    const { promise, resolve } = Promise.withResolvers<Error | null>();
    let count = 0;
    const link = linkTo(gateway, {
      closed: (error) => {
        count++;
        resolve(error);
      },
    });
    link.start(() => undefined);
    // Of those in memory, the other end learns only of an end (Node 22).
    if (guest instanceof Socket) guest.destroy();
    else guest.end();
    assert.equal(await promise, null);
    link.send(outgoing(frame(100)), []);
    await new Promise(setImmediate);
    assert.equal(count, 1);
  });
}

test("a socket's frames are read into memory where they are summed in place, and not moved", async () => {
  const [gateway, guest] = await unixCable();
  const link = linkTo(gateway);
  const { promise, resolve } = Promise.withResolvers<Set<ArrayBufferLike>>();
  const memory = new Set<ArrayBufferLike>();
  let count = 0;
  link.start((bytes) => {
    memory.add(bytes.buffer);
    if (++count === 100) resolve(memory);
  });
  guest.write(prefixed(...new Array<Buffer>(100).fill(frame(5000))));
  const [buffer, ...others] = await promise;
  assert.deepEqual(others, []);
  assert.equal(buffer?.byteLength, 2 * 1024 * 1024);
  link.close();
});

test("a flood of small frames leaves the event loop to others", async () => {
  const [gateway, guest] = await unixCable();
  const link = linkTo(gateway);
  const all = 20_000;
  let count = 0;
  let most = 0;
  let sinceTurn = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  link.start(() => {
    most = Math.max(most, ++sinceTurn);
    if (++count === all) resolve();
  });
  const everyTurn = (): void => {
    sinceTurn = 0;
    if (count < all) setImmediate(everyTurn);
  };
  everyTurn();
  const chunk = prefixed(...new Array<Buffer>(1000).fill(frame(14)));
  for (let sent = 0; sent < all; sent += 1000) guest.write(chunk);
  await promise;
  // The frames of one turn, and those that a read has handled before the next one of this test's began.
  assert.ok(most <= 256, `${most}`);
  link.close();
});

test("a guest that takes all at once leaves the event loop to others", async () => {
  const [gateway, guest] = duplexPair();
  const link = linkTo(gateway);
  guest.resume();
  let turns = 0;
  const turn = (): void => {
    turns++;
    if (drains < 20) setImmediate(turn);
  };
  setImmediate(turn);
  let drains = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const bytes = frame(60_000);
  const fill = (): void => {
    while (!link.isCongested) link.send(outgoing(bytes), []);
    if (++drains === 20) resolve();
  };
  link.onDrain(fill);
  fill();
  await promise;
  assert.ok(turns >= 18, `${turns}`);
  link.close();
});

test("a fault in handling a frame costs that frame", async () => {
  const [gateway, guest] = duplexPair();
  const faults: unknown[] = [];
  const link = linkTo(gateway, { failed: (error) => faults.push(error) });
  const { promise, resolve } = Promise.withResolvers<void>();
  let count = 0;
  link.start(() => {
    if (++count === 3) resolve();
    if (count === 2) throw new RangeError("a fault");
  });
  guest.write(prefixed(frame(20), frame(20), frame(20)));
  await promise;
  assert.equal(faults.length, 1);
  link.close();
});

test("closing while a frame is handled ends it there", async () => {
  const [gateway, guest] = await unixCable();
  const link = linkTo(gateway);
  let count = 0;
  link.start(() => {
    count++;
    link.close();
  });
  guest.write(prefixed(...new Array<Buffer>(50).fill(frame(60))));
  guest.resume();
  await once(guest, "close");
  assert.equal(count, 1);
});
