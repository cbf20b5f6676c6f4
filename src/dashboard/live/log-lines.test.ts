import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogEntry } from "../../api/index.ts";
import { LogLines } from "./log-lines.ts";

function entry(data: string | Buffer, sessionId = 1, ends: "session" | "all" | null = null): LogEntry {
  const fields = { timestamp: new Date(1000), source: "stdout", sessionId, data: Buffer.from(data), ends };
  return fields as unknown as LogEntry;
}

test("lines are put together, session by session", () => {
  const lines = new LogLines();
  const texts = (data: string | Buffer, session?: number): string[] =>
    lines.push(entry(data, session)).map(({ text }) => text);
  assert.deepEqual(texts("one\ntw"), ["one"]);
  assert.deepEqual(texts("other\n", 2), ["other"]);
  assert.deepEqual(texts(Buffer.from([0x6f, 0xe2, 0x82])), []);
  assert.deepEqual(texts(Buffer.from([0xac, 0x0a, 0x78])), ["two€"]);
  assert.deepEqual(
    lines.push(entry("", 1, "session")).map(({ text }) => text),
    ["x"],
  );
  assert.deepEqual(lines.end(), []);
});

test("what would steer a terminal is taken out", () => {
  const [line] = new LogLines().push(entry("\u001b[31mred\u001b[0m\u202e <b>\u0007\n"));
  assert.equal(line?.text, "red <b>");
});

test("a line that never ends is told in pieces, and not kept", () => {
  const lines = new LogLines();
  let told = 0;
  for (let round = 0; round < 100; round++)
    for (const { text } of lines.push(entry("x".repeat(1000)))) told += text.length;
  assert.ok(told > 80_000 && told <= 100_000, String(told));
  assert.ok((lines.end()[0]?.text.length ?? 0) < 20_000);
});
