import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { OperationTimeoutError, RuntimeError } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import { longestTimerMs } from "../../host/timers.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Stream } from "../../protocol/stream.ts";
import { Streams } from "../../protocol/streams.ts";
import { SupervisorConnection } from "../control/connection.ts";
import { LogChanges, type LogsOwner } from "./log-changes.ts";

/** What the other end has heard. */
interface Supervisor {
  readonly owner: LogsOwner;
  readonly heard: string[];
  readonly streams: Stream[];
  /** How often the connection was borrowed and not given back. */
  borrowed: () => number;
  /** How many keep the program alive. */
  holders: () => number;
}

function supervisor(): Supervisor {
  const [near, far] = duplexPair();
  const heard: string[] = [];
  const streams: Stream[] = [];
  const hear = (stream: Stream, { type }: Message): void => {
    heard.push(type);
    if (type === "WatchLogs") stream.send({ type: "LogsChanged" });
  };
  new Streams(
    far,
    { incoming: "client→supervisor" },
    {
      message: () => undefined,
      accept: (stream, opening) => {
        streams.push(stream);
        queueMicrotask(() => {
          hear(stream, opening);
        });
        return {
          message: (message) => {
            hear(stream, message);
          },
          data: () => undefined,
          aborted: () => heard.push("aborted"),
          lost: () => heard.push("lost"),
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
  const hold = connection.hold.bind(connection);
  let holders = 0;
  connection.hold = () => {
    const release = hold();
    holders++;
    return () => {
      holders--;
      release();
    };
  };
  let borrowed = 0;
  const owner: LogsOwner = {
    borrow: () => {
      borrowed++;
      return Promise.resolve({ connection, [Symbol.dispose]: () => borrowed-- });
    },
  };
  return { owner, heard, streams, borrowed: () => borrowed, holders: () => holders };
}

const next = (changes: LogChanges, timeoutMs?: number, atMostMs = longestTimerMs): Promise<void> =>
  Operation.run("wait", { timeoutMs }, (operation) => changes.next(operation, "running", atMostMs));

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
}

test("the supervisor tells of each change that was asked for, on one stream", async () => {
  const { owner, heard, streams, holders } = supervisor();
  using changes = new LogChanges(owner, []);
  await next(changes);
  await settle();
  assert.deepEqual(heard, ["WatchLogs", "Next"]);
  const waiting = next(changes);
  await settle();
  assert.equal(holders(), 1);
  streams[0]?.send({ type: "LogsChanged" });
  await waiting;
  assert.equal(holders(), 0);
  // One that comes while nobody waits is not lost.
  await settle();
  streams[0]?.send({ type: "LogsChanged" });
  await settle();
  await next(changes);
  await settle();
  assert.deepEqual(heard, ["WatchLogs", "Next", "Next", "Next"]);
});

test("a wait that is given up leaves nothing that keeps the program alive, and takes no change with it", async () => {
  const { owner, streams, holders } = supervisor();
  using changes = new LogChanges(owner, []);
  await next(changes);
  await assert.rejects(next(changes, 20), OperationTimeoutError);
  assert.equal(holders(), 0);
  streams[0]?.send({ type: "LogsChanged" });
  await settle();
  await next(changes);
});

test("nobody is waited for longer than the reader has use for", async () => {
  const { owner } = supervisor();
  using changes = new LogChanges(owner, []);
  await next(changes);
  await next(changes, undefined, 20);
});

test("the end of the sandbox wakes who waits, and gives the connection back", async () => {
  const { owner, streams, borrowed } = supervisor();
  using changes = new LogChanges(owner, []);
  await next(changes);
  const waiting = next(changes);
  await settle();
  streams[0]?.send({ type: "Ended", state: "stopped", exitCode: 0, signal: null, reason: "" });
  await waiting;
  assert.equal(borrowed(), 0);
});

test("who closes it ends it at the supervisor too", async () => {
  const { owner, heard, borrowed } = supervisor();
  const changes = new LogChanges(owner, []);
  await next(changes);
  const waiting = next(changes);
  await settle();
  changes[Symbol.dispose]();
  await waiting;
  await settle();
  assert.ok(heard.includes("aborted"));
  assert.equal(borrowed(), 0);
});

test("a supervisor that cannot be asked is done without, and asked again later", async () => {
  const { owner, heard } = supervisor();
  let refused = 0;
  const refusing: LogsOwner = {
    borrow: (operation) => {
      if (refused++ === 0) return Promise.reject(new RuntimeError("too many clients"));
      return owner.borrow(operation);
    },
  };
  using changes = new LogChanges(refusing, []);
  await next(changes);
  assert.deepEqual(heard, []);
  await next(changes);
  assert.deepEqual(heard[0], "WatchLogs");
});
