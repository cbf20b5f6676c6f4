import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "../../errors/index.ts";
import { FrameKind } from "../../protocol/frame.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import { FileRelay } from "./file-relay.ts";

interface Ends {
  readonly relay: FileRelay;
  /** The guest's side. */
  readonly guest: StreamHandler;
  /** What each side was told, as text. */
  readonly toClient: string[];
  readonly toGuest: string[];
  activities: number;
  /** What keeps the sandbox from being idle. */
  working: number;
  endGuest: () => void;
}

function ends(
  request: Message = { type: "FileRead", path: Buffer.from("/x"), offset: 0, length: null },
): Ends {
  const toClient: string[] = [];
  const toGuest: string[] = [];
  const note = (to: string[]): Stream =>
    ({
      held: 100,
      send: (message: Message) => to.push(message.type === "Failure" ? message.code : message.type),
      sendData: (_kind: number, payload: Buffer) => to.push(payload.toString()),
      consume: (bytes: number) => to.push(`consumed ${bytes}`),
      stopSending: () => to.push("stop"),
      end: () => to.push("end"),
      abort: () => to.push("abort"),
    }) as unknown as Stream;
  let guest: StreamHandler | undefined;
  let over = (): void => undefined;
  const result = { toClient, toGuest, activities: 0, working: 0 };
  const limits = {
    activity: () => ++result.activities,
    sessionStarted: () => {
      result.working++;
      result.activities++;
    },
    sessionEnded: () => {
      result.working--;
      result.activities++;
    },
  };
  const relay = new FileRelay({
    request,
    agent: {
      openFiles: (_request, handler, whenOver = (): void => undefined) => {
        guest = handler;
        over = whenOver;
        return note(toGuest);
      },
    },
    client: note(toClient),
    sandbox: "demo",
    limits,
    over: () => toClient.push("over"),
  });
  assert.ok(guest !== undefined);
  return Object.assign(result, { relay, guest, endGuest: () => over() });
}

const opened: Message = { type: "FileOpened", size: 1 };
const data = (text: string): Buffer => Buffer.from(text);

test("what each side sends and grants reaches the other one, and counts as activity", () => {
  const both = ends();
  both.guest.message(opened);
  both.guest.data(FrameKind.data, data("contents"));
  both.guest.credit?.(7);
  both.guest.stopSending?.();
  both.guest.message({ type: "FileDone" });
  const client = both.relay.clientHandler;
  client.message({ type: "Next" });
  client.data(FrameKind.data, data("bytes"));
  client.credit?.(8);
  client.credit?.(1000);
  client.ended?.();
  client.aborted?.();
  assert.deepEqual(both.toClient, ["FileOpened", "contents", "consumed 7", "stop", "FileDone"]);
  assert.deepEqual(both.toGuest, ["Next", "bytes", "consumed 8", "consumed 100", "end", "abort"]);
  both.endGuest();
  assert.equal(both.toClient.at(-1), "over");
  assert.ok(both.activities >= 4);
});

test("a guest that does things out of their order costs itself the connection", () => {
  assert.throws(() => {
    ends().guest.data(FrameKind.data, data("early"));
  }, ProtocolError);
  const twice = ends();
  twice.guest.message(opened);
  assert.throws(() => {
    twice.guest.message(opened);
  }, ProtocolError);
  for (const message of [
    { type: "FileChanges", changes: [] },
    { type: "TreeDone", problemCount: 0, problems: [] },
  ] as const) {
    assert.throws(() => {
      ends().guest.message(message);
    }, ProtocolError);
  }
});

test("changes come when they were asked for, and not once more", () => {
  const both = ends({ type: "FileWatch", path: Buffer.from("/x") });
  const changes = { type: "FileChanges", changes: [] } as const;
  both.guest.message(opened);
  both.relay.clientHandler.message({ type: "Next" });
  both.guest.message(changes);
  assert.throws(() => {
    both.guest.message(changes);
  }, ProtocolError);
  assert.deepEqual(both.toClient, ["FileOpened", "FileChanges"]);
});

test("a sandbox is not idle while something is done about a file, however silently; a watcher only waits", () => {
  const reading = ends();
  assert.equal(reading.working, 1);
  reading.guest.message(opened);
  assert.equal(reading.working, 1);
  reading.endGuest();
  assert.equal(reading.working, 0);
  const watching = ends({ type: "FileWatch", path: Buffer.from("/x") });
  assert.deepEqual([watching.working, watching.activities], [0, 1]);
  watching.endGuest();
  assert.equal(watching.working, 0);
});

test("what kind of error it is, is not for the guest to say; its end is none of the connection's", () => {
  const failed = ends();
  failed.guest.message({ type: "Failure", code: "invalidConfig", message: "lie", hint: "", details: "{}" });
  const gone = ends();
  gone.guest.lost(new Error("the connection to the guest was closed"));
  const hostile = ends();
  hostile.guest.lost(new ProtocolError("no"));
  assert.deepEqual(
    [failed.toClient, gone.toClient, hostile.toClient],
    [["runtime"], ["sandboxNotRunning"], ["protocol"]],
  );
});
