import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { firstEvent } from "./first-event.ts";

test("the first event wins, and nobody listens any more", async () => {
  const emitter = new EventEmitter();
  for (const winner of ["drain", "close", "drain"] as const) {
    const first = firstEvent(emitter, ["drain", "close"]);
    assert.deepEqual([emitter.listenerCount("drain"), emitter.listenerCount("close")], [1, 1]);
    emitter.emit(winner);
    emitter.emit("close");
    assert.equal(await first, winner);
    assert.deepEqual([emitter.listenerCount("drain"), emitter.listenerCount("close")], [0, 0]);
  }
});
