import assert from "node:assert/strict";
import { test } from "node:test";
import { chunks, randomBytes, rounds, seeded } from "../../../../test/support/fuzz.ts";
import { DnsFrames, framed } from "./frames.ts";

const cases: readonly (readonly [string, readonly number[], readonly string[] | null])[] = [
  ["nothing", [], []],
  ["one byte of the length", [0], []],
  ["a part of the message", [0, 3, 97, 98], []],
  ["one message", [0, 3, 97, 98, 99], ["abc"]],
  ["two messages", [0, 1, 97, 0, 2, 98, 99], ["a", "bc"]],
  ["two messages and the length of a third one", [0, 1, 97, 0, 1, 98, 0], ["a", "b"]],
  ["an empty message", [0, 0], [""]],
  ["an empty message between others", [0, 1, 97, 0, 0, 0, 1, 98], ["a", "", "b"]],
  ["a message that is too long", [0, 1, 97, 0, 101], null],
];

for (const [what, bytes, expected] of cases) {
  test(`a stream with ${what}`, () => {
    const whole = new DnsFrames(100).push(Buffer.from(bytes));
    assert.deepEqual(whole?.map(String) ?? null, expected);
    const oneByOne = new DnsFrames(100);
    const found: string[] = [];
    for (const byte of bytes) {
      const messages = oneByOne.push(Buffer.from([byte]));
      if (messages === null) {
        assert.equal(expected, null);
        return;
      }
      found.push(...messages.map(String));
    }
    assert.deepEqual(found, expected);
  });
}

test("a stream cut anywhere has the same messages", (context) => {
  const random = seeded(context);
  for (let round = rounds(50); round > 0; round--) {
    const messages = Array.from({ length: random(8) }, () => randomBytes(random, random(5000)));
    const frames = new DnsFrames();
    const found: Buffer[] = [];
    for (const chunk of chunks(random, Buffer.concat(messages.map(framed)))) {
      found.push(...(frames.push(chunk) ?? assert.fail()));
      // Nothing of it is kept.
      chunk.fill(0);
    }
    assert.deepEqual(found, messages);
  }
});
