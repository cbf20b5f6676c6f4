import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeEvent, EventRecordReader } from "../../../protocol/event-records.ts";
import type { Message } from "../../../protocol/generated/messages.ts";
import type { Stream } from "../../../protocol/stream.ts";
import { EventQueue } from "./event-queue.ts";

/** A stream whose client takes as much as a test says. */
class Taking {
  credit = 0;
  over = false;
  readonly reader = new EventRecordReader();
  readonly taken: string[] = [];
  readonly words: string[] = [];
  sendData(_kind: number, payload: Buffer): void {
    assert.ok(payload.length > 0 && payload.length <= Math.min(this.credit, 65_536));
    this.credit -= payload.length;
    for (const { kind, name, data } of this.reader.push(payload))
      this.taken.push(kind === "dropped" ? `dropped ${data.toString()}` : name);
  }
  send(message: Message): void {
    this.words.push(message.type);
    this.over = true;
  }
}

const ended = { type: "Ended", state: "stopped", exitCode: 0, signal: null, reason: "" } as const;

function event(name: string, bytes = 0): Buffer {
  return encodeEvent("guest", 1, name, bytes === 0 ? "" : JSON.stringify("x".repeat(bytes - 2)));
}

function queueFor(stream: Taking): EventQueue {
  return new EventQueue(stream as unknown as Stream, [], () => undefined);
}

test("events go out as far as there is credit, in order and in pieces of any size", () => {
  const stream = new Taking();
  const queue = queueFor(stream);
  const names = Array.from({ length: 50 }, (_, n) => `event ${n}`);
  for (const name of names) queue.add(event(name, 1000));
  queue.add(event("large", 1024 * 1024));
  while (!stream.taken.includes("large")) {
    stream.credit += 777;
    queue.credit();
  }
  assert.deepEqual(stream.taken, [...names, "large"]);
});

test("what finds no room is counted where it would have been", async () => {
  const stream = new Taking();
  const queue = queueFor(stream);
  // 4 MiB take three of these.
  for (let n = 0; n < 10; n++) queue.add(event(`large ${n}`, 1024 * 1024));
  stream.credit = 1024 * 1024 + 100;
  queue.credit();
  queue.add(event("small"));
  for (let n = 0; n < 20_000; n++) queue.add(event("many"));
  queue.drop(5);
  const over = queue.end(ended);
  assert.deepEqual(stream.words, []);
  stream.credit = 64 * 1024 * 1024;
  queue.credit();
  await over;
  assert.deepEqual(stream.taken.slice(0, 5), ["large 0", "large 1", "large 2", "dropped 7", "small"]);
  const many = stream.taken.filter((name) => name === "many").length;
  assert.equal(stream.taken.at(-1), `dropped ${20_000 - many + 5}`);
  assert.ok(many > 1000 && many <= 8192);
  assert.deepEqual(stream.words, ["Ended"]);
});

test("a client that leaves keeps nobody waiting", async () => {
  const stream = new Taking();
  const queue = queueFor(stream);
  queue.add(event("unread"));
  const over = queue.end(ended);
  queue.lost();
  await over;
});
