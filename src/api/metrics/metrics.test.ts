import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { metricsFrom, MetricsStream, type MetricsSource, type SandboxMetrics } from "./metrics.ts";

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
    netFlowsOpened: 0,
    netFlowsDenied: 0,
    netActiveFlows: 0,
    dnsQueries: 0,
    dnsDenied: 0,
    uptimeMs,
    upperUsedBytes: null,
    upperFreeBytes: null,
    upperHostAllocatedBytes: 6,
    hostDiskFull: true,
    copies: 0,
    copyPauseMs: 0,
  });
}

test("a sample has its time twice and its share of the processor in percent", () => {
  const metrics = sample(9);
  assert.equal(metrics.cpuPercent, 123.45);
  assert.equal(metrics.timestamp.getTime(), metrics.timestampMs);
  assert.equal("type" in metrics, false);
  assert.equal(metrics.uptimeMs, 9);
});

/** A source that gives these, and then waits until it is closed or nobody waits. */
function sourceOf(
  ...answers: (() => Promise<SandboxMetrics | null>)[]
): MetricsSource & { asked: number; closed: boolean } {
  const closed = Promise.withResolvers<null>();
  return {
    asked: 0,
    closed: false,
    next(signal) {
      return answers[this.asked++]?.() ?? unlessAborted(closed.promise, signal);
    },
    close() {
      this.closed = true;
      closed.resolve(null);
    },
  };
}

const given = (uptimeMs: number) => () => Promise.resolve(sample(uptimeMs));
const ended = () => Promise.resolve(null);

test("samples come in order, however many are asked for at once", async () => {
  const late = Promise.withResolvers<SandboxMetrics>();
  const source = sourceOf(() => late.promise, given(2), given(3));
  const stream = new MetricsStream(source, 1);
  const all = Promise.all([stream.recv(), stream.recv(), stream.recv()]);
  await new Promise(setImmediate);
  assert.equal(source.asked, 1);
  late.resolve(sample(1));
  assert.deepEqual(
    (await all).map((metrics) => metrics?.uptimeMs),
    [1, 2, 3],
  );
});

test("the end of the sandbox ends the stream, and it is not asked again", async () => {
  const source = sourceOf(given(1), given(2), ended);
  const stream = new MetricsStream(source, 0);
  const seen: number[] = [];
  for await (const { uptimeMs } of stream) seen.push(uptimeMs);
  assert.deepEqual(seen, [1, 2]);
  assert.equal(await stream.recv(), null);
  assert.equal(source.asked, 3);
});

test("a loop that is left closes the stream", async () => {
  const source = sourceOf(given(1), given(2));
  const stream = new MetricsStream(source, 0);
  for await (const { uptimeMs } of stream) if (uptimeMs === 1) break;
  assert.equal(source.closed, true);
  assert.equal(await stream.recv(), null);
});

test("an error is told, and the next sample may be fine again", async () => {
  const stream = new MetricsStream(
    sourceOf(() => Promise.reject(new Error("no answer")), given(1)),
    1,
  );
  await assert.rejects(stream.recv(), /no answer/);
  assert.equal((await stream.recv())?.uptimeMs, 1);
});

test("disposing of the stream ends a wait, and its source", async () => {
  const source = sourceOf(given(1));
  const stream = new MetricsStream(source, 2 ** 31 - 1);
  await stream.recv();
  const waiting = stream.recv();
  await stream[Symbol.asyncDispose]();
  assert.equal(await waiting, null);
  assert.equal(source.closed, true);
});

test("who gives up ends the wait for a sample, and the next one asks after him", async () => {
  const source = sourceOf();
  const stream = new MetricsStream(source, 1);
  const giveUp = new AbortController();
  const first = stream.recv({ signal: giveUp.signal });
  const second = stream.recv();
  await new Promise(setImmediate);
  assert.equal(source.asked, 1);
  giveUp.abort(new Error("enough"));
  await assert.rejects(first, /enough/);
  await new Promise(setImmediate);
  assert.equal(source.asked, 2);
  await stream[Symbol.asyncDispose]();
  assert.equal(await second, null);
});

test("who gives up before his turn asks for nothing, and keeps nobody waiting", async () => {
  const late = Promise.withResolvers<SandboxMetrics>();
  const source = sourceOf(() => late.promise, given(2));
  const stream = new MetricsStream(source, 1);
  const giveUp = new AbortController();
  const first = stream.recv();
  const second = stream.recv({ signal: giveUp.signal });
  const third = stream.recv();
  giveUp.abort(new Error("enough"));
  await assert.rejects(second, /enough/);
  assert.equal(source.asked, 1);
  late.resolve(sample(1));
  assert.deepEqual([(await first)?.uptimeMs, (await third)?.uptimeMs], [1, 2]);
  assert.equal(source.asked, 2);
});

test("an interval that cannot be waited is refused", () => {
  for (const interval of [-1, NaN, Infinity, 2 ** 31]) {
    assert.throws(() => new MetricsStream(sourceOf(), interval), InvalidConfigError);
  }
});
