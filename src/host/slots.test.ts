import assert from "node:assert/strict";
import { test } from "node:test";
import { Slots } from "./slots.ts";

const always = new AbortController().signal;

test("so many at a time, the others in the order in which they came", async () => {
  const slots = new Slots(2);
  const order: number[] = [];
  const first = await slots.take(always);
  const second = await slots.take(always);
  const waiting = [3, 4, 5].map(async (number) => {
    using _slot = await slots.take(always);
    order.push(number);
  });
  await new Promise(setImmediate);
  assert.deepEqual(order, []);
  first[Symbol.dispose]();
  second[Symbol.dispose]();
  await Promise.all(waiting);
  assert.deepEqual(order, [3, 4, 5]);
});

test("who gives up loses nobody's turn", async () => {
  const slots = new Slots(1);
  const first = await slots.take(always);
  const giveUp = new AbortController();
  const impatient = slots.take(giveUp.signal);
  const patient = slots.take(always);
  giveUp.abort(new Error("enough"));
  await assert.rejects(impatient, { message: "enough" });
  first[Symbol.dispose]();
  (await patient)[Symbol.dispose]();
  // In the same moment: the turn has come, and is not wanted any more.
  const holder = await slots.take(always);
  const late = new AbortController();
  const lost = slots.take(late.signal);
  const next = slots.take(always);
  late.abort(new Error("too late"));
  holder[Symbol.dispose]();
  await assert.rejects(lost, { message: "too late" });
  (await next)[Symbol.dispose]();
  (await slots.take(always))[Symbol.dispose]();
  await assert.rejects(slots.take(AbortSignal.abort(new Error("before"))), { message: "before" });
});
