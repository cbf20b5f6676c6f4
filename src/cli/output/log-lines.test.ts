import assert from "node:assert/strict";
import { test } from "node:test";
import { LineAssembler, type Chunk } from "./log-lines.ts";

function chunk(data: string | Uint8Array, sessionId = 1, source = "stdout", second = 0): Chunk {
  return { timestamp: new Date(second * 1000), source, sessionId, data: Buffer.from(data) };
}

test("lines are put together from pieces, with the time of their first one", () => {
  const lines = new LineAssembler();
  assert.deepEqual(lines.push(chunk("he", 1, "stdout", 1)), []);
  const complete = lines.push(chunk("llo\nwor", 1, "stdout", 2));
  assert.deepEqual(
    complete.map((line) => [line.text, line.timestamp.getTime()]),
    [["hello", 1000]],
  );
  assert.deepEqual(
    lines.end().map((line) => [line.text, line.timestamp.getTime()]),
    [["wor", 2000]],
  );
  assert.deepEqual(lines.end(), []);
});

test("sessions and sources do not run into each other", () => {
  const lines = new LineAssembler();
  const all = [
    ...lines.push(chunk("a1", 1)),
    ...lines.push(chunk("b1\n", 2)),
    ...lines.push(chunk("e1\n", 1, "stderr")),
    ...lines.push(chunk("a2\n", 1)),
  ];
  assert.deepEqual(
    all.map((line) => line.text),
    ["b1", "e1", "a1a2"],
  );
});

test("a character that lies in two pieces stays whole", () => {
  const lines = new LineAssembler();
  const bytes = Buffer.from("né\nü\n");
  const all = [...bytes].flatMap((byte) => lines.push(chunk(Uint8Array.of(byte))));
  assert.deepEqual(
    all.map((line) => line.text),
    ["né", "ü"],
  );
});

test("a terminal's carriage return is not part of the line", () => {
  assert.deepEqual(
    new LineAssembler().push(chunk("a\r\n\r\n", 1, "output")).map((line) => line.text),
    ["a", ""],
  );
});

test("a line's time is that of its own first byte, not of the piece before it", () => {
  const lines = new LineAssembler();
  lines.push(chunk("a\n", 1, "stdout", 1));
  const [line] = lines.push(chunk("b\n", 1, "stdout", 2));
  assert.equal(line?.timestamp.getTime(), 2000);
});

const mark = (sessionId: number | null, ends: "session" | "all"): Chunk => ({
  ...chunk("", sessionId ?? 0),
  sessionId,
  ends,
});

test("a line without a newline is over when its command is, and not joined with what comes later", () => {
  const lines = new LineAssembler();
  const all = [
    chunk("no newline", 1),
    chunk("running", 2),
    mark(1, "session"),
    chunk("next\n", 3),
    chunk("heir\n", 1),
    mark(3, "session"),
    mark(null, "all"),
    chunk("the next run's\n", 2),
  ].flatMap((entry) => lines.push(entry));
  assert.deepEqual(
    all.map(({ text }) => text),
    ["no newline", "next", "heir", "running", "the next run's"],
  );
  assert.deepEqual(lines.end(), []);
});

test("what has not ended comes in the order in which it was written", () => {
  const lines = new LineAssembler();
  for (const entry of [chunk("a", 1), chunk("b", 2), chunk("a", 1)]) lines.push(entry);
  assert.deepEqual(
    lines.end().map(({ text }) => text),
    ["b", "aa"],
  );
});
