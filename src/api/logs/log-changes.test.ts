import assert from "node:assert/strict";
import { test } from "node:test";
import { OperationTimeoutError, RuntimeError } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import { longestTimerMs } from "../../host/timers.ts";
import {
  subscribedSupervisor,
  type SubscribedSupervisor,
} from "../../../test/support/subscribed-supervisor.ts";
import { LogChanges, type LogsOwner } from "./log-changes.ts";

interface Supervisor extends Omit<SubscribedSupervisor, "asked" | "borrow"> {
  readonly owner: LogsOwner;
  /** The messages that were sent to it, by their names. */
  heard: () => string[];
}

/** Tells at once that there is something in the log, and what the test says from then on. */
function supervisor(): Supervisor {
  const { asked, borrow, ...end } = subscribedSupervisor((stream, { type }) => {
    if (type === "WatchLogs") stream.send({ type: "LogsChanged" });
  });
  return { ...end, owner: { borrow }, heard: () => asked.map(({ type }) => type) };
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
  assert.deepEqual(heard(), ["WatchLogs", "Next"]);
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
  assert.deepEqual(heard(), ["WatchLogs", "Next", "Next", "Next"]);
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
  const { owner, ends, borrowed } = supervisor();
  const changes = new LogChanges(owner, []);
  await next(changes);
  const waiting = next(changes);
  await settle();
  changes[Symbol.dispose]();
  await waiting;
  await settle();
  assert.deepEqual(ends, ["aborted"]);
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
  assert.deepEqual(heard(), []);
  await next(changes);
  assert.deepEqual(heard()[0], "WatchLogs");
});
