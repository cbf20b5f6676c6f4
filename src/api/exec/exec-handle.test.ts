import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  ExecFailedError,
  ExecTimeoutError,
  InvalidConfigError,
  ProtocolError,
  RuntimeError,
  OperationTimeoutError,
} from "../../errors/index.ts";
import { Channel } from "../../protocol/channel.ts";
import { FrameKind, type DataKind } from "../../protocol/frame.ts";
import { INITIAL_CREDIT, MAX_DATA_PAYLOAD } from "../../protocol/generated/limits.ts";
import { PROTOCOL_VERSION, type ExecMessage, type Message } from "../../protocol/generated/messages.ts";
import { SupervisorConnection } from "../control/connection.ts";
import { ExecHandle } from "./exec-handle.ts";
import type { StdinMode } from "./stdin.ts";

const request: ExecMessage = {
  type: "Exec",
  argv: ["program"],
  env: [],
  cwd: "/",
  user: "",
  tty: false,
  rows: 24,
  cols: 80,
  stdin: "null",
  rlimits: [],
};

/** The other end of the wire, which does what a test tells it. */
class Supervisor {
  readonly received: Message[] = [];
  stdinBytes = 0;
  readonly channel: Channel;
  readonly socket: Socket;
  #changed = Promise.withResolvers<undefined>();

  constructor(socket: Socket) {
    this.socket = socket;
    this.channel = new Channel(
      socket,
      { incoming: "client→supervisor" },
      {
        message: (stream, message) => {
          if (message.type === "ClientHello") {
            const { sandboxId } = message;
            this.channel.send(0, {
              type: "SupervisorHello",
              protocolVersion: PROTOCOL_VERSION,
              sandboxId,
              name: "n",
              state: "running",
            });
            return;
          }
          assert.equal(stream, 1);
          this.received.push(message);
          this.#wake();
        },
        data: (_stream, kind, payload) => {
          assert.equal(kind, FrameKind.data);
          this.stdinBytes += payload.length;
          this.#wake();
        },
        closed: () => undefined,
      },
    );
  }

  send(...messages: Message[]): void {
    for (const message of messages) this.channel.send(1, message);
  }

  output(kind: DataKind, text: string | Buffer): void {
    this.channel.sendData(1, kind, Buffer.from(text));
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed.promise;
  }

  async has(type: Message["type"]): Promise<void> {
    await this.until(() => this.received.some((message) => message.type === type));
  }

  #wake(): void {
    const changed = this.#changed;
    this.#changed = Promise.withResolvers();
    changed.resolve(undefined);
  }
}

let directory: string;
let server: Server;
const connections: SupervisorConnection[] = [];
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-handle-"));
  server = createServer();
  server.listen(join(directory, "socket"));
  await once(server, "listening");
});
after(async () => {
  for (const connection of connections) connection.close();
  server.close();
  await rm(directory, { recursive: true, force: true });
});

async function start(
  stdin: StdinMode = { kind: "null" },
  timeoutMs: number | null = null,
  maxOutputBytes?: number,
): Promise<{ handle: ExecHandle; supervisor: Supervisor }> {
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const greeted = accepted.then(([socket]) => new Supervisor(socket));
  const connection = await SupervisorConnection.connect(join(directory, "socket"), "id", 10_000);
  connections.push(connection);
  const supervisor = await greeted;
  const handle = new ExecHandle(connection, request, stdin, timeoutMs, maxOutputBytes);
  await supervisor.has("Exec");
  return { handle, supervisor };
}

const begin: Message = { type: "ExecStarted", pid: 7, sessionId: 3 };
const end = (code: number): Message => ({ type: "ExecExited", code, signal: 0 });
const killed: Message = { type: "ExecExited", code: 137, signal: 9 };
const outputsEnded: Message = { type: "OutputsEnded" };

test("events come in order, then null for ever", async () => {
  const { handle, supervisor } = await start();
  supervisor.send(begin);
  await handle.startOutcome();
  assert.equal(handle.id, "3");
  supervisor.output(FrameKind.data, "o");
  supervisor.output(FrameKind.extra, "e");
  supervisor.send(end(4));
  const kinds: string[] = [];
  for await (const { kind } of handle) kinds.push(kind);
  assert.deepEqual(kinds, ["started", "stdout", "stderr", "exited"]);
  assert.equal(await handle.recv(), null);
  assert.deepEqual(await handle.wait(), { code: 4, success: false });
});

const framesOfCredit = INITIAL_CREDIT / MAX_DATA_PAYLOAD;

test("credit is given for what was used, not for what waits", async () => {
  const { handle, supervisor } = await start();
  supervisor.send(begin);
  for (let n = 0; n < framesOfCredit; n++) supervisor.output(FrameKind.data, Buffer.alloc(MAX_DATA_PAYLOAD));
  await handle.recv();
  for (let n = 0; n < framesOfCredit / 2; n++) await handle.recv();
  await supervisor.has("Credit");
  const granted = (): number =>
    supervisor.received.reduce((sum, message) => sum + (message.type === "Credit" ? message.bytes : 0), 0);
  assert.ok(granted() <= INITIAL_CREDIT / 2);
  const waiting = handle.wait();
  await supervisor.until(() => granted() === INITIAL_CREDIT);
  supervisor.send(end(0));
  assert.equal((await waiting).code, 0);
});

test("a supervisor that sends more than it may is cut off", async () => {
  const { handle, supervisor } = await start();
  supervisor.send(begin);
  for (let n = 0; n < framesOfCredit + 1; n++)
    supervisor.output(FrameKind.data, Buffer.alloc(MAX_DATA_PAYLOAD));
  await once(supervisor.socket, "close");
  await assert.rejects(handle.wait(), ProtocolError);
});

test("bytes for stdin go out with credit, then the end", async () => {
  const { handle, supervisor } = await start({ kind: "bytes", data: Buffer.alloc(INITIAL_CREDIT + 5) });
  assert.equal(handle.takeStdin(), null);
  await supervisor.until(() => supervisor.stdinBytes === INITIAL_CREDIT);
  supervisor.send(begin, { type: "Credit", bytes: 100 });
  await supervisor.has("End");
  assert.equal(supervisor.stdinBytes, INITIAL_CREDIT + 5);
});

test("stdin that the command closed takes no more", async () => {
  const { handle, supervisor } = await start({ kind: "pipe" });
  const stdin = handle.takeStdin();
  assert.ok(stdin !== null);
  const writing = stdin.write(Buffer.alloc(2 * INITIAL_CREDIT));
  await supervisor.until(() => supervisor.stdinBytes === INITIAL_CREDIT);
  supervisor.send(begin, { type: "StopSending" });
  await writing;
  await stdin.close();
  supervisor.send(end(0));
  assert.equal((await handle.wait()).code, 0);
  assert.equal(supervisor.stdinBytes, INITIAL_CREDIT);
});

test("a command that cannot be started fails everywhere", async () => {
  const { handle, supervisor } = await start();
  supervisor.send({ type: "ExecFailed", stage: "exec", errno: 2, message: "no" });
  await handle.startOutcome();
  await assert.rejects(handle.recv(), ExecFailedError);
  await assert.rejects(handle.collect(), ExecFailedError);
  await assert.rejects(handle.wait(), ExecFailedError);
});

test("a lost connection fails who waits and who comes later", async () => {
  const { handle, supervisor } = await start();
  supervisor.send(begin);
  await handle.recv();
  const waiting = assert.rejects(handle.recv(), RuntimeError);
  supervisor.socket.destroy();
  await waiting;
  await assert.rejects(handle.wait(), RuntimeError);
  await handle.kill();
});

test("a time limit kills, and waits for the end to be told", async () => {
  const { handle, supervisor } = await start({ kind: "null" }, 20);
  supervisor.send(begin);
  await supervisor.has("Signal");
  assert.deepEqual(supervisor.received.at(-1), { type: "Signal", signal: 9 });
  supervisor.output(FrameKind.data, "last");
  supervisor.send(killed);
  const kinds: string[] = [];
  await assert.rejects(
    (async () => {
      for await (const { kind } of handle) kinds.push(kind);
    })(),
    (error: unknown) => error instanceof ExecTimeoutError && error.timeoutMs === 20,
  );
  assert.deepEqual(kinds, ["started", "stdout"]);
});

test("a time limit keeps what was gathered", async () => {
  const { handle, supervisor } = await start({ kind: "null" }, 20);
  supervisor.send(begin);
  await supervisor.has("Signal");
  supervisor.output(FrameKind.data, "out");
  supervisor.output(FrameKind.extra, "err");
  supervisor.send(killed);
  await assert.rejects(handle.collect(), (error) => {
    assert.ok(error instanceof ExecTimeoutError);
    assert.deepEqual([error.timeoutMs, error.stdout(), error.stderr()], [20, "out", "err"]);
    assert.deepEqual(error.stdoutBytes(), Buffer.from("out"));
    return true;
  });
});

test("whoever survives a time limit is left, and streams no more to a client that listens to nobody", async () => {
  for (const follow of [false, true]) {
    const { handle, supervisor } = await start({ kind: "null" }, 20);
    if (follow) handle.followOutput();
    supervisor.send(begin);
    await supervisor.has("Signal");
    supervisor.send(killed);
    await assert.rejects(handle.collect(), ExecTimeoutError);
    await supervisor.has("Release");
    supervisor.output(FrameKind.data, "heir");
    supervisor.send({ type: "Done" });
    await assert.rejects(handle.wait(), ExecTimeoutError);
  }
  // Nobody is left when the outputs end with it.
  const { handle, supervisor } = await start({ kind: "null" }, 20);
  supervisor.send(begin);
  await supervisor.has("Signal");
  supervisor.send(killed, outputsEnded);
  await assert.rejects(handle.collect(), ExecTimeoutError);
  await new Promise(setImmediate);
  assert.ok(supervisor.received.every(({ type }) => type !== "Release"));
});

test("one who gives up waiting takes no event from the next, and the command goes on", async () => {
  const { handle, supervisor } = await start();
  await assert.rejects(handle.recv({ timeoutMs: 1 }), OperationTimeoutError);
  const reason = new Error("never mind");
  await assert.rejects(handle.collect({ signal: AbortSignal.abort(reason) }), reason);
  supervisor.send(begin);
  assert.equal((await handle.recv())?.kind, "started");
  await assert.rejects(handle.wait({ timeoutMs: 1 }), OperationTimeoutError);
  supervisor.send(end(0));
  assert.equal((await handle.wait()).code, 0);
  assert.ok(supervisor.received.every(({ type }) => type !== "Signal"));
});

test("a command that is given up is killed and left to the supervisor", async () => {
  const { handle, supervisor } = await start();
  supervisor.send(begin);
  await handle.startOutcome();
  handle.abandon();
  await supervisor.has("Failure");
  assert.deepEqual(
    supervisor.received.map(({ type }) => type),
    ["Exec", "Failure"],
  );
  await assert.rejects(handle.wait(), RuntimeError);
});

test("a time limit longer than a timer is no time limit of 1 ms", async () => {
  const { handle, supervisor } = await start({ kind: "null" }, 2 ** 33);
  supervisor.send(begin);
  await new Promise((resolve) => setTimeout(resolve, 30));
  supervisor.send(end(0));
  assert.equal((await handle.wait()).code, 0);
  assert.ok(supervisor.received.every(({ type }) => type !== "Signal"));
});

test("what cannot be sent is refused", async () => {
  const { handle, supervisor } = await start();
  for (const signal of [0, 65, 1.5]) await assert.rejects(handle.signal(signal), RangeError);
  for (const size of [-1, 65_536, 0.5]) await assert.rejects(handle.resize(size, 80), RangeError);
  await handle.signal(15);
  await handle.resize(1, 65_535);
  await supervisor.has("Resize");
  assert.deepEqual(supervisor.received.slice(1), [
    { type: "Signal", signal: 15 },
    { type: "Resize", rows: 1, cols: 65_535 },
  ]);
});

test("after its end a command has no more events, and what holds its output is left", async () => {
  const { handle, supervisor } = await start();
  supervisor.send(begin);
  supervisor.output(FrameKind.data, "own");
  supervisor.send(end(3));
  supervisor.output(FrameKind.data, "heir");
  const output = await handle.collect();
  assert.deepEqual([output.code, output.stdout()], [3, "own"]);
  assert.equal(await handle.recv(), null);
  await supervisor.has("Release");
  // Killing it reaches nobody any more.
  await handle.kill();
  supervisor.send({ type: "Done" });
  assert.deepEqual(await handle.wait(), { code: 3, success: false });
  assert.ok(supervisor.received.every(({ type }) => type !== "Signal"));
});

test("nobody is left when the outputs end with the command", async () => {
  const { handle, supervisor } = await start();
  supervisor.send(begin, end(0), outputsEnded);
  assert.equal((await handle.collect()).code, 0);
  const { handle: next, supervisor: other } = await start();
  other.send(begin, end(0), outputsEnded);
  await next.wait();
  for (const { received } of [supervisor, other])
    assert.deepEqual(
      received.map(({ type }) => type),
      ["Exec"],
    );
});

test("one who asks for the rest of the output gets it, after the exit code", async () => {
  const { handle, supervisor } = await start();
  assert.equal(handle.followOutput(), handle);
  supervisor.send(begin);
  supervisor.output(FrameKind.data, "own");
  supervisor.send(end(3));
  assert.equal((await handle.wait()).code, 3);
  supervisor.output(FrameKind.extra, "heir");
  supervisor.output(FrameKind.extra, "\'s");
  assert.equal((await handle.recv())?.kind, "exited");
  for (const text of ["heir", "'s"]) {
    const next = await handle.recv();
    assert.ok(next?.kind === "stderr" && next.data.toString() === text);
  }
  await handle.signal(15);
  await supervisor.has("Signal");
  supervisor.output(FrameKind.data, "last");
  supervisor.send(outputsEnded);
  const { code } = await handle.collect();
  assert.equal(code, 3);
  assert.equal(await handle.recv(), null);
  assert.ok(supervisor.received.every(({ type }) => type !== "Release"));
});

test("one who asks for the rest of the output when it is dropped already is told", async () => {
  const tooLate = { name: "RuntimeError", message: /received already/, hint: /followOutput/ };
  const ends: [Message[], (handle: ExecHandle) => Promise<unknown>][] = [
    [[], (handle) => handle.collect()],
    [[], (handle) => handle.wait()],
    [[outputsEnded], (handle) => handle.collect()],
  ];
  for (const [more, receive] of ends) {
    const { handle, supervisor } = await start();
    supervisor.send(begin, end(0), ...more);
    await receive(handle);
    assert.throws(() => handle.followOutput(), tooLate);
  }
  // Its end has come, but nobody has received it yet. Asking twice is asking.
  for (const more of [[], [outputsEnded]]) {
    const { handle, supervisor } = await start();
    supervisor.send(begin, end(0), ...more);
    assert.equal((await handle.recv())?.kind, "started");
    await new Promise(setImmediate);
    handle.followOutput();
    supervisor.send(...(more.length === 0 ? [outputsEnded] : []));
    assert.equal((await handle.collect()).code, 0);
    assert.equal(handle.followOutput(), handle);
  }
});

test("the rest of the output ends with the sandbox, which takes no result away", async () => {
  const { handle, supervisor } = await start();
  handle.followOutput();
  supervisor.send(begin, end(0));
  supervisor.output(FrameKind.data, "heir");
  const gathered = handle.collect();
  await handle.wait();
  supervisor.socket.end();
  assert.deepEqual([(await gathered).code, await handle.recv()], [0, null]);
});

test("a command that had ended before its time limit could kill it keeps its result", async () => {
  const { handle, supervisor } = await start({ kind: "null" }, 20);
  supervisor.send(begin);
  await supervisor.has("Signal");
  supervisor.output(FrameKind.data, "done");
  supervisor.send(end(0));
  const output = await handle.collect();
  assert.deepEqual([output.code, output.stdout()], [0, "done"]);
});

test("leaving a loop kills the command; one that was released, or has ended, it does not", async () => {
  const loop = async (leave: (handle: ExecHandle) => Promise<void> | void): Promise<Message["type"][]> => {
    const { handle, supervisor } = await start();
    supervisor.send(begin);
    supervisor.output(FrameKind.data, "ready");
    try {
      for await (const event of handle) {
        if (event.kind !== "stdout") continue;
        const left = leave(handle);
        if (left !== undefined) {
          await supervisor.has("Release");
          supervisor.send({ type: "Done" });
          await left;
        }
        break;
      }
    } catch (error) {
      assert.equal(String(error), "Error: out of the loop");
    }
    // What was said on a stream is in order: whatever the loop has sent has come before this.
    const end = handle.signal(64);
    await (supervisor.received.some(({ type }) => type === "Release")
      ? end
      : supervisor.until(() =>
          supervisor.received.some((message) => message.type === "Signal" && message.signal === 64),
        ));
    return supervisor.received.slice(1).map(({ type }) => type);
  };
  assert.deepEqual(await loop(() => undefined), ["Signal", "Signal"]);
  assert.deepEqual(
    await loop(() => {
      throw new Error("out of the loop");
    }),
    ["Signal", "Signal"],
  );
  assert.deepEqual(await loop((handle) => handle.release()), ["Release"]);

  const { handle, supervisor } = await start();
  supervisor.send(begin, end(5));
  for await (const event of handle) if (event.kind === "exited") break;
  assert.equal((await handle.wait()).code, 5);
  await supervisor.has("Release");
  assert.ok(supervisor.received.every(({ type }) => type !== "Signal"));
});

test("what is gathered has a bound, and the result says when there was more", async () => {
  const print = (supervisor: Supervisor, ...texts: string[]): void => {
    for (const text of texts) supervisor.output(FrameKind.data, text);
    supervisor.output(FrameKind.extra, "err");
  };
  const { handle, supervisor } = await start({ kind: "null" }, null, 7);
  supervisor.send(begin);
  print(supervisor, "12345", "67890", "more");
  supervisor.send(end(4), outputsEnded);
  const cut = await handle.collect();
  assert.deepEqual([cut.code, cut.stdout(), cut.stderr(), cut.truncated], [4, "1234567", "err", true]);

  // Exactly as much is not more.
  const { handle: whole, supervisor: other } = await start({ kind: "null" }, null, 7);
  other.send(begin);
  print(other, "12345", "67");
  other.send(end(0), outputsEnded);
  const output = await whole.collect();
  assert.deepEqual([output.stdout(), output.truncated], ["1234567", false]);

  const { handle: late, supervisor: slow } = await start({ kind: "null" }, 20, 7);
  slow.send(begin);
  await slow.has("Signal");
  print(slow, "12345", "67890");
  slow.send(killed);
  await assert.rejects(late.collect({ maxOutputBytes: 2 }), (error) => {
    assert.ok(error instanceof ExecTimeoutError);
    assert.deepEqual([error.stdout(), error.stderr(), error.truncated], ["12", "er", true]);
    return true;
  });
  for (const wrong of [-1, 0.5, NaN])
    await assert.rejects(late.collect({ maxOutputBytes: wrong }), InvalidConfigError);
});
