import assert from "node:assert/strict";
import { test } from "node:test";
import { OperationTimeoutError } from "../../errors/index.ts";
import { SendCredit } from "../../protocol/credit.ts";
import type { DataKind } from "../../protocol/frame.ts";
import { INITIAL_CREDIT } from "../../protocol/generated/limits.ts";
import { ExecSink, type StdinTarget } from "./exec-sink.ts";

class Target implements StdinTarget {
  readonly sent: Buffer[] = [];
  readonly #credit = new SendCredit();
  ends = 0;

  get credit(): number {
    return this.#credit.available;
  }

  writable(signal?: AbortSignal): Promise<void> {
    return this.#credit.wait(signal);
  }

  sendData(_kind: DataKind, bytes: Buffer): void {
    this.#credit.take(bytes.length);
    this.sent.push(bytes);
  }

  grant(bytes: number): void {
    this.#credit.grant(bytes);
  }

  end(): void {
    this.ends++;
  }

  get bytes(): number {
    return this.sent.reduce((sum, { length }) => sum + length, 0);
  }
}

const rounds = async (): Promise<void> => {
  await new Promise(setImmediate);
};

test("writes arrive in order and the end comes last, once", async () => {
  const target = new Target();
  const sink = new ExecSink(target, false);
  void sink.write("grüße ");
  void sink.write(new Uint8Array([1, 2, 3, 4]).subarray(1, 3));
  void sink.close();
  await sink.close();
  assert.deepEqual(Buffer.concat(target.sent), Buffer.concat([Buffer.from("grüße "), Buffer.from([2, 3])]));
  assert.equal(target.ends, 1);
});

test("a write waits for credit, and the end for the write", async () => {
  const target = new Target();
  const sink = new ExecSink(target, false);
  let written = false;
  const writing = sink.write(Buffer.alloc(INITIAL_CREDIT + 10)).then(() => (written = true));
  const closing = sink.close();
  await rounds();
  assert.deepEqual([target.bytes, written, target.ends], [INITIAL_CREDIT, false, 0]);
  target.grant(10);
  await Promise.all([writing, closing]);
  assert.deepEqual([target.bytes, target.ends], [INITIAL_CREDIT + 10, 1]);
});

test("bytes that nobody reads any more are dropped, whenever that shows", async () => {
  const waiting = new ExecSink(new Target(), false);
  const blocked = waiting.write(Buffer.alloc(INITIAL_CREDIT + 1));
  await rounds();
  waiting.over();
  await blocked;

  // The end is told in the same turn as the credit that wakes the writer.
  const target = new Target();
  const woken = new ExecSink(target, false);
  const writing = woken.write(Buffer.alloc(INITIAL_CREDIT + 1));
  await rounds();
  target.grant(1);
  woken.over();
  await writing;
  await woken.write("later");
  await woken.close();
  assert.deepEqual([target.bytes, target.ends], [INITIAL_CREDIT, 0]);
});

test("what is written after the end is dropped, except on a terminal, which has none", async () => {
  for (const isTerminal of [false, true]) {
    const target = new Target();
    const sink = new ExecSink(target, isTerminal);
    await sink.close();
    await sink.write("x");
    assert.deepEqual([target.ends, target.bytes], isTerminal ? [0, 1] : [1, 0]);
  }
});

test("a write that is given up drops what is left of it, and what comes later goes on", async () => {
  const target = new Target();
  const sink = new ExecSink(target, false);
  const reason = new Error("never mind");
  const controller = new AbortController();
  const { signal } = controller;
  const sent = sink.write(Buffer.alloc(INITIAL_CREDIT + 10), { signal });
  const waiting = sink.write("never sent", { signal });
  const later = sink.write("later");
  await rounds();
  controller.abort(reason);
  await assert.rejects(sent, reason);
  await assert.rejects(waiting, reason);
  await assert.rejects(sink.write("x", { signal }), reason);
  target.grant(5);
  await later;
  assert.equal(Buffer.concat(target.sent).subarray(INITIAL_CREDIT).toString(), "later");
});

test("a wait for the end that is given up leaves the order: the writes, then the end", async () => {
  const target = new Target();
  const sink = new ExecSink(target, false);
  const writing = sink.write(Buffer.alloc(INITIAL_CREDIT + 10));
  await assert.rejects(sink.close({ timeoutMs: 1 }), OperationTimeoutError);
  assert.equal(target.ends, 0);
  target.grant(10);
  await writing;
  await sink.close();
  assert.deepEqual([target.bytes, target.ends], [INITIAL_CREDIT + 10, 1]);
});

test("a call that is given up before it begins changes nothing", async () => {
  const target = new Target();
  const sink = new ExecSink(target, false);
  await assert.rejects(sink.close({ timeoutMs: 0 }), OperationTimeoutError);
  await sink.write("still open");
  assert.deepEqual([target.bytes, target.ends], ["still open".length, 0]);
});
