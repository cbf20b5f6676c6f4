import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { metricsFrom, MetricsStream, type SandboxMetrics } from "./metrics.ts";

function sample(uptimeMs: number): SandboxMetrics {
  return metricsFrom({
    type: "Metrics",
    timestampMs: 1_700_000_000_123,
    cpuPercentTimes100: 12_345,
    vcpuTimeNs: 5,
    memoryBytes: 1,
    memoryLimitBytes: 2,
    memoryAvailableBytes: null,
    memoryHostResidentBytes: null,
    diskReadBytes: 3,
    diskWriteBytes: 4,
    netRxBytes: 0,
    netTxBytes: 0,
    uptimeMs,
    upperUsedBytes: null,
    upperFreeBytes: null,
    upperHostAllocatedBytes: 6,
  });
}

test("a sample has its time twice and its share of the processor in percent", () => {
  const metrics = sample(9);
  assert.equal(metrics.cpuPercent, 123.45);
  assert.equal(metrics.timestamp.getTime(), metrics.timestampMs);
  assert.equal("type" in metrics, false);
  assert.equal(metrics.uptimeMs, 9);
});

test("the first sample comes at once, the next ones not before their time", async () => {
  let taken = 0;
  const begun = performance.now();
  const stream = new MetricsStream(() => Promise.resolve(sample(taken++)), 400);
  const turn = new Promise((resolve) => setImmediate(resolve, "later"));
  assert.equal(await Promise.race([stream.recv().then(() => "at once"), turn]), "at once");
  await stream.recv();
  await stream.recv();
  // A timer may be a millisecond early.
  assert.ok(performance.now() - begun >= 795);
  assert.equal(taken, 3);
});

test("the end of the sandbox ends the stream, and it is not asked again", async () => {
  let asked = 0;
  const stream = new MetricsStream(() => Promise.resolve(asked++ < 2 ? sample(asked) : null), 0);
  const seen: number[] = [];
  for await (const { uptimeMs } of stream) seen.push(uptimeMs);
  assert.deepEqual(seen, [1, 2]);
  assert.equal(await stream.recv(), null);
  assert.equal(asked, 3);
});

test("an error is told, and the next sample may be fine again", async () => {
  const answers = [Promise.reject(new Error("no answer")), Promise.resolve(sample(1))];
  const stream = new MetricsStream(() => answers.shift() ?? Promise.resolve(null), 1);
  await assert.rejects(stream.recv(), /no answer/);
  assert.equal((await stream.recv())?.uptimeMs, 1);
});

test("disposing of the stream ends a wait", async () => {
  const stream = new MetricsStream(() => Promise.resolve(sample(1)), 2 ** 31 - 1);
  await stream.recv();
  const waiting = stream.recv();
  await stream[Symbol.asyncDispose]();
  assert.equal(await waiting, null);
});

test("an interval that cannot be waited is refused", () => {
  for (const interval of [-1, NaN, Infinity, 2 ** 31]) {
    assert.throws(() => new MetricsStream(() => Promise.resolve(null), interval), InvalidConfigError);
  }
});
