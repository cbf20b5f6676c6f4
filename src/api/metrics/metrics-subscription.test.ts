import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeError, SandboxNotRunningError } from "../../errors/index.ts";
import type { Stream } from "../../protocol/stream.ts";
import { metricsSample } from "../../../test/support/metrics-sample.ts";
import {
  subscribedSupervisor,
  type SubscribedSupervisor,
} from "../../../test/support/subscribed-supervisor.ts";
import { MetricsSubscription, type MetricsOwner } from "./metrics-subscription.ts";

const always = new AbortController().signal;

interface Supervisor extends Omit<SubscribedSupervisor, "borrow"> {
  readonly owner: MetricsOwner;
}

/** @param answer what the supervisor does about each thing it is asked for */
function supervisor(answer: (stream: Stream, asked: number) => void): Supervisor {
  const { borrow, ...end } = subscribedSupervisor((stream, _message, count) => {
    answer(stream, count);
  });
  const owner: MetricsOwner = {
    requireMetrics: () => undefined,
    borrow,
    explainLoss: (answered) => answered,
  };
  return { ...end, owner };
}

test("one stream serves for all samples, each of which is asked for", async () => {
  const { owner, asked } = supervisor((stream, count) => stream.send(metricsSample(count)));
  const subscription = new MetricsSubscription(owner, 250.5);
  for (let count = 1; count <= 3; count++) assert.equal((await subscription.next(always))?.uptimeMs, count);
  assert.deepEqual(asked, [{ type: "WatchMetrics", intervalMs: 251 }, { type: "Next" }, { type: "Next" }]);
});

test("the end of the sandbox is no error", async () => {
  const { owner } = supervisor((stream) => stream.abort(new SandboxNotRunningError("over")));
  assert.equal(await new MetricsSubscription(owner, 1).next(always), null);
});

test("after another error the subscription is made anew", async () => {
  const { owner, asked } = supervisor((stream, count) => {
    if (count === 1) stream.abort(new RuntimeError("no answer"));
    else stream.send(metricsSample(count));
  });
  const subscription = new MetricsSubscription(owner, 1);
  await assert.rejects(subscription.next(always), /no answer/);
  assert.equal((await subscription.next(always))?.uptimeMs, 2);
  assert.deepEqual(
    asked.map(({ type }) => type),
    ["WatchMetrics", "WatchMetrics"],
  );
});

test("who closes it ends it at the supervisor too", async () => {
  const { owner, ends, borrowed } = supervisor((stream) => stream.send(metricsSample(1)));
  const subscription = new MetricsSubscription(owner, 1);
  await subscription.next(always);
  // Others who use the connection may be done with it before this one is.
  assert.equal(borrowed(), 1);
  subscription.close();
  await settle();
  assert.deepEqual([ends, borrowed()], [["aborted"], 0]);
});

test("a subscription that fails gives its connection back", async () => {
  const { owner, borrowed } = supervisor((stream) => stream.abort(new RuntimeError("no answer")));
  await assert.rejects(new MetricsSubscription(owner, 1).next(always), /no answer/);
  assert.equal(borrowed(), 0);
});

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
}

test("closed while a sample is waited for, it ends the wait and holds nothing", async () => {
  const { owner, streams, holders } = supervisor(() => undefined);
  const subscription = new MetricsSubscription(owner, 1);
  const waiting = subscription.next(always);
  await settle();
  assert.deepEqual([streams.length, holders()], [1, 1]);
  subscription.close();
  assert.equal(await waiting, null);
  assert.equal(holders(), 0);
  assert.equal(await subscription.next(always), null);
  assert.equal(streams.length, 1);
});

test("closed while it connects, or until it is time to ask again, it asks for nothing", async (t) => {
  const connecting = supervisor(() => undefined);
  const early = new MetricsSubscription(connecting.owner, 1);
  const first = early.next(always);
  early.close();
  assert.equal(await first, null);
  await settle();
  assert.deepEqual([connecting.streams.length, connecting.holders()], [0, 0]);

  const { owner, streams, holders } = supervisor((stream) => stream.abort(new RuntimeError("no answer")));
  const subscription = new MetricsSubscription(owner, 1000);
  await assert.rejects(subscription.next(always), /no answer/);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const second = subscription.next(always);
  await settle();
  subscription.close();
  assert.equal(await second, null);
  t.mock.timers.tick(1001);
  await settle();
  assert.deepEqual([streams.length, holders()], [1, 0]);
});

test("who gives up holds nothing, and the sample that he waited for is the next one's", async () => {
  const { owner, asked, streams, holders } = supervisor(() => undefined);
  const subscription = new MetricsSubscription(owner, 1);
  for (const before of [true, false]) {
    const giveUp = new AbortController();
    const waiting = subscription.next(giveUp.signal);
    await settle();
    giveUp.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
    assert.equal(holders(), 0);
    // It comes while nobody waits, and while the next one waits.
    if (before) streams[0]?.send(metricsSample(1));
    await settle();
    const next = subscription.next(always);
    await settle();
    if (!before) streams[0]?.send(metricsSample(2));
    assert.equal((await next)?.uptimeMs, before ? 1 : 2);
  }
  assert.deepEqual(
    asked.map(({ type }) => type),
    ["WatchMetrics", "Next"],
  );
});
