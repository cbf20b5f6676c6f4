import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { duplexPair } from "node:stream";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import {
  connect,
  exited,
  output,
  outputsEnded,
  request,
  started,
} from "../../../test/support/talking-guest.ts";
import { INITIAL_CREDIT, MAX_DATA_PAYLOAD } from "../../protocol/generated/limits.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Stream } from "../../protocol/stream.ts";
import { Streams } from "../../protocol/streams.ts";
import { ExecLog } from "../logs/exec-log.ts";
import { Session } from "./session.ts";

interface Command {
  /** The client's end of it. */
  readonly stream: Stream;
  /** What the client was told and sent. */
  readonly heard: string[];
  /** What the guest was told. */
  readonly told: Message[];
  /** Makes the guest send this. */
  readonly say: (...frames: Buffer[]) => Promise<void>;
  readonly until: (condition: () => boolean) => Promise<void>;
  /** Its end. */
  readonly ended: Promise<void>;
  /** The end of its outputs. */
  readonly over: Promise<void>;
  /** How often it counted as activity. */
  readonly activities: () => number;
  /** The client's connection breaks. */
  readonly disconnect: () => void;
  readonly logged: () => Promise<string>;
}

/** A command that has started, between a client and a guest. */
async function command(t: TestContext): Promise<Command> {
  const directory = await mkdtemp(join(tmpdir(), "session-"));
  const path = join(directory, "exec.log");
  const log = await ExecLog.open(path);
  t.after(async () => {
    await log.close();
    await rm(directory, { recursive: true, force: true });
  });
  const { socket, link, told } = await connect(t);
  const ended = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  let activities = 0;
  const [near, far] = duplexPair();
  new Streams(
    near,
    { incoming: "client→supervisor" },
    {
      message: () => undefined,
      accept: (client, opening) => {
        assert.ok(opening.type === "Exec");
        const session: Session = new Session({
          ...{ id: 1, tty: opening.tty, log, client },
          begin: (sink) => link.exec(opening, sink),
          activity: () => activities++,
          ended: () => ended.resolve(),
          over: () => over.resolve(),
        });
        return session.clientHandler;
      },
      reason: () => new Error("closed"),
      closed: () => undefined,
    },
  );
  const heard: string[] = [];
  const stream = new Streams(
    far,
    { incoming: "supervisor→client" },
    {
      message: () => undefined,
      accept: () => assert.fail("a supervisor opens no streams"),
      reason: () => new Error("closed"),
      closed: (error) => heard.push(`closed ${String(error)}`),
    },
  ).open(request, {
    message: ({ type }) => heard.push(type),
    data: (_kind, payload) => heard.push(`${payload.length} bytes`),
    lost: () => heard.push("lost"),
  });
  const until = async (condition: () => boolean): Promise<void> => {
    const giveUpAt = performance.now() + 5000;
    while (!condition() && performance.now() < giveUpAt)
      await new Promise((resolve) => setTimeout(resolve, 1));
    assert.ok(condition(), "it did not happen within 5 s");
  };
  const say = (...frames: Buffer[]): Promise<void> =>
    new Promise((resolve) => socket.write(Buffer.concat(frames), () => resolve()));
  await until(() => told.some(({ type }) => type === "Exec"));
  await say(started);
  await until(() => heard.includes("ExecStarted"));
  return {
    ...{ stream, heard, told, say, until, ended: ended.promise, over: over.promise },
    activities: () => activities,
    disconnect: () => far.destroy(),
    logged: async () => {
      await log.flush();
      return await readFile(path, "utf8");
    },
  };
}

const window = Array.from({ length: INITIAL_CREDIT / MAX_DATA_PAYLOAD }, () => output(MAX_DATA_PAYLOAD));
const credit = (told: readonly Message[]): number =>
  told.reduce((bytes, message) => bytes + (message.type === "Credit" ? message.bytes : 0), 0);

test("a client that wants no more output holds its command up no longer", { timeout: 10_000 }, async (t) => {
  const { stream, heard, told, say, until, over, logged } = await command(t);
  await say(...window);
  await until(() => heard.length === 1 + window.length);
  assert.equal(credit(told), 0);
  stream.stopSending();
  // What was sent to it and not used is granted, and what comes from now on.
  await until(() => credit(told) === INITIAL_CREDIT);
  await say(...window);
  await until(() => credit(told) === 2 * INITIAL_CREDIT);
  await say(exited, outputsEnded);
  await over;
  await until(() => heard.includes("OutputsEnded"));
  assert.deepEqual(heard.slice(1 + window.length), ["ExecExited", "OutputsEnded"]);
  const printed = (await logged()).match(/x{1000,}/g)?.join("").length;
  assert.equal(printed, 2 * INITIAL_CREDIT);
});

test("a command has ended when its process has; who holds its outputs is heard until they are left", async (t) => {
  const { stream, heard, told, say, until, ended, over, activities, logged } = await command(t);
  await say(output(1), exited);
  await ended;
  assert.deepEqual(heard, ["ExecStarted", "1 bytes", "ExecExited"]);
  const before = activities();
  await say(output(2));
  await until(() => heard.includes("2 bytes"));
  stream.send({ type: "Release" });
  await until(() => heard.includes("Done"));
  // Now they hold nobody up, and only the log has what they write.
  await say(...window, ...window);
  await until(() => credit(told) >= 2 * INITIAL_CREDIT);
  await say(outputsEnded);
  await over;
  assert.equal(activities(), before);
  assert.equal(heard.at(-1), "Done");
  const printed = (await logged()).match(/x+/g)?.join("").length;
  assert.equal(printed, 3 + 2 * INITIAL_CREDIT);
});

test("who goes takes a running command along, and leaves what has outlived it", async (t) => {
  const killed = (told: readonly Message[]): boolean => told.some(({ type }) => type === "Signal");
  const running = await command(t);
  running.disconnect();
  await running.until(() => killed(running.told));

  const outlived = await command(t);
  await outlived.say(exited);
  await outlived.ended;
  outlived.disconnect();
  // By the time that all this was granted, the loss is known.
  await outlived.say(...window, ...window);
  await outlived.until(() => credit(outlived.told) >= 2 * INITIAL_CREDIT);
  assert.ok(!killed(outlived.told));
});
