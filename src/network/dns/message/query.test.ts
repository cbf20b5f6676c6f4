import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "dns-packet";
import { mutate, randomBytes, rounds, seeded } from "../../../../test/support/fuzz.ts";
import { rcodeName } from "./codes.ts";
import { DomainName } from "./name.ts";
import { readQuery } from "./query.ts";
import { localResponse } from "./response.ts";

/** Bytes of a header: id, flags and the four counts. */
function header(flags: number, ...counts: readonly number[]): Buffer {
  return Buffer.from([
    0x12,
    0x34,
    flags >> 8,
    flags & 0xff,
    ...counts.flatMap((count) => [count >> 8, count & 0xff]),
  ]);
}

function label(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, "latin1")]);
}

const root = Buffer.from([0]);
const example = Buffer.concat([label("www"), label("Example"), label("com"), root]);
const typeA = Buffer.from([0, 1, 0, 1]);
const opt = Buffer.from([0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0]);

function ask(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([header(0x0100, 1, 0, 0, 0), ...parts]);
}

function asExtended(additionals: number, ...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([header(0x0100, 1, 0, 0, additionals), example, typeA, ...parts]);
}

const longLabels = [63, 63, 63, 61].map((length) => label("a".repeat(length)));

/** Message, and the name that is read or the rcode of the answer; null: none. */
const messages: readonly (readonly [string, Buffer, string | null])[] = [
  ["nothing", Buffer.alloc(0), null],
  ["a header cut off", header(0x0100, 1, 0, 0, 0).subarray(0, 11), null],
  ["a response", Buffer.concat([header(0x8180, 1, 0, 0, 0), example, typeA]), null],
  ["a response without a question", header(0x8000, 0, 0, 0, 0), null],
  ["a question", ask(example, typeA), "www.example.com"],
  ["the root", ask(root, Buffer.from([0, 2, 0, 1])), ""],
  ["no question", header(0x0100, 0, 0, 0, 0), "FORMERR"],
  ["a question that is missing", header(0x0100, 1, 0, 0, 0), "FORMERR"],
  ["two questions", Buffer.concat([header(0x0100, 2, 0, 0, 0), example, typeA, example, typeA]), "FORMERR"],
  [
    "two questions of which one is there",
    Buffer.concat([header(0x0100, 2, 0, 0, 0), example, typeA]),
    "FORMERR",
  ],
  ["65,535 questions", Buffer.concat([header(0x0100, 65535, 0, 0, 0), example, typeA]), "FORMERR"],
  ["an answer in it", Buffer.concat([header(0x0100, 1, 1, 0, 0), example, typeA]), "FORMERR"],
  ["an authority in it", Buffer.concat([header(0x0100, 1, 0, 1, 0), example, typeA]), "FORMERR"],
  ["a name without an end", ask(label("www")), "FORMERR"],
  ["a label that is cut off", ask(Buffer.from([5, 97, 98])), "FORMERR"],
  ["no type", ask(example), "FORMERR"],
  ["a class that is cut off", ask(example, typeA.subarray(0, 3)), "FORMERR"],
  ["a pointer to itself", ask(Buffer.from([0xc0, 12]), typeA), "FORMERR"],
  ["a pointer into the header", ask(Buffer.from([0xc0, 4]), typeA), "FORMERR"],
  ["a pointer behind a label", ask(label("www"), Buffer.from([0xc0, 12]), typeA), "FORMERR"],
  ["a label of an unused type", ask(Buffer.from([0x41, 97, 0]), typeA), "FORMERR"],
  ["a label of 64 bytes", ask(Buffer.from([0x40]), Buffer.alloc(64, 97), root, typeA), "FORMERR"],
  [
    "255 bytes of name",
    ask(...longLabels, root, typeA),
    longLabels.map((one) => one.subarray(1).toString()).join("."),
  ],
  ["256 bytes of name", ask(...longLabels.slice(0, 3), label("a".repeat(62)), root, typeA), "FORMERR"],
  ["one byte behind", ask(example, typeA, root), "FORMERR"],
  ["another question behind", ask(example, typeA, example, typeA), "FORMERR"],
  ["EDNS", asExtended(1, opt), "www.example.com"],
  [
    "EDNS with an option",
    asExtended(1, opt.subarray(0, 9), Buffer.from([0, 6, 0, 10, 0, 2, 1, 2])),
    "www.example.com",
  ],
  [
    "an option that is cut off",
    asExtended(1, opt.subarray(0, 9), Buffer.from([0, 5, 0, 10, 0, 2, 1])),
    "FORMERR",
  ],
  [
    "an option longer than all of them",
    asExtended(1, opt.subarray(0, 9), Buffer.from([0, 4, 0, 10, 0, 2])),
    "FORMERR",
  ],
  ["EDNS that is longer than it is", asExtended(1, opt.subarray(0, 9), Buffer.from([0, 4])), "FORMERR"],
  ["EDNS that is not there", asExtended(1), "FORMERR"],
  ["EDNS that is not counted", asExtended(0, opt), "FORMERR"],
  ["EDNS twice", asExtended(2, opt, opt), "FORMERR"],
  ["EDNS of a name", asExtended(1, label("a"), opt), "FORMERR"],
  [
    "a signature of the transaction",
    asExtended(1, root, Buffer.from([0, 250, 0, 255, 0, 0, 0, 0, 0, 0])),
    "FORMERR",
  ],
  ["EDNS of version 1", asExtended(1, opt.subarray(0, 6), Buffer.from([1]), opt.subarray(7)), "BADVERS"],
  ["a server's status", Buffer.concat([header(2 << 11, 1, 0, 0, 0), example, typeA]), "NOTIMP"],
  ["an update", header(5 << 11, 1, 0, 1, 0), "NOTIMP"],
  ["an inverse query", header(1 << 11, 0, 1, 0, 0), "NOTIMP"],
  ["a transfer", ask(example, Buffer.from([0, 252, 0, 1])), "REFUSED"],
  [
    "an incremental transfer, with its authority",
    Buffer.concat([header(0, 1, 0, 1, 0), example, Buffer.from([0, 251, 0, 1])]),
    "REFUSED",
  ],
  ["the class CHAOS", ask(example, Buffer.from([0, 16, 0, 3])), "REFUSED"],
  ["any class", ask(example, Buffer.from([0, 1, 0, 255])), "REFUSED"],
  ["the type 0", ask(example, Buffer.from([0, 0, 0, 1])), "FORMERR"],
  ["the type OPT", ask(example, Buffer.from([0, 41, 0, 1])), "FORMERR"],
  ["a dot in a label", ask(label("www.evil"), label("com"), root, typeA), "www\\046evil.com"],
  [
    "odd bytes",
    ask(label('a \u0000\\\u00e9\u00ffZ"@'), label("com"), root, typeA),
    "a\\032\\000\\092\\233\\255z\\034\\064.com",
  ],
  ["odd flags", Buffer.concat([header(0x077f, 1, 0, 0, 0), example, typeA]), "www.example.com"],
];

for (const [what, message, expected] of messages) {
  test(`what a guest sends: ${what}`, () => {
    const read = readQuery(message);
    const name = read?.kind === "query" ? read.query.name.text : null;
    assert.equal(read?.kind === "error" ? rcodeName(read.rcode) : name, expected);
    if (read?.kind !== "error") return;
    const answer = localResponse(read.head, { rcode: read.rcode });
    assert.equal(answer.readUInt16BE(0), 0x1234);
    // It is an answer, with the opcode and RD of the question, and the first question where there was one.
    assert.equal(answer.readUInt16BE(2) & 0xf980, 0x8080 | (message.readUInt16BE(2) & 0x7900));
    assert.equal(answer.readUInt16BE(2) & 0xf, read.rcode & 0xf);
    assert.equal(answer.readUInt16BE(4), read.head.question === null ? 0 : 1);
    if (read.head.question !== null) assert.ok(answer.subarray(12).includes(read.head.question));
  });
}

test("names are the same in every case, and only if they are", () => {
  assert.equal(DomainName.of("WwW.ExAmPlE").key, DomainName.of("www.example").key);
  assert.notEqual(DomainName.of("a.b").key, new DomainName(Buffer.from("\u0003a.b\u0000")).key);
  // Only letters of ASCII have cases in DNS: Ä and ä are two bytes like any other.
  assert.notEqual(
    new DomainName(Buffer.from([1, 0xc4, 0])).key,
    new DomainName(Buffer.from([1, 0xe4, 0])).key,
  );
  assert.equal(DomainName.of("example.com").textLength, "example.com".length);
});

test("a message cut off anywhere is no question", () => {
  const whole = asExtended(1, opt);
  for (let length = 0; length < whole.length; length++)
    assert.notEqual(readQuery(whole.subarray(0, length))?.kind, "query", `${length} bytes`);
});

test("whatever a guest sends: nothing is thrown, and what is read is what the library reads", (context) => {
  const random = seeded(context);
  const samples = messages.map(([, message]) => message);
  let queries = 0;
  for (let round = rounds(30_000); round > 0; round--) {
    const sample = samples[random(samples.length)] ?? Buffer.alloc(0);
    const message = random(20) === 0 ? randomBytes(random, random(64)) : mutate(random, sample);
    const read = readQuery(message);
    if (read === null) continue;
    const head = read.kind === "query" ? read.query : read.head;
    assert.ok(localResponse(head, { rcode: 2, isTruncated: true }).length <= 12 + 255 + 4 + 11);
    if (read.kind !== "query") continue;
    queries++;
    const { name, type } = read.query;
    assert.ok(name.wire.length <= 255 && /^[!-~]*$/.test(name.text));
    const second = decode(message);
    assert.equal(second.questions?.length, 1);
    if (/^[a-z0-9.-]*$/.test(name.text))
      assert.equal((second.questions[0]?.name ?? "").toLowerCase().replace(/^\.$/, ""), name.text);
    assert.equal(message.readUInt16BE(12 + name.wire.length), type);
    assert.deepEqual(readQuery(Buffer.concat([message, Buffer.from([0])]))?.kind, "error");
  }
  assert.ok(queries > 500, `${queries} of them were questions`);
});
