import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { RuntimeError } from "../../errors/index.ts";
import type { EndedMessage, Message } from "../../protocol/generated/messages.ts";
import type { Stream } from "../../protocol/stream.ts";
import { Streams } from "../../protocol/streams.ts";
import { SupervisorConnection } from "../control/connection.ts";
import { watchState } from "./watch-state.ts";

const ended: EndedMessage = { type: "Ended", state: "stopped", exitCode: 0, signal: null, reason: "r" };

/** A connection whose other end is in the test's hands. */
function connect(): {
  connection: SupervisorConnection;
  heard: string[];
  opened: Promise<Stream>;
  streams: Streams;
} {
  const [near, far] = duplexPair();
  const heard: string[] = [];
  const opened = Promise.withResolvers<Stream>();
  const streams = new Streams(
    far,
    { incoming: "client→supervisor" },
    {
      message: () => undefined,
      accept: (stream, opening) => {
        heard.push(opening.type);
        opened.resolve(stream);
        return {
          message: ({ type }: Message) => heard.push(type),
          data: () => undefined,
          aborted: () => heard.push("aborted"),
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
  return { connection, heard, opened: opened.promise, streams };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

test("asks for one state after the other, until the end", async () => {
  const { connection, heard, opened } = connect();
  const watching = watchState(connection, () => false, new AbortController().signal);
  const stream = await opened;
  stream.send({ type: "StateChanged", state: "running" });
  await settle();
  stream.send({ type: "StateChanged", state: "draining" });
  await settle();
  stream.send(ended);
  assert.deepEqual(await watching, ended);
  assert.deepEqual(heard, ["WatchState", "Next", "Next"]);
});

test("a state that is enough ends the watch on both sides", async () => {
  const { connection, heard, opened } = connect();
  const watching = watchState(connection, (state) => state === "draining", new AbortController().signal);
  const stream = await opened;
  stream.send({ type: "StateChanged", state: "running" });
  await settle();
  stream.send({ type: "StateChanged", state: "draining" });
  assert.equal(await watching, null);
  await settle();
  assert.deepEqual(heard, ["WatchState", "Next", "aborted"]);
});

test("a failure and a lost connection are told", async () => {
  const { connection, opened, streams } = connect();
  const failing = assert.rejects(
    watchState(connection, () => false, new AbortController().signal),
    /cannot/,
  );
  (await opened).abort(new RuntimeError("cannot"));
  await failing;
  const losing = assert.rejects(
    watchState(connection, () => false, new AbortController().signal),
    RuntimeError,
  );
  await settle();
  streams.fail(new Error("gone"));
  await losing;
});

test("whoever gives up waiting is told why, and the watch ends on both sides", async () => {
  const { connection, heard, opened } = connect();
  const controller = new AbortController();
  const watching = watchState(connection, () => false, controller.signal);
  await opened;
  const reason = new Error("never mind");
  controller.abort(reason);
  await assert.rejects(watching, reason);
  await settle();
  assert.deepEqual(heard, ["WatchState", "aborted"]);
});
