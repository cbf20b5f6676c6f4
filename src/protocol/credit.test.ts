import assert from "node:assert/strict";
import { test } from "node:test";

import { ProtocolError } from "../errors/index.ts";
import { ReceiveWindow, SendCredit } from "./credit.ts";
import { INITIAL_CREDIT } from "./generated/limits.ts";

test("credit is taken as far as it goes", () => {
  const credit = new SendCredit(10);
  assert.equal(credit.take(7), 7);
  assert.equal(credit.take(7), 3);
  assert.equal(credit.take(7), 0);
  assert.equal(credit.available, 0);
  credit.grant(5);
  assert.equal(credit.take(7), 5);
});

test("credit starts at the protocol's window", () => {
  assert.equal(new SendCredit().available, INITIAL_CREDIT);
});

test("what was sent can be granted again, and not a byte more, nor nothing", () => {
  const credit = new SendCredit(10);
  for (const bytes of [0, 1, 0xffff_ffff]) assert.throws(() => credit.grant(bytes), ProtocolError);
  credit.take(4);
  assert.throws(() => credit.grant(5), ProtocolError);
  assert.equal(credit.available, 6);
  credit.grant(4);
  assert.equal(credit.available, 10);
});

test("a grant wakes everyone who waits", async () => {
  const credit = new SendCredit(1);
  credit.take(1);
  const woken: string[] = [];
  const both = Promise.all([
    credit.wait().then(() => woken.push("first")),
    credit.wait().then(() => woken.push("second")),
  ]);
  await Promise.resolve();
  assert.deepEqual(woken, []);
  credit.grant(1);
  await both;
  assert.deepEqual(woken, ["first", "second"]);
});

test("waiting returns at once while there is credit", async () => {
  await new SendCredit(1).wait();
});

test("closing ends every wait, take and later wait with its error", async () => {
  const credit = new SendCredit(0);
  const reason = { message: "connection closed" };
  const waiting = assert.rejects(credit.wait(), reason);
  credit.close("connection closed");
  credit.close("a later one");
  await waiting;
  await assert.rejects(credit.wait(), reason);
  assert.throws(() => credit.take(1), reason);
  credit.grant(5);
  assert.equal(credit.available, 0);
});

test("a wait ends with its signal and leaves the others waiting", async () => {
  const credit = new SendCredit(1);
  credit.take(1);
  const controller = new AbortController();
  const aborted = assert.rejects(credit.wait(controller.signal), { name: "AbortError" });
  const other = credit.wait();
  controller.abort();
  await aborted;
  await assert.rejects(credit.wait(controller.signal), { name: "AbortError" });
  credit.grant(1);
  await other;
});

test("a window grants once a quarter of it was consumed", () => {
  const window = new ReceiveWindow(100);
  window.receive(60);
  assert.equal(window.consume(24), 0);
  assert.equal(window.consume(1), 25);
  assert.equal(window.consume(30), 30);
  assert.equal(window.held, 5);
});

test("a window refuses what it did not grant, to the byte", () => {
  const window = new ReceiveWindow(100);
  window.receive(100);
  assert.throws(() => window.receive(1), ProtocolError);
  assert.equal(window.consume(25), 25);
  window.receive(25);
  assert.throws(() => window.receive(1), ProtocolError);
});

test("nothing can be consumed twice", () => {
  const window = new ReceiveWindow(100);
  window.receive(10);
  window.consume(10);
  assert.throws(() => window.consume(1), RangeError);
});

test("a sender and a receiver that follow the rules never get stuck, whatever the sizes", () => {
  for (const size of [1, 2, 3, 7, 100, INITIAL_CREDIT]) {
    const credit = new SendCredit(size);
    const window = new ReceiveWindow(size);
    let sent = 0;
    for (let round = 0; round < 50; round++) {
      const count = credit.take(1 + ((round * 7919) % size));
      window.receive(count);
      sent += count;
      if (window.held > 0 && (round % 3 === 2 || credit.available === 0)) {
        const granted = window.consume(window.held);
        if (granted > 0) credit.grant(granted);
      }
      assert.ok(
        credit.available > 0 || window.held > 0,
        `stuck with a window of ${size} after ${sent} bytes`,
      );
    }
    assert.ok(sent >= 10 * Math.min(size, 10));
  }
});
