import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import type { Chunk } from "./log-lines.ts";
import { LogPrinter, type LogView } from "./log-printer.ts";

const plain: LogView = {
  grep: null,
  timestamps: false,
  sessionIds: false,
  colorSessions: false,
  color: "auto",
  json: false,
};

function chunk(data: string | Uint8Array, sessionId: number | null = 1, source = "stdout"): Chunk {
  return { timestamp: new Date(Date.UTC(2026, 4, 1)), source, sessionId, data: Buffer.from(data) };
}

/** What a view makes of entries that are there and of entries that come later. */
async function print(
  view: Partial<LogView>,
  entries: readonly Chunk[],
  tail: number | null = null,
  later: readonly Chunk[] = [],
): Promise<string> {
  const stream = new PassThrough();
  const printer = new LogPrinter({ ...plain, ...view }, stream as unknown as NodeJS.WriteStream);
  await printer.all(entries, tail, later.length > 0);
  for (const entry of later) await printer.next(entry);
  await printer.end();
  stream.end();
  return Buffer.concat(await stream.toArray()).toString("latin1");
}

test("without options the very bytes are printed", async () => {
  assert.equal(await print({}, [chunk("a"), chunk(Uint8Array.of(0xff)), chunk("\r\nb", 2)]), "a\xff\r\nb");
});

test("the tail counts lines, across the pieces they were written in", async () => {
  const entries = [chunk("1\n2\n3"), chunk("3\n4"), chunk("4\n")];
  assert.equal(await print({}, entries, 2), "33\n44\n");
  assert.equal(await print({}, entries, 0), "");
  assert.equal(await print({}, entries, 99), "1\n2\n33\n44\n");
});

test("a line that was never ended stands where it was written", async () => {
  const entries = [chunk("prompt> ", 1), chunk("next\n", 2)];
  assert.equal(await print({}, entries, 1), "next\n");
  assert.equal(await print({ sessionIds: true }, entries), "[1] prompt> \n[2] next\n");
  assert.equal(await print({}, [...entries, chunk("last", 3)], 1), "last\n");
});

test("a follower sees a line without a newline as soon as its command has ended", async () => {
  const mark: Chunk = { ...chunk("", 1), ends: "session" };
  const later = [chunk("last", 1), mark, chunk("next\n", 2)];
  assert.equal(await print({ sessionIds: true }, [], null, later), "[1] last\n[2] next\n");
  assert.equal(
    await print({ sessionIds: true }, [chunk("last", 1), mark], 1, later.slice(2)),
    "[1] last\n[2] next\n",
  );
  // Bytes go on where they stopped.
  assert.equal(await print({}, [chunk("a\nb", 1)], 1, [chunk("c\n", 1)]), "bc\n");
  assert.equal(await print({ json: true }, [mark], null, [mark]), "");
});

test("a filter sees whole lines, also when they come later", async () => {
  const view = { grep: /^hello$/u };
  assert.equal(await print(view, [chunk("hel"), chunk("lo\nother\n")]), "hello\n");
  assert.equal(await print(view, [chunk("hel")], null, [chunk("lo\n"), chunk("hello", 2)]), "hello\nhello\n");
  assert.equal(
    await print(view, [chunk("hello\nx\nhello\ny\n")], 1),
    "hello\n",
    "the tail is taken after filtering",
  );
});

test("lines get their time and session", async () => {
  const entries = [chunk("a\nb\n", 3), chunk("--- sandbox started ---\n", null, "system")];
  assert.equal(
    await print({ timestamps: true, sessionIds: true }, entries),
    "2026-05-01T00:00:00.000Z [3] a\n2026-05-01T00:00:00.000Z [3] b\n2026-05-01T00:00:00.000Z [-] --- sandbox started ---\n",
  );
});

test("colours are off unless they are asked for or shown", async () => {
  assert.equal(await print({ colorSessions: true }, [chunk("a\n")]), "a\n");
  assert.equal(await print({ colorSessions: true, color: "never" }, [chunk("a\n")]), "a\n");
  assert.match(
    await print({ colorSessions: true, color: "always" }, [chunk("a\n")]),
    /^\x1b\[\d+ma\x1b\[39m\n$/,
  );
});

test("JSON keeps bytes that are no text", async () => {
  const entries = [chunk("hé\n"), chunk(Uint8Array.of(0xff, 0x00), null, "system")];
  const lines = (await print({ json: true }, entries)).trim().split("\n");
  assert.deepEqual(
    lines.map((line) => JSON.parse(Buffer.from(line, "latin1").toString("utf8")) as unknown),
    [
      { t: "2026-05-01T00:00:00.000Z", s: "stdout", d: "hé\n", id: 1 },
      { t: "2026-05-01T00:00:00.000Z", s: "system", d: "/wA=", e: "b64" },
    ],
  );
});

test("a long log through a reader that is slow leaves no listeners on the stream", async () => {
  const stream = new PassThrough({ highWaterMark: 10 });
  const before = stream.eventNames().map((name) => [name, stream.listenerCount(name)]);
  const printer = new LogPrinter(plain, stream as unknown as NodeJS.WriteStream);
  const printed = printer.all(
    Array.from({ length: 50 }, (_, n) => chunk(`${n}\n`.padStart(20))),
    null,
    false,
  );
  let length = 0;
  stream.on("data", (data: Buffer) => {
    length += data.length;
    const most = Math.max(...["drain", "close", "error"].map((name) => stream.listenerCount(name)));
    assert.ok(most <= 3, `${most} listeners`);
  });
  await printed;
  stream.removeAllListeners("data");
  assert.equal(length, 50 * 20);
  assert.deepEqual(
    stream.eventNames().map((name) => [name, stream.listenerCount(name)]),
    before,
  );
});
