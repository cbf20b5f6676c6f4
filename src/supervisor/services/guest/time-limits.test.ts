import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { TimeLimits } from "./time-limits.ts";

/** Limits on a clock of its own. */
function begin(
  t: TestContext,
  idleTimeoutSecs: number | null,
  maxDurationSecs: number | null,
  idlePauseSecs: number | null = null,
) {
  let now = 0;
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.mock.method(performance, "now", () => now);
  const expired: string[] = [];
  const use = { isInUse: false };
  const limits = new TimeLimits({
    idleTimeoutSecs,
    maxDurationSecs,
    idlePauseSecs,
    idle: () => expired.push("pause"),
    inUse: () => use.isInUse,
    expired: (reason) => expired.push(reason),
  });
  const pass = (ms: number): void => {
    for (let step = 0; step < ms; step += 10) {
      now += 10;
      t.mock.timers.tick(10);
    }
  };
  return { limits, expired, use, pass };
}

test("nobody uses it", (t) => {
  const { expired, pass } = begin(t, 5, null);
  pass(4980);
  assert.deepEqual(expired, []);
  pass(40);
  assert.deepEqual(expired, ["IdleTimeout"]);
});

test("each activity starts the time again", (t) => {
  const { limits, expired, pass } = begin(t, 5, null);
  for (let n = 1; n <= 10; n++) {
    pass(4000);
    assert.equal(limits.activity(), n);
  }
  assert.deepEqual(expired, []);
  pass(5020);
  assert.deepEqual(expired, ["IdleTimeout"]);
});

test("a silent command counts for as long as it runs", (t) => {
  const { limits, expired, pass } = begin(t, 5, null);
  limits.sessionStarted();
  limits.sessionStarted();
  pass(60_000);
  limits.sessionEnded();
  pass(60_000);
  assert.deepEqual(expired, []);
  limits.sessionEnded();
  pass(4980);
  assert.deepEqual(expired, []);
  pass(40);
  assert.deepEqual(expired, ["IdleTimeout"]);
});

test("the longest duration cannot be moved", (t) => {
  const { limits, expired, pass } = begin(t, null, 5);
  limits.sessionStarted();
  pass(4000);
  limits.activity();
  pass(980);
  assert.deepEqual(expired, []);
  pass(40);
  assert.deepEqual(expired, ["MaxDurationExceeded"]);
});

test("times longer than a timer can be", (t) => {
  const { expired, pass } = begin(t, 40 * 24 * 3600, 50 * 24 * 3600);
  pass(1000);
  assert.deepEqual(expired, []);
});

test("stopped, it is silent", (t) => {
  const { limits, expired, pass } = begin(t, 1, 1);
  limits.stop();
  pass(5000);
  assert.deepEqual(expired, []);
});

test("one that is to be paused when it is idle is told so, again and again, and not while somebody uses it", (t) => {
  const { limits, expired, use, pass } = begin(t, 20, null, 2);
  limits.sessionStarted();
  pass(5000);
  limits.sessionEnded();
  use.isInUse = true;
  pass(5000);
  assert.deepEqual(expired, []);
  use.isInUse = false;
  pass(2020);
  assert.deepEqual(expired, ["pause"]);
  limits.activity();
  pass(1980);
  assert.deepEqual(expired, ["pause"]);
  pass(40);
  assert.deepEqual(expired, ["pause", "pause"]);
  pass(18_020);
  assert.deepEqual(expired, ["pause", "pause", "IdleTimeout"]);
});

test("held by somebody it is not idle, whatever is done meanwhile, until it goes on", (t) => {
  const { limits, expired, pass } = begin(t, 5, null, 2);
  limits.hold();
  pass(60_000);
  limits.activity();
  pass(60_000);
  assert.deepEqual(expired, []);
  limits.goOn();
  pass(5020);
  assert.deepEqual(expired, ["pause", "IdleTimeout"]);
});
