import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import {
  MicrosandboxError,
  ProtocolError,
  RuntimeError,
  SandboxNotRunningError,
} from "../../errors/index.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import {
  PROTOCOL_VERSION,
  type EndedMessage,
  type Message,
  type MetricsMessage,
  type SandboxState,
} from "../../protocol/generated/messages.ts";
import { serviceOpenedBy } from "../../protocol/generated/services.ts";
import type { Stream } from "../../protocol/stream.ts";
import { Streams } from "../../protocol/streams.ts";
import { clientServices } from "../services/client-services.ts";
import { metricsSample } from "../../../test/support/metrics-sample.ts";
import type { CaptureCost } from "../services/guest/capture-guest.ts";
import { Client, type ClientServices } from "./client.ts";

const metrics = metricsSample();
const ended: EndedMessage = { type: "Ended", state: "stopped", exitCode: 0, signal: null, reason: "" };

/** A sandbox that does as the test says. */
class FakeSandbox implements ClientServices {
  readonly id = "id";
  readonly name = "fake";
  state: SandboxState = "running";
  readonly pinged = Promise.withResolvers<void>();
  readonly endWatchers = new Set<(ended: EndedMessage) => void>();
  readonly watchers = new Set<() => void>();
  readonly logWatchers = new Set<() => void>();
  samples = 0;
  sample: () => Promise<MetricsMessage> = () => Promise.resolve({ ...metrics, uptimeMs: ++this.samples });

  admit(): void {
    // There is room for everyone.
  }
  exec(): never {
    throw new SandboxNotRunningError("not now");
  }
  network(): never {
    throw new SandboxNotRunningError("not now");
  }
  holdDisk(): never {
    throw new SandboxNotRunningError("not now");
  }
  files(): never {
    throw new SandboxNotRunningError("not now");
  }
  startJob(): never {
    throw new SandboxNotRunningError("not now");
  }
  attachJob(): never {
    throw new SandboxNotRunningError("not now");
  }
  signalJob(): never {
    throw new SandboxNotRunningError("not now");
  }
  ping(): Promise<void> {
    return this.pinged.promise;
  }
  touch(): number {
    return 7;
  }
  detach(): void {
    // Nobody owns it.
  }
  pause(): Promise<void> {
    return Promise.resolve();
  }
  resume(): Promise<void> {
    return Promise.resolve();
  }
  suspend(): Promise<void> {
    return Promise.resolve();
  }
  capture(): Promise<CaptureCost> {
    return Promise.resolve({ heldMs: 1, ownBytes: 0 });
  }
  makeCheckpoint(): Promise<CaptureCost> {
    return Promise.resolve({ heldMs: 1, ownBytes: 0 });
  }
  rollBack(): Promise<void> {
    return Promise.resolve();
  }
  stop(): void {
    // It goes on.
  }
  kill(): void {
    // It goes on.
  }
  discard(): Promise<void> {
    return Promise.resolve();
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }
  onEnded(callback: (ended: EndedMessage) => void): () => void {
    this.endWatchers.add(callback);
    return () => this.endWatchers.delete(callback);
  }
  metrics(): Promise<MetricsMessage> {
    return this.sample();
  }
  watchLogs(changed: () => void): () => void {
    this.logWatchers.add(changed);
    return () => this.logWatchers.delete(changed);
  }
  watchState(changed: () => void): () => void {
    this.watchers.add(changed);
    return () => this.watchers.delete(changed);
  }
  disconnected(): void {
    // Nothing depends on it.
  }
  become(state: SandboxState): void {
    this.state = state;
    for (const changed of this.watchers) changed();
  }
}

interface Heard {
  readonly stream: Stream;
  readonly messages: Message[];
}

/** A client at the other end of the wire. */
function connect(sandbox: FakeSandbox): {
  open: (message: Message) => Heard;
  closed: Promise<Error | null>;
  streams: Streams;
} {
  const [near, far] = duplexPair();
  new Client(near, sandbox, clientServices(sandbox), false);
  const closed = Promise.withResolvers<Error | null>();
  const streams = new Streams(
    far,
    { incoming: "supervisor→client" },
    {
      message: () => undefined,
      accept: () => assert.fail("a supervisor opens no streams"),
      reason: () => new Error("closed"),
      closed: closed.resolve,
    },
  );
  streams.send({ type: "ClientHello", protocolVersion: PROTOCOL_VERSION, sandboxId: "id" });
  const open = (message: Message): Heard => {
    const messages: Message[] = [];
    const stream = streams.open(message, {
      message: (answer) => messages.push(answer),
      data: () => undefined,
      lost: () => messages.push({ type: "Done" }),
    });
    return { stream, messages };
  };
  return { open, closed: closed.promise, streams };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
}

const types = ({ messages }: Heard): string[] => messages.map(({ type }) => type);

test("every message with which a client may open a stream is dealt with", () => {
  const openers = [...serviceOpenedBy]
    .filter(([, { routes }]) => routes.includes("client→supervisor"))
    // Asked of a supervisor without a sandbox.
    .filter(([, { name }]) => name !== "host");
  assert.deepEqual([...clientServices(new FakeSandbox()).types].sort(), openers.map(([type]) => type).sort());
});

test("a request has one answer; one that fails has the error for an answer", async () => {
  const { open } = connect(new FakeSandbox());
  const touched = open({ type: "Touch" });
  const stopped = open({ type: "Stop", graceMs: 1 });
  const refused = open({
    ...{ type: "Exec", argv: [], env: [], cwd: "", user: "", tty: false, rows: 0, cols: 0 },
    ...{ stdin: "null", rlimits: [] },
  });
  await settle();
  assert.deepEqual(touched.messages, [{ type: "Touched", activitySequence: 7 }]);
  assert.deepEqual(stopped.messages, [{ type: "Done" }]);
  const [failure] = refused.messages;
  assert.ok(failure?.type === "Failure" && decodeFailure(failure) instanceof SandboxNotRunningError);
});

test("a flood of requests is answered with a failure from a point on, and costs no memory", async () => {
  const sandbox = new FakeSandbox();
  const { open, streams } = connect(sandbox);
  const asked = Array.from({ length: 1500 }, (_, nonce) => open({ type: "Ping", nonce }));
  await settle();
  assert.equal(streams.opened, 1000);
  for (const { messages } of asked.slice(1000)) {
    const [answer] = messages;
    assert.ok(answer?.type === "Failure" && decodeFailure(answer) instanceof MicrosandboxError);
  }
  sandbox.pinged.resolve();
  await settle();
  assert.deepEqual(types(asked[999] ?? assert.fail()), ["Pong"]);
  assert.equal(streams.opened, 0);
});

test("who is not greeted opens nothing", async () => {
  const [near, far] = duplexPair();
  const sandbox = new FakeSandbox();
  new Client(near, sandbox, clientServices(sandbox), false);
  const closed = new Promise((resolve) => far.once("close", resolve));
  far.resume();
  const streams = new Streams(
    far,
    { incoming: "supervisor→client" },
    {
      message: () => undefined,
      accept: () => assert.fail(),
      reason: () => new Error("closed"),
      closed: () => undefined,
    },
  );
  streams.open(
    { type: "Kill" },
    { message: () => assert.fail(), data: () => undefined, lost: () => undefined },
  );
  await closed;
});

test("a subscriber that does not ask for more is sent no more, and then the newest state", async () => {
  const sandbox = new FakeSandbox();
  const { open } = connect(sandbox);
  const watching = open({ type: "WatchState" });
  await settle();
  assert.deepEqual(watching.messages, [{ type: "StateChanged", state: "running" }]);
  for (const state of ["draining", "running", "draining"] as const) sandbox.become(state);
  await settle();
  assert.equal(watching.messages.length, 1);
  watching.stream.send({ type: "Next" });
  await settle();
  assert.deepEqual(watching.messages.slice(1), [{ type: "StateChanged", state: "draining" }]);
  // The same again is nothing new.
  watching.stream.send({ type: "Next" });
  sandbox.become("draining");
  await settle();
  assert.equal(watching.messages.length, 2);
  for (const told of sandbox.endWatchers) told(ended);
  await settle();
  assert.deepEqual(watching.messages.at(-1), ended);
  assert.deepEqual([sandbox.watchers.size, sandbox.endWatchers.size], [0, 0]);
});

test("whoever watches the logs is told once of all that came since he asked, and of the end", async () => {
  const sandbox = new FakeSandbox();
  const { open } = connect(sandbox);
  const watching = open({ type: "WatchLogs" });
  const grow = (): void => {
    for (const changed of sandbox.logWatchers) changed();
  };
  await settle();
  assert.deepEqual(types(watching), ["LogsChanged"]);
  for (let times = 0; times < 100; times++) grow();
  await settle();
  assert.equal(watching.messages.length, 1);
  watching.stream.send({ type: "Next" });
  await settle();
  assert.equal(watching.messages.length, 2);
  watching.stream.send({ type: "Next" });
  await settle();
  assert.equal(watching.messages.length, 2);
  grow();
  await settle();
  assert.equal(watching.messages.length, 3);
  for (const told of sandbox.endWatchers) told(ended);
  await settle();
  assert.deepEqual(watching.messages.at(-1), ended);
  assert.deepEqual([sandbox.logWatchers.size, sandbox.endWatchers.size], [0, 0]);
});

test("a subscription that its subscriber ends leaves nothing behind", async () => {
  const sandbox = new FakeSandbox();
  const { open, streams } = connect(sandbox);
  const watching = open({ type: "WatchState" });
  await settle();
  assert.deepEqual([sandbox.watchers.size, sandbox.endWatchers.size], [1, 1]);
  watching.stream.abort(new Error("enough"));
  await settle();
  assert.deepEqual([sandbox.watchers.size, sandbox.endWatchers.size, streams.opened], [0, 0, 0]);
});

test("a client has 64 subscriptions at most, of all kinds together, and room again for each that it ends", async () => {
  const sandbox = new FakeSandbox();
  const { open, streams } = connect(sandbox);
  const kinds: Message[] = [
    { type: "WatchState" },
    { type: "WatchMetrics", intervalMs: 100_000 },
    { type: "WatchLogs" },
  ];
  const watching = Array.from({ length: 66 }, (_, number) => open(kinds[number % 3] ?? assert.fail()));
  await settle();
  assert.equal(streams.opened, 64);
  for (const { messages } of watching.slice(64)) {
    const [refusal] = messages;
    assert.ok(refusal?.type === "Failure" && decodeFailure(refusal) instanceof RuntimeError);
  }
  for (const { stream } of watching) stream.abort(new Error("enough"));
  await settle();
  const again = open({ type: "WatchState" });
  await settle();
  assert.deepEqual(types(again), ["StateChanged"]);
  again.stream.abort(new Error("enough"));
});

test("samples come one at a time, as they are asked for and not before their time", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const now = t.mock.method(performance, "now", () => 0);
  const pass = (ms: number): void => {
    const at = performance.now() + ms;
    now.mock.mockImplementation(() => at);
    t.mock.timers.tick(ms);
  };
  const sandbox = new FakeSandbox();
  const { open } = connect(sandbox);
  const watching = open({ type: "WatchMetrics", intervalMs: 1000 });
  await settle();
  assert.deepEqual([types(watching), sandbox.samples], [["Metrics"], 1]);
  // It has not asked for the next one: none is taken.
  pass(5000);
  await settle();
  assert.equal(sandbox.samples, 1);
  watching.stream.send({ type: "Next" });
  await settle();
  assert.equal(sandbox.samples, 2);
  watching.stream.send({ type: "Next" });
  pass(999);
  await settle();
  assert.equal(sandbox.samples, 2);
  pass(1);
  await settle();
  assert.deepEqual([types(watching).length, sandbox.samples], [3, 3]);
});

test("a sample that cannot be taken ends the subscription with the reason", async () => {
  const sandbox = new FakeSandbox();
  sandbox.sample = () => Promise.reject(new SandboxNotRunningError("over"));
  const { open, streams } = connect(sandbox);
  const watching = open({ type: "WatchMetrics", intervalMs: 1000 });
  await settle();
  const [failure] = watching.messages;
  assert.ok(failure?.type === "Failure" && failure.code === "sandboxNotRunning");
  assert.equal(streams.opened, 0);
});

test("who asks for the next item before there was one is cut off", async () => {
  const sandbox = new FakeSandbox();
  const { open, closed } = connect(sandbox);
  const watching = open({ type: "WatchState" });
  await settle();
  watching.stream.send({ type: "Next" });
  watching.stream.send({ type: "Next" });
  assert.equal((await closed) instanceof ProtocolError, false);
  assert.equal(types(watching).at(-1), "Done");
  assert.equal(sandbox.watchers.size, 0);
});
