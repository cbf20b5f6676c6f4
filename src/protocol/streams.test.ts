import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { ProtocolError, RuntimeError } from "../errors/index.ts";
import { FrameKind, type DataKind } from "./frame.ts";
import { INITIAL_CREDIT, MAX_DATA_PAYLOAD, MAX_OPEN_STREAMS } from "./generated/limits.ts";
import type { ExecMessage, Message } from "./generated/messages.ts";
import type { Stream, StreamHandler } from "./stream.ts";
import { Streams } from "./streams.ts";

const exec: ExecMessage = {
  type: "Exec",
  argv: ["x"],
  env: [],
  cwd: "/",
  user: "",
  tty: false,
  rows: 0,
  cols: 0,
  stdin: "pipe",
  rlimits: [],
};
const outputsEnded: Message = { type: "OutputsEnded" };

/** Writes down what it hears. */
class Listener implements StreamHandler {
  readonly heard: string[] = [];

  message(message: Message): void {
    this.heard.push(message.type);
  }

  data(kind: DataKind, payload: Buffer): void {
    this.heard.push(`${kind === FrameKind.data ? "data" : "extra"} ${payload.length}`);
  }

  credit(bytes: number): void {
    this.heard.push(`credit ${bytes}`);
  }

  ended(): void {
    this.heard.push("ended");
  }

  stopSending(): void {
    this.heard.push("stop sending");
  }

  aborted(): void {
    this.heard.push("aborted");
  }

  lost(error: Error): void {
    this.heard.push(`lost: ${error.message}`);
  }
}

/** One end of a connection. */
class End {
  readonly streams: Streams;
  /** What the peer has opened. */
  readonly accepted: Stream[] = [];
  readonly listeners: Listener[] = [];
  readonly closed: Promise<Error | null>;

  constructor(duplex: ReturnType<typeof duplexPair>[0], incoming: "agent→supervisor" | "supervisor→agent") {
    const { promise, resolve } = Promise.withResolvers<Error | null>();
    this.closed = promise;
    this.streams = new Streams(
      duplex,
      { incoming },
      {
        message: () => undefined,
        accept: (stream) => {
          const listener = new Listener();
          this.accepted.push(stream);
          this.listeners.push(listener);
          return listener;
        },
        reason: (error) => error ?? new RuntimeError("closed"),
        closed: resolve,
      },
    );
  }

  /** What was heard on the first stream of the peer's. */
  get heard(): readonly string[] {
    return this.listeners[0]?.heard ?? [];
  }

  get stream(): Stream {
    const [stream] = this.accepted;
    assert.ok(stream !== undefined);
    return stream;
  }
}

/** Two ends with a way between them that takes a while, as a socket's does. */
function connection(): { supervisor: End; agent: End } {
  const [near, left] = duplexPair();
  const [far, right] = duplexPair();
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    from.on("data", (chunk: Buffer) => setImmediate(() => to.write(chunk)));
    from.on("end", () => setImmediate(() => to.end()));
    from.on("close", () => setImmediate(() => to.end()));
  }
  return { supervisor: new End(near, "agent→supervisor"), agent: new End(far, "supervisor→agent") };
}

/** Lets both ends take everything that is on its way. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
}

test("a stream from its first message to its last", async () => {
  const { supervisor, agent } = connection();
  const listener = new Listener();
  const stream = supervisor.streams.open(exec, listener);
  stream.sendData(FrameKind.data, Buffer.from("in"));
  stream.end();
  stream.send({ type: "Signal", signal: 1 });
  await settle();
  assert.deepEqual(agent.heard, ["data 2", "ended", "Signal"]);
  agent.stream.send({ type: "ExecStarted", pid: 1, sessionId: 0 });
  agent.stream.sendData(FrameKind.data, Buffer.from("out"));
  agent.stream.sendData(FrameKind.extra, Buffer.from("errs"));
  agent.stream.stopSending();
  agent.stream.send(outputsEnded);
  // What is said after the last word is not said.
  agent.stream.send(outputsEnded);
  stream.send({ type: "Signal", signal: 2 });
  await settle();
  assert.deepEqual(listener.heard, ["ExecStarted", "data 3", "extra 4", "stop sending", "OutputsEnded"]);
  assert.equal(agent.heard.length, 3);
  assert.equal(supervisor.streams.opened, 0);
});

test("both ends open streams, with numbers that never meet", async () => {
  const { supervisor, agent } = connection();
  const down = [supervisor.streams.open(exec, new Listener()), supervisor.streams.open(exec, new Listener())];
  const up = agent.streams.open({ type: "Events" }, new Listener());
  await settle();
  assert.deepEqual(
    down.map(({ id }) => id),
    [1, 3],
  );
  assert.equal(up.id, 2);
  assert.deepEqual([supervisor.stream.id, supervisor.stream.service.name], [2, "events"]);
  up.send({ type: "PowerOff" });
  await settle();
  assert.deepEqual(supervisor.heard, ["PowerOff"]);
});

test("credit comes back as bytes are consumed, data and extra together, and never more is sent", async () => {
  const { supervisor, agent } = connection();
  const listener = new Listener();
  const stream = supervisor.streams.open(exec, listener);
  await settle();
  const chunk = Buffer.alloc(MAX_DATA_PAYLOAD);
  for (let sent = 0; sent < INITIAL_CREDIT; sent += 2 * chunk.length) {
    agent.stream.sendData(FrameKind.data, chunk);
    agent.stream.sendData(FrameKind.extra, chunk);
  }
  assert.equal(agent.stream.credit, 0);
  assert.throws(() => agent.stream.sendData(FrameKind.data, Buffer.alloc(1)), RangeError);
  await settle();
  assert.equal(stream.held, INITIAL_CREDIT);
  const writable = agent.stream.writable();
  stream.consume(INITIAL_CREDIT / 4 - 1);
  await settle();
  assert.equal(agent.stream.credit, 0);
  stream.consume(1);
  await writable;
  assert.equal(agent.stream.credit, INITIAL_CREDIT / 4);
  assert.deepEqual(agent.heard, [`credit ${INITIAL_CREDIT / 4}`]);
});

test("a stream that nobody consumes holds up no other one", async () => {
  const { supervisor, agent } = connection();
  supervisor.streams.open(exec, new Listener());
  const other = new Listener();
  supervisor.streams.open(exec, other);
  await settle();
  const [stuck, free] = agent.accepted;
  const chunk = Buffer.alloc(MAX_DATA_PAYLOAD);
  while ((stuck?.credit ?? 0) > 0) stuck?.sendData(FrameKind.data, chunk);
  free?.sendData(FrameKind.data, Buffer.from("free"));
  await settle();
  assert.deepEqual(other.heard, ["data 4"]);
});

test("who opened a stream may abort it, and the other one has the last word", async () => {
  const { supervisor, agent } = connection();
  const listener = new Listener();
  const stream = supervisor.streams.open(exec, listener);
  await settle();
  // These meet the abort on the way: they are dropped, but still held to the rules.
  agent.stream.send({ type: "ExecStarted", pid: 1, sessionId: 0 });
  agent.stream.sendData(FrameKind.data, Buffer.from("late"));
  stream.abort(new RuntimeError("no more"));
  stream.send({ type: "Signal", signal: 1 });
  assert.equal(supervisor.streams.opened, 1);
  await settle();
  assert.deepEqual(listener.heard, []);
  assert.deepEqual(agent.heard, ["aborted"]);
  assert.equal(supervisor.streams.opened, 0);
});

test("an abort that meets the end on the way changes nothing", async () => {
  const { supervisor, agent } = connection();
  const stream = supervisor.streams.open(exec, new Listener());
  await settle();
  agent.stream.send(outputsEnded);
  stream.abort(new RuntimeError("no more"));
  await settle();
  assert.deepEqual(agent.heard, []);
  assert.equal(supervisor.streams.opened, 0);
  supervisor.streams.open(exec, new Listener());
  await settle();
  assert.equal(agent.accepted.length, 2);
});

test("who accepted a stream may abort it, and then it is over", async () => {
  const { supervisor, agent } = connection();
  const listener = new Listener();
  const stream = supervisor.streams.open(exec, listener);
  await settle();
  stream.sendData(FrameKind.data, Buffer.from("late"));
  agent.stream.abort(new RuntimeError("cannot"));
  await settle();
  assert.deepEqual(listener.heard, ["Failure"]);
  assert.deepEqual(agent.heard, []);
});

test("a peer that wants no more data is sent none, and nobody waits for its credit", async () => {
  const { supervisor, agent } = connection();
  const stream = supervisor.streams.open(exec, new Listener());
  await settle();
  while (stream.credit > 0) stream.sendData(FrameKind.data, Buffer.alloc(MAX_DATA_PAYLOAD));
  const waiting = assert.rejects(stream.writable(), /no use for more/);
  agent.stream.stopSending();
  await waiting;
  stream.sendData(FrameKind.data, Buffer.from("dropped"));
  await settle();
  assert.equal(agent.heard.length, INITIAL_CREDIT / MAX_DATA_PAYLOAD);
});

test("with the connection every stream is lost, and those that are opened later", async () => {
  const { supervisor, agent } = connection();
  const [first, second, late] = [new Listener(), new Listener(), new Listener()];
  supervisor.streams.open(exec, first);
  supervisor.streams.open({ type: "Ping", nonce: 0 }, second);
  await settle();
  supervisor.streams.fail(new ProtocolError("no"));
  assert.ok((await supervisor.closed) instanceof ProtocolError);
  supervisor.streams.open(exec, late);
  await settle();
  for (const { heard } of [first, second, late]) assert.deepEqual(heard, ["lost: no"]);
  assert.deepEqual(agent.heard, ["lost: closed"]);
});

test("a last word that is refused costs the connection, and is told as a loss", async () => {
  const { supervisor, agent } = connection();
  const heard: string[] = [];
  supervisor.streams.open(exec, {
    message: () => {
      throw new ProtocolError("not now");
    },
    data: () => undefined,
    lost: (error) => heard.push(error.message),
  });
  await settle();
  agent.stream.send(outputsEnded);
  assert.match(String(await supervisor.closed), /not now/);
  assert.deepEqual(heard, ["not now"]);
});

test("more streams than both have agreed on are not opened", async () => {
  const { supervisor, agent } = connection();
  const most = MAX_OPEN_STREAMS["agent→supervisor"];
  for (let count = 0; count < most; count++) agent.streams.open({ type: "Events" }, new Listener());
  assert.throws(() => agent.streams.open({ type: "Events" }, new Listener()), RuntimeError);
  await settle();
  assert.equal(supervisor.accepted.length, most);
  // One that has ended makes room.
  supervisor.stream.abort(new RuntimeError("enough"));
  await settle();
  agent.streams.open({ type: "Events" }, new Listener());
  await settle();
  assert.equal(supervisor.accepted.length, most + 1);
});

test("what this end may not open is not sent", () => {
  const { supervisor, agent } = connection();
  assert.throws(() => supervisor.streams.open({ type: "Events" }, new Listener()), TypeError);
  assert.throws(() => supervisor.streams.open(outputsEnded, new Listener()), TypeError);
  assert.throws(() => agent.streams.open(exec, new Listener()), TypeError);
});

test("what is open is taken over by other ends, with its credit, and nothing is said while it is held", async () => {
  const old = connection();
  const stream = old.supervisor.streams.open(exec, new Listener());
  stream.sendData(FrameKind.data, Buffer.alloc(1000));
  stream.end();
  await settle();
  const chunk = Buffer.alloc(MAX_DATA_PAYLOAD);
  for (let sent = 0; sent < INITIAL_CREDIT; sent += chunk.length)
    old.agent.stream.sendData(FrameKind.data, chunk);
  await settle();
  stream.consume(100);

  const { supervisor, agent } = connection();
  const [listener, guest] = [new Listener(), new Listener()];
  const taken: Stream[] = [];
  agent.streams.takeOver(old.agent.streams.state, (one) => {
    agent.accepted.push(one);
    return guest;
  });
  supervisor.streams.hold();
  supervisor.streams.takeOver(old.supervisor.streams.state, (one) => {
    taken.push(one);
    return listener;
  });
  assert.deepEqual([supervisor.streams.opened, taken.length], [1, 1]);
  // Whoever has taken it over has done with what the other one had.
  taken[0]?.consume(taken[0].held);
  taken[0]?.send({ type: "Signal", signal: 1 });
  await settle();
  assert.deepEqual([guest.heard, agent.stream.credit], [[], 0]);
  supervisor.streams.release();
  await settle();
  assert.deepEqual(guest.heard, [`credit ${INITIAL_CREDIT}`, "Signal"]);
  assert.equal(agent.stream.credit, INITIAL_CREDIT);
  agent.stream.sendData(FrameKind.data, Buffer.from("on"));
  agent.stream.send({ type: "ExecExited", code: 0, signal: 0 });
  agent.stream.send(outputsEnded);
  await settle();
  assert.deepEqual(listener.heard, ["data 2", "ExecExited", "OutputsEnded"]);
  assert.equal(supervisor.streams.opened, 0);
  // It has ended its side once, and numbers go on.
  assert.equal(supervisor.streams.open(exec, new Listener()).id, stream.id + 2);
});
