import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { RuntimeError, SandboxNotRunningError } from "../../errors/index.ts";
import type { Message, MetricsMessage } from "../../protocol/generated/messages.ts";
import type { Stream } from "../../protocol/stream.ts";
import { Streams } from "../../protocol/streams.ts";
import { SupervisorConnection } from "../control/connection.ts";
import { MetricsSubscription, type MetricsOwner } from "./metrics-subscription.ts";

const sample = (uptimeMs: number): MetricsMessage => ({
  type: "Metrics",
  timestampMs: 1,
  cpuPercentTimes100: 0,
  vcpuTimeNs: 0,
  memoryBytes: 0,
  memoryLimitBytes: 0,
  memoryAvailableBytes: null,
  memoryHostResidentBytes: null,
  diskReadBytes: 0,
  diskWriteBytes: 0,
  netRxBytes: 0,
  netTxBytes: 0,
  uptimeMs,
  upperUsedBytes: null,
  upperFreeBytes: null,
  upperHostAllocatedBytes: null,
});

interface Supervisor {
  readonly owner: MetricsOwner;
  /** Who was asked, in order, and how. */
  readonly asked: Message[];
  readonly streams: Stream[];
}

/** @param answer what the supervisor does about each thing it is asked for */
function supervisor(answer: (stream: Stream, asked: number) => void): Supervisor {
  const [near, far] = duplexPair();
  const asked: Message[] = [];
  const streams: Stream[] = [];
  const hear = (stream: Stream, message: Message): void => {
    asked.push(message);
    answer(stream, asked.length);
  };
  new Streams(
    far,
    { incoming: "client→supervisor" },
    {
      message: () => undefined,
      accept: (stream, opening) => {
        streams.push(stream);
        queueMicrotask(() => hear(stream, opening));
        return {
          message: (message) => hear(stream, message),
          data: () => undefined,
          lost: () => undefined,
        };
      },
      reason: () => new Error("closed"),
      closed: () => undefined,
    },
  );
  const connection = SupervisorConnection.inherited(near, {
    message: () => undefined,
    lost: () => undefined,
  });
  const owner: MetricsOwner = {
    requireMetrics: () => undefined,
    connect: () => Promise.resolve(connection),
    explainLoss: (answered) => answered,
  };
  return { owner, asked, streams };
}

test("one stream serves for all samples, each of which is asked for", async () => {
  const { owner, asked } = supervisor((stream, count) => stream.send(sample(count)));
  const subscription = new MetricsSubscription(owner, 250.5);
  for (let count = 1; count <= 3; count++) assert.equal((await subscription.next())?.uptimeMs, count);
  assert.deepEqual(asked, [{ type: "WatchMetrics", intervalMs: 251 }, { type: "Next" }, { type: "Next" }]);
});

test("the end of the sandbox is no error", async () => {
  const { owner } = supervisor((stream) => stream.abort(new SandboxNotRunningError("over")));
  assert.equal(await new MetricsSubscription(owner, 1).next(), null);
});

test("after another error the subscription is made anew", async () => {
  const { owner, asked } = supervisor((stream, count) => {
    if (count === 1) stream.abort(new RuntimeError("no answer"));
    else stream.send(sample(count));
  });
  const subscription = new MetricsSubscription(owner, 1);
  await assert.rejects(subscription.next(), /no answer/);
  assert.equal((await subscription.next())?.uptimeMs, 2);
  assert.deepEqual(
    asked.map(({ type }) => type),
    ["WatchMetrics", "WatchMetrics"],
  );
});

test("who closes it ends it at the supervisor too", async () => {
  const aborted = Promise.withResolvers<void>();
  const { owner, streams } = supervisor((stream) => stream.send(sample(1)));
  const subscription = new MetricsSubscription(owner, 1);
  await subscription.next();
  const [stream] = streams;
  assert.ok(stream !== undefined);
  stream.attach({
    message: () => undefined,
    data: () => undefined,
    aborted: aborted.resolve,
    lost: () => undefined,
  });
  subscription.close();
  await aborted.promise;
});
