import assert from "node:assert/strict";
import { constants } from "node:buffer";
import { test } from "node:test";
import { inspect } from "node:util";
import { ExecTimeoutError, OutputTooLongError } from "../../errors/index.ts";
import { ExecOutput } from "./exec-output.ts";

test("more than a string can hold is a typed error; its bytes are there, and it can be looked at", () => {
  const bytes = Buffer.alloc(constants.MAX_STRING_LENGTH + 1);
  const none = Buffer.alloc(0);
  const output = new ExecOutput(0, bytes, none);
  const details = { timeoutMs: 1, stdout: none, stderr: bytes, truncated: false };
  const late = new ExecTimeoutError("late", details);
  for (const text of [() => output.stdout(), () => late.stderr()]) {
    assert.throws(text, (error) => {
      assert.ok(error instanceof OutputTooLongError);
      assert.match(error.message, /536870889 bytes/);
      assert.match(error.hint, /stdoutBytes/);
      return true;
    });
  }
  assert.equal(output.stdoutBytes(), bytes);
  assert.equal(inspect(output), "{ code: 0, stdout: '(536870889 bytes)', stderr: '' }");
});
