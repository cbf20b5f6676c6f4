import assert from "node:assert/strict";
import { once } from "node:events";
import { duplexPair, type Duplex } from "node:stream";
import { test, type TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { AnswerReader, fields, requestOf, texts, type Answer } from "../../../test/support/fuse-kernel.ts";
import { readBody } from "../../../test/support/served-directory.ts";
import { GivenProvider } from "../../config/mounts/given-provider.ts";
import type { ProviderMount } from "../../config/mounts/volume-mount.ts";
import { FrameKind } from "../../protocol/frame.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Stream } from "../../protocol/stream.ts";
import { Streams } from "../../protocol/streams.ts";
import type { FileProvider } from "../../provider/file-provider.ts";
import { SupervisorConnection } from "../control/connection.ts";
import { provideFiles } from "./provide-files.ts";

const root = 1;
const eio = 5;
const mount: ProviderMount = {
  ...{ kind: "provider", guest: "/made", timeoutMs: 60_000, cacheMs: 0 },
  ...{ readonly: false, noexec: false, nosuid: false, nodev: false },
};
const size = 256 << 10;
const large: FileProvider = {
  stat: async (path) => (path === "/" ? { kind: "directory" } : { kind: "file", size }),
  list: async () => [],
  read: async (_path, _offset, length) => new Uint8Array(length).fill(7),
};

interface Supervisor {
  readonly connection: SupervisorConnection;
  readonly stream: Stream;
  /** What came on the stream beside data. */
  readonly said: Message[];
  readonly answers: Map<bigint, Answer>;
  /** Bytes that have come and are not consumed. */
  held: number;
  /** Whether what comes is consumed at once. */
  takes: boolean;
  ask(...given: Parameters<typeof requestOf>): Promise<Answer>;
}

/** Two ends that have what was written for themselves, as those of a socket have: whoever writes uses its memory again. */
function copyingPair(): [Duplex, Duplex] {
  const [here, left] = duplexPair();
  const [right, there] = duplexPair();
  const copy = (chunk: Buffer): Buffer => Buffer.from(chunk);
  left.on("data", (chunk: Buffer) => right.write(copy(chunk))).on("end", () => right.end());
  right.on("data", (chunk: Buffer) => left.write(copy(chunk))).on("end", () => left.end());
  return [here, there];
}

/** The supervisor's end of a connection, with a stream for a mount on it. */
function supervisorOf(t: TestContext, provider: GivenProvider, path = "/made"): Supervisor {
  const [here, there] = copyingPair();
  const provide = provideFiles([mount], new Map([["/made", provider]]));
  const greeting = { message: () => undefined, lost: () => undefined };
  const connection = SupervisorConnection.inherited(there, greeting, provide);
  const streams = new Streams(
    here,
    { incoming: "client→supervisor" },
    {
      message: () => undefined,
      accept: () => assert.fail("nothing is opened"),
      reason: () => new Error("gone"),
      closed: () => undefined,
    },
  );
  t.after(() => {
    connection.close();
    here.destroy();
  });
  const reader = new AnswerReader();
  const said: Message[] = [];
  const answers = new Map<bigint, Answer>();
  const stream = streams.open(
    { type: "ProvideFiles", path },
    {
      message: (message) => said.push(message),
      data: (_kind, bytes) => {
        supervisor.held += bytes.length;
        for (const answer of reader.push(Buffer.from(bytes))) answers.set(answer.unique, answer);
        // After that: what is granted may come at once, and the bytes are lent.
        if (supervisor.takes) take(supervisor);
      },
      lost: () => undefined,
    },
  );
  const supervisor: Supervisor = {
    ...{ connection, stream, said, answers, held: 0, takes: true },
    ask: async (...given) => {
      const message = requestOf(...given);
      stream.sendData(FrameKind.data, message);
      for (;;) {
        const answer = answers.get(message.readBigUInt64LE(12));
        if (answer !== undefined) return answer;
        if (stream.over) throw new Error("the stream is over");
        await setImmediate();
      }
    },
  };
  return supervisor;
}

function take(supervisor: Supervisor): void {
  // What is granted may come at once.
  const { held } = supervisor;
  supervisor.held = 0;
  supervisor.stream.consume(held);
}

async function openFile(supervisor: Supervisor): Promise<{ id: number; handle: number }> {
  const { body } = await supervisor.ask("lookup", root, texts("file"));
  const id = Number(body.readBigUInt64LE(0));
  const opened = await supervisor.ask("open", id, fields([32, 0], [32, 0]));
  return { id, handle: Number(opened.body.readBigUInt64LE(0)) };
}

test(
  "answers come as fast as the supervisor takes them, and all of them come",
  { timeout: 20_000 },
  async (t) => {
    const supervisor = supervisorOf(t, new GivenProvider(large));
    const { id, handle } = await openFile(supervisor);
    supervisor.takes = false;
    const before = supervisor.answers.size;
    const reads = Array.from({ length: 20 }, () => supervisor.ask("read", id, readBody(handle, 0, size)));
    for (let each = 0; each < 100; each++) await setImmediate();
    assert.ok(supervisor.answers.size - before < 3, "there is credit for two");
    supervisor.takes = true;
    take(supervisor);
    for (const { errno: number, body } of await Promise.all(reads)) {
      assert.deepEqual([number, body.length, body[size - 1]], [0, size, 7]);
    }
    assert.deepEqual(supervisor.said, []);
  },
);

test(
  "what is not provided is told, and so is a guest that sends what is no message",
  { timeout: 20_000 },
  async (t) => {
    const none = supervisorOf(t, new GivenProvider(large), "/other");
    while (none.said.length === 0) await setImmediate();
    assert.equal(none.said[0]?.type, "Failure");
    const bad = supervisorOf(t, new GivenProvider(large));
    bad.stream.sendData(FrameKind.data, Buffer.alloc(100));
    while (bad.said.length === 0) await setImmediate();
    assert.match(JSON.stringify(bad.said), /"protocol".*a message of 0 bytes for \/made/);
  },
);

test("what fails is a warning, once, or is told to who wants to hear it", { timeout: 20_000 }, async (t) => {
  const failing: FileProvider = { ...large, read: () => Promise.reject(new Error("my mistake")) };
  const warned = once(process, "warning");
  const quiet = supervisorOf(t, new GivenProvider(failing));
  const { id, handle } = await openFile(quiet);
  const warnings = t.mock.method(process, "emitWarning");
  for (let each = 0; each < 3; each++)
    assert.equal((await quiet.ask("read", id, readBody(handle, 0, 5))).errno, eio);
  assert.equal(warnings.mock.callCount(), 1);
  const [warning] = (await warned) as [Error];
  assert.equal(warning.message, "a provider failed (read, /made: /file): my mistake");

  const told: string[] = [];
  const onError = (error: Error, { operation }: { operation: string }): void => {
    told.push(`${operation}: ${error.message}`);
    throw new Error("the listener's own");
  };
  const loud = supervisorOf(t, new GivenProvider(failing, onError));
  const file = await openFile(loud);
  for (let each = 0; each < 2; each++)
    assert.equal((await loud.ask("read", file.id, readBody(file.handle, 0, 5))).errno, eio);
  assert.deepEqual(told, ["read: my mistake", "read: my mistake"]);
  assert.equal(warnings.mock.callCount(), 2);
});

test("when the sandbox ends, what goes on is given up", { timeout: 20_000 }, async (t) => {
  for (const end of ["abort", "close"] as const) {
    const begun = Promise.withResolvers<AbortSignal>();
    const hanging: FileProvider = {
      ...large,
      read: (_path, _offset, _length, { signal }) => {
        begun.resolve(signal);
        return new Promise(() => undefined);
      },
    };
    const supervisor = supervisorOf(t, new GivenProvider(hanging));
    const { id, handle } = await openFile(supervisor);
    void supervisor.ask("read", id, readBody(handle, 0, 5)).catch(() => undefined);
    const signal = await begun.promise;
    if (end === "abort") supervisor.stream.abort(new Error("the machine has ended"));
    else supervisor.connection.close();
    while (!signal.aborted) await setImmediate();
  }
});
