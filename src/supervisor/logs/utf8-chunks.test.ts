import assert from "node:assert/strict";
import { test } from "node:test";
import { Utf8Chunks } from "./utf8-chunks.ts";

test("every way of cutting a text gives whole characters", () => {
  const text = Buffer.from("aé€😀z");
  for (let cut = 0; cut <= text.length; cut++) {
    const chunks = new Utf8Chunks();
    const parts = [chunks.push(text.subarray(0, cut)), chunks.push(text.subarray(cut)), chunks.end()];
    assert.deepEqual(Buffer.concat(parts), text);
    for (const part of parts) assert.equal(Buffer.from(part.toString("utf8")).equals(part), true);
  }
});

test("bytes that are no text come out as they are", () => {
  const chunks = new Utf8Chunks();
  const bytes = Buffer.from([0xff, 0x80, 0x80, 0x80, 0x80, 0xe2]);
  assert.deepEqual(Buffer.concat([chunks.push(bytes), chunks.end()]), bytes);
});
