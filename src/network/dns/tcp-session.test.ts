import assert from "node:assert/strict";
import { once } from "node:events";
import { EventEmitter } from "node:events";
import { mock, test } from "node:test";
import { framed } from "./message/frames.ts";
import { DnsTcpSession, type DnsStream } from "./tcp-session.ts";

/** The guest's end: what was done to it. */
class GuestEnd extends EventEmitter implements DnsStream {
  readonly written: string[] = [];
  consumed = 0;
  isEnded = false;
  isReset = false;
  isFull = false;

  write(bytes: Uint8Array): boolean {
    this.written.push(Buffer.from(bytes).subarray(2).toString());
    this.emit("written");
    return !this.isFull;
  }

  end(): void {
    this.isEnded = true;
    this.emit("end");
  }

  reset(): void {
    this.isReset = true;
  }

  consume(bytes: number): void {
    this.consumed += bytes;
  }
}

/** Answers when it is told to. */
class Answers {
  readonly asked: string[] = [];
  readonly #turns: PromiseWithResolvers<Buffer | null>[] = [];
  signal: AbortSignal | null = null;

  readonly answer = (message: Buffer, signal: AbortSignal): Promise<Buffer | null> => {
    this.asked.push(message.toString().trimEnd());
    this.signal = signal;
    const turn = Promise.withResolvers<Buffer | null>();
    this.#turns.push(turn);
    return turn.promise;
  };

  give(index: number, text: string | null): void {
    (this.#turns[index] ?? assert.fail()).resolve(text === null ? null : Buffer.from(text));
  }
}

function opened(idleAfterMs?: number): { answers: Answers; guest: GuestEnd; session: DnsTcpSession } {
  const answers = new Answers();
  const session = new DnsTcpSession(answers.answer, idleAfterMs === undefined ? {} : { idleAfterMs });
  const guest = new GuestEnd();
  session.attach(guest);
  return { answers, guest, session };
}

/** Each of 12 bytes at least: nothing shorter is a message. */
function messages(...texts: readonly string[]): Buffer {
  return Buffer.concat(texts.map((text) => framed(Buffer.from(text.padEnd(12)))));
}

test("questions that come at once are asked at once, and answered as the answers come", async () => {
  const { answers, guest, session } = opened();
  session.data(messages("one", "two", "three"));
  assert.deepEqual(answers.asked, ["one", "two", "three"]);
  answers.give(1, "second");
  await once(guest, "written");
  answers.give(0, "first");
  await once(guest, "written");
  assert.deepEqual(guest.written, ["second", "first"]);
  session.closed();
});

test("after the guest's FIN what is under way is answered, then the connection ends", async () => {
  const { answers, guest, session } = opened();
  session.data(messages("one", "two"));
  session.ended();
  assert.ok(!guest.isEnded);
  answers.give(0, "first");
  answers.give(1, "second");
  await once(guest, "end");
  assert.deepEqual(guest.written, ["first", "second"]);
  session.closed();
});

test("a guest that ends without a question is let go at once", () => {
  const { guest, session } = opened();
  session.data(Buffer.from([0]));
  session.ended();
  assert.ok(guest.isEnded);
  session.closed();
});

test("what is no question ends the connection, and what comes after it is thrown away", async () => {
  const { answers, guest, session } = opened();
  session.data(messages("", "two"));
  answers.give(0, null);
  await once(guest, "end");
  answers.give(1, "late");
  const before = guest.consumed;
  session.data(messages("three"));
  assert.deepEqual([answers.asked, guest.written, guest.consumed - before], [["", "two"], [], 14]);
  session.closed();
});

test("a message longer than any question resets the connection, and stops what is under way", () => {
  const { answers, guest, session } = opened();
  session.data(messages("one"));
  session.data(Buffer.from([0xff, 0xff]));
  assert.ok(guest.isReset);
  assert.ok(answers.signal?.aborted);
});

for (const length of [0, 1, 11]) {
  test(`a message of ${length} bytes, which is shorter than a header, resets the connection`, () => {
    const { answers, guest, session } = opened();
    session.data(Buffer.concat([messages("one"), framed(Buffer.alloc(length)), messages("two")]));
    assert.ok(guest.isReset);
    assert.deepEqual(answers.asked, ["one"]);
    assert.ok(answers.signal?.aborted);
  });
}

test("256 questions wait besides those that are worked on, and one more resets the connection", () => {
  const { answers, guest, session } = opened();
  session.data(messages(...Array.from({ length: 32 + 256 }, () => "question")));
  assert.ok(!guest.isReset);
  session.data(messages("one more"));
  assert.ok(guest.isReset);
  assert.equal(answers.asked.length, 32);
  assert.ok(answers.signal?.aborted);
});

test("no more than 32 questions are worked on, and the others are not taken off the guest's window", async () => {
  const { answers, guest, session } = opened();
  const texts = Array.from({ length: 40 }, (_, index) => `question ${index}`);
  session.data(messages(...texts));
  assert.equal(answers.asked.length, 32);
  assert.equal(guest.consumed, messages(...texts.slice(0, 32)).length);
  answers.give(5, "answer");
  await once(guest, "written");
  assert.equal(answers.asked.length, 33);
  session.closed();
});

test("a guest that does not read its answers is asked for no more questions until it does", async () => {
  const { answers, guest, session } = opened();
  guest.isFull = true;
  session.data(messages("one"));
  answers.give(0, "first");
  await once(guest, "written");
  session.data(messages("two"));
  assert.deepEqual(answers.asked, ["one"]);
  guest.isFull = false;
  session.drained();
  assert.deepEqual(answers.asked, ["one", "two"]);
  session.closed();
});

test("a connection without questions ends after its time, however its bytes trickle, and is reset when the guest goes on", (context) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  const clock = mock.method(performance, "now", () => now);
  context.after(() => {
    mock.timers.reset();
    clock.mock.restore();
  });
  const pass = (ms: number): void => {
    now += ms;
    mock.timers.tick(ms);
  };
  const { guest, session } = opened(30_000);
  pass(20_000);
  session.data(Buffer.from([0]));
  assert.ok(!guest.isEnded);
  pass(10_001);
  assert.ok(guest.isEnded);
  pass(20_000);
  session.data(Buffer.from([1]));
  assert.ok(!guest.isReset);
  pass(10_001);
  assert.ok(guest.isReset);
});

test("a question that takes long keeps its connection", async (context) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  const clock = mock.method(performance, "now", () => now);
  context.after(() => {
    mock.timers.reset();
    clock.mock.restore();
  });
  const { answers, guest, session } = opened(30_000);
  session.data(messages("one"));
  now += 40_000;
  mock.timers.tick(40_000);
  assert.ok(!guest.isEnded);
  answers.give(0, "first");
  await once(guest, "written");
  session.closed();
});

test("a connection that is closed stops what is under way", () => {
  const { answers, session } = opened();
  session.data(messages("one"));
  session.closed();
  assert.ok(answers.signal?.aborted);
});
