import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { FrameCollector } from "../../../test/support/network/guest-end.ts";
import { prefixed } from "../../../test/support/network/frames.ts";
import { prefixBytes } from "./frame-buffer.ts";
import { FrameLink } from "./frame-link.ts";
import { RateLimiter } from "./rate-limiter.ts";
import { TokenBucket } from "./token-bucket.ts";

test("a bucket: full at first, refilled by time, never fuller", () => {
  const bucket = new TokenBucket({ size: 100, refillTimeMs: 1000, oneTimeBurst: 0 }, 0);
  assert.equal(bucket.wait(60, 0), 0);
  bucket.take(60);
  assert.ok(Math.abs(bucket.wait(60, 0) - 200) < 0.01);
  assert.ok(Math.abs(bucket.wait(60, 150) - 50) < 0.01);
  assert.equal(bucket.wait(60, 200), 0);
  bucket.take(60);
  assert.ok(Math.abs(bucket.wait(1, 200) - 10) < 0.01);
  assert.equal(bucket.wait(100, 10_000), 0);
  bucket.take(100);
  assert.ok(bucket.wait(1, 10_000) > 0);
});

test("a burst is used first, and once", () => {
  const bucket = new TokenBucket({ size: 10, refillTimeMs: 100, oneTimeBurst: 25 }, 0);
  let passed = 0;
  while (bucket.wait(1, 0) === 0) {
    bucket.take(1);
    passed++;
  }
  assert.equal(passed, 35);
  for (passed = 0; bucket.wait(1, 1_000_000) === 0; passed++) bucket.take(1);
  assert.equal(passed, 10);
});

test("what is larger than the bucket passes when it is full, and leaves a debt", () => {
  const bucket = new TokenBucket({ size: 100, refillTimeMs: 100, oneTimeBurst: 0 }, 0);
  assert.equal(bucket.wait(350, 0), 0);
  bucket.take(350);
  assert.ok(Math.abs(bucket.wait(1, 0) - 251) < 0.01);
  assert.ok(Math.abs(bucket.wait(350, 0) - 350) < 0.01);
  assert.equal(bucket.wait(350, 350), 0);
});

test("both buckets have to admit a frame, and neither loses by the other's refusal", () => {
  const limiter = new RateLimiter();
  const bandwidth = { size: 1000, refillTimeMs: 1000, oneTimeBurst: 0 };
  const ops = { size: 2, refillTimeMs: 100, oneTimeBurst: 0 };
  limiter.change({ bandwidth, ops }, 0);
  assert.deepEqual([limiter.admit(100, 0), limiter.admit(100, 0)], [0, 0]);
  for (let again = 0; again < 10; again++) assert.ok(limiter.admit(100, 0) > 0);
  assert.equal(limiter.admit(820, 100), 0);
  assert.ok(limiter.admit(100, 110) > 0);
  // One that stays keeps what is in it; one that is new is full; without any, everything passes.
  limiter.change({ bandwidth, ops: { ...ops, size: 50 } }, 110);
  assert.ok(limiter.admit(100, 110) > 0);
  limiter.change({ bandwidth: { ...bandwidth, size: 2000 }, ops: null }, 110);
  assert.equal(limiter.admit(2000, 110), 0);
  limiter.change(null, 110);
  assert.equal(limiter.admit(1_000_000, 110), 0);
});

function frames(count: number, length: number): Buffer[] {
  return Array.from({ length: count }, (_, number) => Buffer.alloc(length, number));
}

test("the guest's frames wait for their limit, and none is lost", async () => {
  const [gateway, guest] = duplexPair();
  const start = performance.now();
  const link = new FrameLink({
    stream: gateway,
    rateLimiter: {
      egress: { bandwidth: { size: 10_000, refillTimeMs: 20, oneTimeBurst: 20_000 }, ops: null },
      ingress: null,
    },
    failed: (error) => assert.fail(String(error)),
    closed: () => undefined,
  });
  const received: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<number>();
  link.start((bytes, at, end) => {
    received.push(Buffer.from(bytes.subarray(at, end)));
    if (received.length === 100) resolve(performance.now() - start);
  });
  const sent = frames(100, 1000);
  guest.write(prefixed(...sent));
  const elapsed = await promise;
  assert.deepEqual(received, sent);
  // Of 100,000 bytes, 30,000 at once and 500 every ms.
  assert.ok(elapsed >= 139, `${elapsed}`);
  link.close();
});

test("frames to the guest wait for their limit, in order; a change counts at once", async () => {
  const [gateway, guest] = duplexPair();
  const collector = new FrameCollector(guest);
  const slow = { bandwidth: null, ops: { size: 3, refillTimeMs: 10_000_000, oneTimeBurst: 0 } };
  const link = new FrameLink({
    stream: gateway,
    rateLimiter: { egress: null, ingress: slow },
    failed: (error) => assert.fail(String(error)),
    closed: () => undefined,
  });
  link.start(() => undefined);
  const sent = frames(60, 50);
  for (const frame of sent) link.send(Buffer.concat([Buffer.alloc(prefixBytes), frame]), []);
  await collector.until((all) => all.length >= 3);
  assert.equal(link.toGuest.frames, 3);
  const start = performance.now();
  link.setRateLimits({
    egress: null,
    ingress: { ...slow, ops: { size: 10, refillTimeMs: 100, oneTimeBurst: 0 } },
  });
  await collector.until((all) => all.length >= 23);
  assert.ok(performance.now() - start >= 99);
  link.setRateLimits(null);
  await collector.until((all) => all.length >= 60);
  assert.deepEqual(collector.frames, sent);
  link.close();
});

test("behind a slow limit little waits, so what is urgent is not late", async () => {
  const [gateway, guest] = duplexPair();
  const collector = new FrameCollector(guest);
  const bandwidth = { size: 10_000, refillTimeMs: 100, oneTimeBurst: 0 };
  const link = new FrameLink({
    stream: gateway,
    rateLimiter: { egress: null, ingress: { bandwidth, ops: null } },
    failed: (error) => assert.fail(String(error)),
    closed: () => undefined,
  });
  link.start(() => undefined);
  let sent = 0;
  let most = 0;
  const fill = (): void => {
    while (!link.isCongested && sent < 1000) {
      link.send(Buffer.alloc(prefixBytes + 1000), []);
      sent++;
    }
    most = Math.max(most, sent - link.toGuest.frames);
  };
  fill();
  link.onDrain(fill);
  await collector.until((all) => all.length >= 50);
  // 64 KiB.
  assert.ok(most <= 66, `${most}`);
  // Without the limit as much may wait as ever.
  link.setRateLimits(null);
  await collector.until((all) => all.length === 1000);
  link.close();
});

test("a limit that is lifted lets the guest's frames in at once", async () => {
  const [gateway, guest] = duplexPair();
  const never = { bandwidth: null, ops: { size: 2, refillTimeMs: 10_000_000, oneTimeBurst: 0 } };
  const link = new FrameLink({
    stream: gateway,
    rateLimiter: { egress: never, ingress: null },
    failed: (error) => assert.fail(String(error)),
    closed: () => undefined,
  });
  let count = 0;
  const second = Promise.withResolvers<void>();
  const last = Promise.withResolvers<void>();
  link.start(() => {
    if (++count === 2) second.resolve();
    if (count === 500) last.resolve();
  });
  guest.write(prefixed(...frames(500, 100)));
  await second.promise;
  await new Promise(setImmediate);
  assert.equal(count, 2);
  link.setRateLimits(null);
  await last.promise;
  link.close();
});
