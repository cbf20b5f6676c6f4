import assert from "node:assert/strict";
import { test } from "node:test";
import { KeptOutputs, mostKeptBytes, textAt } from "./kept-outputs.ts";

test("a text is cut between characters, and the rest goes on where it was cut", () => {
  const bytes = Buffer.from("aä€😀".repeat(50));
  for (let most = 1; most < 40; most++) {
    let text = "";
    for (let offset = 0; offset < bytes.length;) {
      const part = textAt(bytes, offset, Math.max(most, 4));
      text += part.text;
      offset += part.bytes;
    }
    assert.equal(text, bytes.toString());
  }
  assert.deepEqual(textAt(bytes, 10_000, 5), { text: "", bytes: 0 });
  // Bytes that are no text do not stop it.
  assert.equal(textAt(Buffer.alloc(100, 0x80), 0, 10).bytes, 7);
});

test("what fits is not kept; of what does not the result says how to get the rest", () => {
  const outputs = new KeptOutputs(60_000);
  assert.deepEqual(outputs.cut("stdout", "x", Buffer.from("short"), 5, 10), { text: "short", truncated: [] });
  assert.deepEqual(outputs.list(), []);
  const { text, truncated } = outputs.cut("stdout", "x", Buffer.from("0123456789abc"), 13, 10);
  assert.equal(text, "0123456789");
  const [kept] = outputs.list();
  assert.ok(kept !== undefined);
  assert.deepEqual(
    truncated.map(({ field, returnedBytes, totalBytes }) => [field, returnedBytes, totalBytes]),
    [["stdout", 10, 13]],
  );
  assert.match(truncated[0]?.rest ?? "", new RegExp(`microsandbox://outputs/${kept.id}/10, .* offset 10$`));
  assert.equal(textAt(outputs.get(kept.id)?.bytes ?? Buffer.alloc(0), 10, 100).text, "abc");
});

test("of all of them so much is kept, the oldest go; and none for ever", () => {
  const outputs = new KeptOutputs(60_000);
  for (let n = 0; n < 6; n++) outputs.keepRest("f", String(n), Buffer.alloc(mostKeptBytes), 1 << 30, 0);
  assert.deepEqual(
    outputs.list().map(({ what }) => what),
    ["2", "3", "4", "5"],
  );
  const brief = new KeptOutputs(0);
  brief.keepRest("f", "x", Buffer.alloc(1), 1, 0);
  const begun = performance.now();
  while (performance.now() - begun < 1);
  assert.deepEqual(brief.list(), []);
});
