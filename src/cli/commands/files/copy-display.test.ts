import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import { CopyDisplay } from "./copy-display.ts";

function terminal(
  isTTY: boolean,
  columns = 80,
): { stream: Writable & { isTTY: boolean }; text: () => string } {
  let text = "";
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString();
      done();
    },
  });
  return { stream: Object.assign(stream, { isTTY, columns }), text: () => text };
}

const mib = 1024 * 1024;

test("a file has a bar, a directory its count, and both disappear", () => {
  for (const [totalBytes, expected] of [
    [4 * mib, /ab ━{12}─{12} 2 MiB \/ 4 MiB, 2 MiB\/s$/],
    [null, /ab 7 entries, 2 MiB, 2 MiB\/s$/],
  ] as const) {
    const { stream, text } = terminal(true);
    let now = 0;
    const display = new CopyDisplay(stream, "a\u001bb", false, () => now);
    display.show({ entries: 1, bytes: 1, totalBytes });
    assert.equal(text(), "", "what is over soon is not shown");
    now = 1000;
    display.show({ entries: 7, bytes: 2 * mib, totalBytes });
    assert.match(text().replaceAll(/\x1b\[\d+m/g, ""), expected);
    now = 1050;
    display.show({ entries: 8, bytes: 3 * mib, totalBytes });
    assert.doesNotMatch(text(), /3 MiB/, "not drawn more often than eyes are");
    display.clear();
    assert.ok(text().endsWith("\r\x1b[K"));
    display.show({ entries: 9, bytes: 4 * mib, totalBytes });
    assert.ok(text().endsWith("\r\x1b[K"));
  }
});

test("a line fits into a narrow terminal", () => {
  const { stream, text } = terminal(true, 30);
  let now = 0;
  const display = new CopyDisplay(stream, "n".repeat(200), false, () => now);
  now = 1000;
  display.show({ entries: 1, bytes: mib, totalBytes: 3 * mib });
  assert.ok(text().length > 0 && text().length < 30, text());
  display.clear();
});

test("nothing is shown elsewhere, and when nothing is to be shown", () => {
  for (const [isTTY, quiet] of [
    [false, false],
    [true, true],
  ] as const) {
    const { stream, text } = terminal(isTTY);
    let now = 0;
    using display = new CopyDisplay(stream, "x", quiet, () => now);
    now = 10_000;
    display.show({ entries: 1, bytes: 1, totalBytes: 1 });
    display.clear();
    assert.equal(text(), "");
  }
});
