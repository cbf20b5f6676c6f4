import assert from "node:assert/strict";
import { test } from "node:test";
import { FetchedValues, type FetchedValuesOptions } from "./fetched-values.ts";

/** A program whose function counts its calls. */
function program(over: Partial<FetchedValuesOptions> = {}, expiresInMs: number | null = null) {
  const clock = { now: 1_000 };
  const calls: string[] = [];
  const failures: string[] = [];
  const values = new FetchedValues({
    fetch: (envVar, host) => {
      calls.push(`${envVar} ${host}`);
      const expiresMs = expiresInMs === null ? null : clock.now + expiresInMs;
      return Promise.resolve({ value: `value ${calls.length}`, expiresMs });
    },
    failed: (envVar, error) => failures.push(`${envVar}: ${(error as Error).message}`),
    now: () => clock.now,
    ...over,
  });
  return { clock, calls, failures, values };
}

test("a value is fetched once for each host, and by requests at one time together", async () => {
  const { values, calls } = program();
  const asked = [values.value("A", "one"), values.value("A", "one"), values.value("A", "two")];
  assert.deepEqual(await Promise.all(asked.map((one) => Promise.resolve(one))), [
    "value 1",
    "value 1",
    "value 2",
  ]);
  assert.equal(values.value("A", "one"), "value 1");
  assert.deepEqual(calls, ["A one", "A two"]);
});

test("one that has expired is fetched anew", async () => {
  const { values, clock } = program({}, 100);
  assert.equal(await values.value("A", "one"), "value 1");
  clock.now += 99;
  assert.equal(await values.value("A", "one"), "value 1");
  clock.now += 1;
  assert.equal(await values.value("A", "one"), "value 2");
});

test("one that a host refuses is fetched anew, once: a fresh one that is refused too stays for a while", async () => {
  const { values, clock, calls } = program();
  await values.value("A", "one");
  values.refused("A", "one");
  assert.equal(await values.value("A", "one"), "value 2");
  for (let times = 0; times < 5; times++) {
    values.refused("A", "one");
    assert.equal(await values.value("A", "one"), "value 2");
  }
  clock.now += 60_000;
  values.refused("A", "one");
  assert.equal(await values.value("A", "one"), "value 3");
  // Nobody has been given that one.
  values.refused("A", "two");
  assert.equal(calls.length, 3);
});

test("one that cannot be fetched is told of and asked for again; others are not affected", async () => {
  let isGone = true;
  const { values, failures } = program({
    fetch: (envVar) =>
      isGone && envVar === "A"
        ? Promise.reject(new Error("the program is gone"))
        : Promise.resolve({ value: "there", expiresMs: null }),
  });
  assert.equal(await values.value("A", "one"), null);
  assert.equal(await values.value("B", "one"), "there");
  assert.deepEqual(failures, ["A: the program is gone"]);
  isGone = false;
  assert.equal(await values.value("A", "one"), "there");
});

test("a function that does not answer is given up, and told so", async () => {
  const signals: AbortSignal[] = [];
  const { values, failures } = program({
    timeoutMs: 1,
    fetch: async (_envVar, _host, signal) => {
      signals.push(signal);
      await new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
      throw new Error("unreachable");
    },
  });
  assert.equal(await values.value("A", "one"), null);
  assert.equal(signals[0]?.aborted, true);
  assert.match(failures[0] ?? "", /did not answer within 1 ms/);
});

test("a guest that may send a secret to anybody has no more values kept or fetched than a bound", async () => {
  const { values, calls } = program();
  for (let host = 0; host < 1_000; host++) await values.value("A", `host-${host}`);
  const before = calls.length;
  await values.value("A", "host-999");
  assert.equal(calls.length, before);
  await values.value("A", "host-0");
  assert.equal(calls.length, before + 1);
  const stuck = program({ fetch: () => new Promise(() => undefined) });
  const asked = Array.from({ length: 100 }, (_, host) => stuck.values.value("A", `host-${host}`));
  assert.equal(asked.filter((value) => value === null).length, 36);
});
