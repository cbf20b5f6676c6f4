import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { parseAnswer, requestOf, texts, fields, type Answer } from "../../../test/support/fuse-kernel.ts";
import { errno } from "../fuse/numbers.ts";
import { answer } from "../fuse/reply.ts";
import { ForwardedMount } from "./forwarded-mount.ts";

interface Program {
  credit: number;
  readonly sent: Buffer[];
  consumed: number;
  closed: string | null;
}

interface Forwarded {
  readonly mount: ForwardedMount;
  readonly program: Program;
  readonly answers: Answer[];
  readonly over: string[];
}

function forwarded({ credit = 1 << 30 } = {}): Forwarded {
  const program: Program = { credit, sent: [], consumed: 0, closed: null };
  const [answers, over]: [Answer[], string[]] = [[], []];
  const mount = new ForwardedMount({
    ...{ mount: 3, timeoutMs: 5_000 },
    answer: (message) => answers.push(parseAnswer(message)),
    over: (reason) => over.push(reason),
  });
  mount.attach({
    get credit() {
      return program.credit;
    },
    send: (bytes) => {
      program.credit -= bytes.length;
      program.sent.push(Buffer.from(bytes));
    },
    consume: (bytes) => (program.consumed += bytes),
    close: (reason) => (program.closed = reason),
  });
  return { mount, program, answers, over };
}

const lookup = (): Buffer => requestOf("lookup", 1, texts("x")).subarray(4);
const replyTo = (message: Buffer, error = 0, body = 0): Buffer =>
  answer(0, message.subarray(8, 16), body, error);

test("requests and answers are passed on, with the mount's number before them, however they are cut", () => {
  const { mount, program, answers } = forwarded();
  const [first, second] = [lookup(), lookup()];
  mount.request(first);
  mount.request(second);
  const prefix = Buffer.from([3, 0, 0, 0]);
  assert.deepEqual(Buffer.concat(program.sent), Buffer.concat([prefix, first, prefix, second]));
  for (const byte of Buffer.concat([replyTo(second, errno.noent), replyTo(first, 0, 8)]))
    mount.received(Buffer.from([byte]));
  assert.deepEqual(
    answers.map((each) => [each.mount, each.unique, each.errno]),
    [
      [3, second.readBigUInt64LE(8), errno.noent],
      [3, first.readBigUInt64LE(8), 0],
    ],
  );
  mount.written(20);
  assert.equal(program.consumed, 20);
  assert.equal(mount.waiting, 0);
});

test("no more is sent than the program takes, and what waits has a limit", () => {
  const { mount, program, answers, over } = forwarded({ credit: 10 });
  const all: Buffer[] = [];
  for (let each = 0; each < 2_000; each++) {
    all.push(lookup());
    mount.request(all.at(-1) ?? Buffer.alloc(0));
  }
  assert.equal(Buffer.concat(program.sent).length, 10);
  assert.deepEqual(
    answers.map((each) => [each.errno, each.unique]),
    all.slice(1_024).map((each) => [errno.nomem, each.readBigUInt64LE(8)]),
  );
  program.credit = 1 << 30;
  mount.credited();
  assert.equal(
    Buffer.concat(program.sent).length,
    all.slice(0, 1_024).reduce((sum, each) => sum + 4 + each.length, 0),
  );

  // Bytes as well, and what has no answer ends it: the program would believe for ever what it did not hear of.
  const large = forwarded({ credit: 0 });
  for (let each = 0; each < 100; each++)
    large.mount.request(requestOf("write", 1, Buffer.alloc(256 << 10)).subarray(4));
  assert.ok(large.answers.length >= 36 && large.answers.every((each) => each.errno === errno.nomem));
  for (let each = 0; each < 3; each++)
    large.mount.request(requestOf("batchForget", 1, Buffer.alloc(200 << 10)).subarray(4));
  assert.equal(large.over.length, 1);
  assert.notEqual(large.program.closed, null);
  assert.deepEqual(over, []);
});

test("a second request of a number that waits is refused, and the first one is answered", () => {
  const { mount, program, answers } = forwarded();
  const message = lookup();
  mount.request(message);
  const sent = program.sent.length;
  mount.request(message);
  assert.equal(program.sent.length, sent, "it is not passed on");
  mount.received(replyTo(message, 0, 8));
  assert.deepEqual(
    answers.map((each) => each.errno),
    [errno.inval, 0],
  );
});

test("a message that is larger than the guest was allowed is refused", () => {
  const { mount, program, answers } = forwarded();
  mount.request(requestOf("write", 1, Buffer.alloc((256 << 10) + 4097)).subarray(4));
  assert.equal(answers[0]?.errno, errno.inval);
  assert.deepEqual(program.sent, []);
});

function timed(t: TestContext): (ms: number) => void {
  let now = 0;
  t.mock.method(performance, "now", () => now);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  return (ms) => {
    now += ms;
    t.mock.timers.tick(ms);
  };
}

test("a program that does not answer costs an error, and what it says later is of no effect", (t) => {
  const pass = timed(t);
  const { mount, program, answers } = forwarded();
  const [first, second] = [lookup(), lookup()];
  mount.request(first);
  pass(1_000);
  mount.request(second);
  pass(5_999);
  assert.equal(answers.length, 0);
  pass(1);
  assert.deepEqual(
    answers.map((each) => [each.errno, each.unique]),
    [[errno.timedout, first.readBigUInt64LE(8)]],
  );
  pass(1_000);
  assert.equal(answers.length, 2);
  mount.received(replyTo(first));
  assert.equal(answers.length, 2);
  assert.equal(program.consumed, 20, "it is taken all the same");
});

test("a guest that ends does not wait as long", (t) => {
  const pass = timed(t);
  const { mount, answers } = forwarded();
  mount.request(lookup());
  mount.hurry(500);
  pass(400);
  mount.request(lookup());
  pass(100);
  assert.equal(answers.length, 1);
  pass(400);
  assert.equal(answers.length, 2);
});

test("a program that is gone, or sends what is no answer, is an error for all, now and later", () => {
  const shortened = replyTo(lookup());
  shortened.writeUInt32LE(15, 4);
  const long = replyTo(lookup());
  long.writeUInt32LE((256 << 10) + 4097, 4);
  const wrongs = [-1, 512, 100_000].map((error) => replyTo(lookup(), error));
  for (const bytes of [null, shortened, long, ...wrongs, replyTo(lookup(), errno.io, 8)]) {
    const { mount, answers, over } = forwarded();
    const waiting = lookup();
    mount.request(waiting);
    if (bytes === null) mount.lost("it is gone");
    else mount.received(bytes);
    assert.equal(over.length, 1);
    assert.deepEqual(
      answers.map((each) => [each.errno, each.unique]),
      [[errno.notconn, waiting.readBigUInt64LE(8)]],
    );
    mount.request(lookup());
    mount.request(requestOf("forget", 1, fields([64, 1])).subarray(4));
    assert.deepEqual(
      answers.map((each) => each.errno),
      [errno.notconn, errno.notconn],
    );
    mount.lost("again");
    assert.equal(over.length, 1);
  }
});

test("after the machine's end nobody is told anything", () => {
  const { mount, program, answers, over } = forwarded();
  mount.request(lookup());
  mount.close();
  mount.received(replyTo(lookup()));
  mount.lost("late");
  assert.deepEqual([answers, over], [[], []]);
  assert.notEqual(program.closed, null);
});
