import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode, type Answer as LibraryRecord } from "dns-packet";
import { mutate, pick, rounds, seeded, type Random } from "../../../../test/support/fuzz.ts";
import { addressOf, readAnswer, targetOf, type Answer } from "./answer.ts";
import { DomainName } from "./name.ts";
import { rewriteAnswer } from "./rewrite.ts";

const id = 0x1234;
const question = Buffer.concat([DomainName.of("Www.example.com").wire, Buffer.from([0, 1, 0, 1])]);

function message(flags: number, counts: readonly number[], ...parts: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(12);
  for (const [index, value] of [id, flags, ...counts].entries()) header.writeUInt16BE(value, 2 * index);
  return Buffer.concat([header, ...parts]);
}

function record(name: Buffer, type: number, data: Buffer, ttl = 60): Buffer {
  const middle = Buffer.alloc(10);
  middle.writeUInt16BE(type, 0);
  middle.writeUInt16BE(1, 2);
  middle.writeUInt32BE(ttl, 4);
  middle.writeUInt16BE(data.length, 8);
  return Buffer.concat([name, middle, data]);
}

const toQuestion = Buffer.from([0xc0, 12]);
const four = Buffer.from([93, 184, 216, 34]);
const good = message(0x8180, [1, 1, 0, 0], question, record(toQuestion, 1, four));
const lowerCase = Buffer.concat([DomainName.of("www.example.com").wire, Buffer.from([0, 1, 0, 1])]);

const messages: readonly (readonly [string, Buffer, boolean])[] = [
  ["an answer", good, true],
  ["bytes behind it", Buffer.concat([good, Buffer.from("behind")]), true],
  ["no records", message(0x8183, [1, 0, 0, 0], question), true],
  ["nothing", Buffer.alloc(0), false],
  ["another id", Buffer.concat([Buffer.from([0, 0]), good.subarray(2)]), false],
  ["a question", message(0x0100, [1, 0, 0, 0], question), false],
  ["another opcode", message(0xa180, [1, 0, 0, 0], question), false],
  ["no question", message(0x8180, [0, 0, 0, 0]), false],
  ["no question, and an rcode that is about the name", message(0x8183, [0, 0, 0, 0]), false],
  ["nothing but a failure", message(0x8182, [0, 0, 0, 0]), true],
  [
    "a failure with records, but no question",
    message(0x8182, [0, 1, 0, 0], record(Buffer.from([0]), 1, four)),
    false,
  ],
  ["two questions", message(0x8180, [2, 0, 0, 0], question, question), false],
  ["the question in another case", message(0x8180, [1, 0, 0, 0], lowerCase), false],
  [
    "another type",
    message(0x8180, [1, 0, 0, 0], question.subarray(0, -4), Buffer.from([0, 28, 0, 1])),
    false,
  ],
  ["fewer records than counted", message(0x8180, [1, 2, 0, 0], question, record(toQuestion, 1, four)), false],
  ["65,535 records that are not there", message(0x8180, [1, 65535, 65535, 65535], question), false],
  [
    "an address of 3 bytes",
    message(0x8180, [1, 1, 0, 0], question, record(toQuestion, 1, four.subarray(1))),
    false,
  ],
  [
    "an address of 4 bytes for AAAA",
    message(0x8180, [1, 1, 0, 0], question, record(toQuestion, 28, four)),
    false,
  ],
  ["a record longer than the message", good.subarray(0, -1), false],
  [
    "a pointer to itself",
    message(0x8180, [1, 1, 0, 0], question, record(Buffer.from([0xc0, 12 + question.length]), 1, four)),
    false,
  ],
  [
    "a pointer ahead",
    message(0x8180, [1, 1, 0, 0], question, record(Buffer.from([0xc0, 200]), 1, four)),
    false,
  ],
  [
    "a CNAME with bytes behind its name",
    message(0x8180, [1, 1, 0, 0], question, record(toQuestion, 5, Buffer.from([0xc0, 12, 0]))),
    false,
  ],
  [
    "truncated in the midst of a record",
    Buffer.concat([message(0x8380, [1, 1, 0, 0], question), Buffer.from([0xc0])]),
    true,
  ],
];

for (const [what, bytes, isTaken] of messages) {
  test(`what a server says: ${what}`, () => {
    assert.equal(readAnswer(bytes, id, question) !== null, isTaken);
  });
}

test("what is behind the records of an answer is left out", () => {
  const answer = readAnswer(Buffer.concat([good, Buffer.from("behind")]), id, question);
  assert.deepEqual(answer?.message, good);
});

test("the rcode of EDNS and a time with its highest bit", () => {
  const opt = Buffer.from([0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0]);
  const bytes = message(0x8180, [1, 1, 0, 1], question, record(toQuestion, 1, four, 0x80000001), opt);
  const answer = readAnswer(bytes, id, question);
  assert.deepEqual([answer?.rcode, answer?.records[0]?.ttlSeconds], [16, 0]);
});

test("a long chain of pointers costs little, and one longer than a name is refused", () => {
  // Each points to the one before it; every record's name begins at the last.
  const pointers = Buffer.alloc(60_000);
  const first = 12 + question.length + 11;
  for (let at = 0; at < pointers.length; at += 2)
    pointers.writeUInt16BE(0xc000 | Math.min(0x3fff, at === 0 ? 12 : first + at - 2), at);
  const bytes = message(
    0x8180,
    [1, 1, 0, 1],
    question,
    record(Buffer.from([0]), 16, pointers),
    record(Buffer.from([0xff, 0xfe]), 1, four),
  );
  assert.equal(readAnswer(bytes, id, question), null);
});

test("a name made of pointers and labels is at most 255 bytes", () => {
  const piece = Buffer.concat([Buffer.from([63]), Buffer.alloc(63, 97)]);
  const start = 12 + question.length + 11;
  // Four labels of 63 with the root, each a pointer to the one before it.
  const data = Buffer.concat([
    Buffer.concat([piece, Buffer.from([0])]),
    ...[0, 65, 131].map((at) => Buffer.concat([piece, Buffer.from([0xc0, start + at])])),
  ]);
  const owner = (at: number): Buffer => {
    const pointer = Buffer.alloc(2);
    pointer.writeUInt16BE(0xc000 | (start + at));
    return pointer;
  };
  const bytes = (at: number): Buffer =>
    message(0x8180, [1, 2, 0, 0], question, record(Buffer.from([0]), 16, data), record(owner(at), 1, four));
  assert.ok(start + 197 < 0x100);
  assert.equal(readAnswer(bytes(131), id, question)?.records[1]?.name.wire.length, 3 * 64 + 1);
  assert.equal(readAnswer(bytes(197), id, question), null);
});

const owners = ["Www.example.com", "example.com", "cdn.example.net", "a.b.cdn.example.net", "Example.com"];

function someRecord(random: Random): LibraryRecord {
  const name = pick(random, owners);
  const ttl = random(1000);
  const target = pick(random, owners);
  switch (random(9)) {
    case 0:
      return { name, ttl, type: "A", data: `1.2.3.${random(256)}` };
    case 1:
      return { name, ttl, type: "AAAA", data: `2001:db8::${(1 + random(9999)).toString(16)}` };
    case 2:
      return { name, ttl, type: "CNAME", data: target };
    case 3:
      return { name, ttl, type: "MX", data: { preference: random(100), exchange: target } };
    case 4:
      return { name, ttl, type: "NS", data: target };
    case 5:
      return { name, ttl, type: "SRV", data: { priority: 1, weight: 2, port: 3, target } };
    case 6:
      return { name, ttl, type: "TXT", data: [Buffer.from("text")] };
    case 7:
      return { name, ttl, type: "PTR", data: target };
    default: {
      const serials = { serial: random(9), refresh: 1, retry: 2, expire: 3, minimum: 4 };
      return { name, ttl, type: "SOA", data: { mname: target, rname: pick(random, owners), ...serials } };
    }
  }
}

function some(random: Random): LibraryRecord[] {
  return Array.from({ length: random(6) }, () => someRecord(random));
}

function sampleAnswer(random: Random): Buffer {
  return encode({
    type: "response",
    id,
    flags: 0x0180,
    questions: [{ name: "Www.example.com", type: "A" }],
    answers: some(random),
    authorities: some(random),
    additionals: some(random),
  });
}

function rewritten(answer: Answer, isKept: (index: number) => boolean): Buffer | null {
  const kept = answer.records.filter((_, index) => isKept(index)).map((one) => ({ record: one, data: null }));
  return rewriteAnswer(answer, question, kept);
}

test("an answer written anew says the same, and shorter; the one written from that is the same again", (context) => {
  const random = seeded(context);
  for (let round = rounds(500); round > 0; round--) {
    const sample = sampleAnswer(random);
    const answer = readAnswer(sample, id, question) ?? assert.fail();
    const again = rewritten(answer, () => true) ?? assert.fail();
    assert.ok(again.length <= sample.length);
    const [before, after] = [decode(sample), decode(again)];
    for (const section of ["questions", "answers", "authorities", "additionals"] as const)
      assert.deepEqual(after[section], before[section]);
    const second = readAnswer(again, id, question) ?? assert.fail();
    assert.deepEqual(
      rewritten(second, () => true),
      again,
    );

    const removed = random(answer.records.length + 1);
    const fewer = decode(rewritten(second, (index) => index !== removed) ?? assert.fail());
    const all = [before.answers, before.authorities, before.additionals].flatMap((part) => part ?? []);
    const left = [fewer.answers, fewer.authorities, fewer.additionals].flatMap((part) => part ?? []);
    assert.deepEqual(left, all.toSpliced(removed, 1));
  }
});

test("an answer that would not fit into a message any more when its names are written out is given up", () => {
  const long = DomainName.of(Array.from({ length: 4 }, () => "a".repeat(60)).join("."));
  const first = record(long.wire, 2, Buffer.from([0xc0, 12 + question.length]));
  const others = Array.from({ length: 2000 }, () =>
    record(toQuestion, 2, Buffer.from([0xc0, 12 + question.length])),
  );
  const bytes = message(0x8180, [1, 2001, 0, 0], question, first, ...others);
  const answer = readAnswer(bytes, id, question) ?? assert.fail();
  assert.equal(
    rewritten(answer, () => true),
    null,
  );
});

test("whatever a server says: nothing is thrown, and what is read has its length", (context) => {
  const random = seeded(context);
  let taken = 0;
  for (let round = rounds(20_000); round > 0; round--) {
    let sample = sampleAnswer(random);
    const compressed = readAnswer(sample, id, question);
    if (compressed !== null && random(2) === 0) sample = rewritten(compressed, () => true) ?? sample;
    const bytes = mutate(random, sample);
    const answer = readAnswer(bytes, id, question);
    if (answer === null) continue;
    taken++;
    for (const one of answer.records) {
      assert.ok(one.name.wire.length <= 255 && one.end <= answer.message.length);
      const address = addressOf(answer.message, one);
      if (address !== null) assert.equal(address.bytes.length, one.type === 1 ? 4 : 16);
      targetOf(answer.message, one);
    }
    const again = rewritten(answer, () => random(2) === 0);
    if (again !== null && !answer.isTruncated && !answer.isBare)
      assert.notEqual(readAnswer(again, id, question), null);
  }
  assert.ok(taken > 1000, `${taken} of them were answers`);
});
