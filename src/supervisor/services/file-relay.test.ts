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
  endGuest: () => void;
}

function ends(): Ends {
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
  const result = { toClient, toGuest, activities: 0 };
  const relay = new FileRelay({
    request: { type: "FileRead", path: Buffer.from("/x"), offset: 0, length: null },
    agent: {
      openFiles: (_request, handler, whenOver = (): void => undefined) => {
        guest = handler;
        over = whenOver;
        return note(toGuest);
      },
    },
    client: note(toClient),
    sandbox: "demo",
    activity: () => {
      result.activities++;
    },
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
    { type: "TreeDone", entries: 0, bytes: 0, problemCount: 0, problems: [] },
  ] as const) {
    assert.throws(() => {
      ends().guest.message(message);
    }, ProtocolError);
  }
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
