import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { encodeEvent } from "../../../protocol/event-records.ts";
import type { Stream } from "../../../protocol/stream.ts";
import { InsideEvents } from "./inside-events.ts";

function begun(
  consumed: (bytes: number) => void,
  tell: (name: string) => void = () => undefined,
): InsideEvents {
  const events = new InsideEvents(tell);
  events.begin({ consume: consumed } as unknown as Stream);
  return events;
}

const flood = Buffer.concat(Array.from({ length: 3000 }, () => encodeEvent("guest", 0, "flood", "")));

test("a guest that tells too much at once waits, and loses nothing", (t: TestContext) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let consumed = 0;
  let told = 0;
  const events = begun(
    (bytes) => (consumed += bytes),
    () => told++,
  );
  events.data(1, flood);
  assert.equal(told, 3000);
  assert.equal(consumed, 0);
  t.mock.timers.tick(50);
  assert.equal(consumed, flood.length);
});

test("a little is taken at once", () => {
  let consumed = 0;
  const events = begun((bytes) => (consumed += bytes));
  const record = encodeEvent("guest", 0, "one", "1");
  events.data(1, record.subarray(0, 5));
  events.data(1, record.subarray(5));
  assert.equal(consumed, record.length);
});

test("what only the host may tell costs a guest its connection", () => {
  for (const record of [
    encodeEvent("lifecycle", 0, "lifecycle:stopped", ""),
    encodeEvent("guest", 0, "lifecycle:stopped", ""),
    encodeEvent("dropped", 0, "dropped", "1"),
  ])
    assert.throws(() => {
      begun(() => undefined).data(1, record);
    }, /of the host's/);
});
