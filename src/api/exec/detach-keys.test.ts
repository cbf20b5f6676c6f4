import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { DetachKeyFilter, parseDetachKeys } from "./detach-keys.ts";

test("keys are parsed to the bytes a terminal sends", () => {
  assert.deepEqual(parseDetachKeys("ctrl-]"), Buffer.from([0x1d]));
  assert.deepEqual(parseDetachKeys("ctrl-p,ctrl-q"), Buffer.from([0x10, 0x11]));
  assert.deepEqual(parseDetachKeys("ctrl-@,x,ctrl-\\"), Buffer.from([0, 0x78, 0x1c]));
});

test("what is no key is refused", () => {
  for (const bad of ["", "ctrl-", "ctrl-1", "ab", "ctrl-p,"])
    assert.throws(() => parseDetachKeys(bad), InvalidConfigError);
});

test("a failed beginning is passed on, also one that overlaps the keys", () => {
  const filter = new DetachKeyFilter(Buffer.from("aab"));
  assert.deepEqual(filter.push(Buffer.from("xa")), { forward: Buffer.from("x"), detached: false });
  assert.deepEqual(filter.push(Buffer.from("aa")), { forward: Buffer.from("a"), detached: false });
  assert.deepEqual(filter.push(Buffer.from("bzz")), { forward: Buffer.from(""), detached: true });
});

test("without the keys everything is passed on", () => {
  const filter = new DetachKeyFilter(parseDetachKeys("ctrl-p,ctrl-q"));
  const typed = Buffer.from([0x10, 0x41, 0x10, 0x10]);
  const out = [filter.push(typed).forward, filter.push(Buffer.from([0x42])).forward];
  assert.deepEqual(Buffer.concat(out), Buffer.from([0x10, 0x41, 0x10, 0x10, 0x42]));
});
