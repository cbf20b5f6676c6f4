import assert from "node:assert/strict";
import { test } from "node:test";
import { errno } from "./numbers.ts";
import { errnoOf, Refusal } from "./refusal.ts";

test("a guest gets the number of what failed on the host, with a name of Node's or without", () => {
  const failed = (code: string, number: number): Error =>
    Object.assign(new Error(code), { code, errno: number });
  assert.equal(errnoOf(failed("ENOSPC", -28)), 28);
  // EDQUOT, as synchronous calls tell it, and others.
  assert.equal(errnoOf(failed("UNKNOWN", -122)), 122);
  assert.equal(errnoOf(failed("Unknown system error -122", -122)), 122);
  assert.equal(errnoOf(new Refusal(errno.stale)), errno.stale);
  // A number of libuv's own would have the kernel drop the answer, and its program wait for ever.
  for (const error of [
    failed("EOF", -4095),
    failed("UNKNOWN", -4094),
    failed("x", 5),
    new Error("x"),
    "x",
    null,
  ])
    assert.equal(errnoOf(error), errno.io);
});
