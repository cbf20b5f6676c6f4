import assert from "node:assert/strict";
import { test } from "node:test";
import { BootStartError, RuntimeError } from "../../errors/index.ts";
import { encodeFailure } from "../../protocol/failure.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { StartObserver } from "./progress.ts";
import { StartWatch } from "./start-watch.ts";

const progress: Message = { type: "StartProgress", stage: "boot", elapsedMs: 5 };
const notice: Message = { type: "Notice", message: "slow" };
const report = { accelerator: "tcg", route: "cold", reason: "no template", elapsedMs: 9 } as const;
const started: Message = { type: "Started", ...report };

test("what the supervisor says reaches the observer, and of what comes once the sandbox runs only notices", async () => {
  const heard: unknown[] = [];
  const watch = new StartWatch({
    onProgress: (event) => heard.push(event),
    onNotice: (message) => heard.push(message),
    onStarted: (event) => heard.push(event),
  });
  for (const message of [progress, started, notice, progress, started]) watch.message(message);
  assert.deepEqual(await watch.started, report);
  assert.deepEqual(heard, [{ stage: "boot", elapsedMs: 5 }, report, "slow"]);
  assert.equal(watch.hasFailed, false);
});

for (const [callback, message] of [
  ["onProgress", progress],
  ["onNotice", notice],
  ["onStarted", started],
] as const) {
  test(`what ${callback} throws fails the start, and it is not called again`, async () => {
    const reason = new Error(callback);
    let calls = 0;
    const observer: StartObserver = {
      [callback]: () => {
        calls += 1;
        throw reason;
      },
    };
    const watch = new StartWatch(observer);
    watch.message(message);
    watch.message(message);
    watch.message(started);
    await assert.rejects(watch.started, reason);
    assert.equal(calls, 1);
    // Nobody but whoever launched it is going to end the supervisor.
    assert.equal(watch.hasFailed, false);
  });
}

test("a failure that the supervisor tells is told apart from its death", async () => {
  const told = new StartWatch({});
  told.message(encodeFailure(new RuntimeError("no disk")));
  await assert.rejects(told.started, RuntimeError);
  assert.equal(told.hasFailed, true);

  const dead = new StartWatch({});
  const details = { sandboxName: "a", stage: "other", errno: null, consoleTail: "", qemuOutput: "" } as const;
  dead.fail(new BootStartError("gone", details));
  await assert.rejects(dead.started, BootStartError);
  assert.equal(dead.hasFailed, false);
});
