import assert from "node:assert/strict";
import { test } from "node:test";
import { Tail } from "./tail.ts";

test("keeps the end of what was pushed, whatever the chunks", () => {
  const tail = new Tail(10);
  assert.equal(tail.toString(), "");
  for (let i = 0; i < 1000; i++) tail.push(Buffer.from(`${i},`));
  assert.equal(tail.toString(), "7,998,999,");
  tail.push(Buffer.from("a whole line longer than the limit"));
  assert.equal(tail.toString(), " the limit");
});

test("keeps everything below the limit", () => {
  const tail = new Tail(100);
  tail.push(Buffer.from("qemu: "));
  tail.push(Buffer.from("no such file"));
  assert.equal(tail.toString(), "qemu: no such file");
  assert.equal(tail.toString(), "qemu: no such file");
});
