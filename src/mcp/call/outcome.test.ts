import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecFailedError, HttpError, InvalidConfigError, SandboxNotFoundError } from "../../errors/index.ts";
import { resultOfFailure, resultOfOutcome } from "./outcome.ts";
import { KnownSecrets } from "./redact.ts";
import { failureOf, ToolError } from "./tool-failure.ts";

const secrets = new KnownSecrets();
secrets.add("hunter2-hunter2");

function told(result: ReturnType<typeof resultOfOutcome>): unknown {
  assert.equal(result.content.length, 1);
  const [item] = result.content;
  assert.ok(item?.type === "text");
  assert.doesNotMatch(item.text, /hunter2/);
  return JSON.parse(item.text);
}

test("what a tool has done is one text with JSON", () => {
  const result = resultOfOutcome(
    { data: { size: 5n, bytes: Buffer.from("hi"), at: new Date(0), x: "hunter2-hunter2" } },
    secrets,
  );
  assert.equal(result.isError, undefined);
  assert.deepEqual(told(result), {
    ok: true,
    data: { size: 5, bytes: "aGk=", at: "1970-01-01T00:00:00.000Z", x: "[redacted]" },
  });
  const more = resultOfOutcome(
    { data: 1, warnings: ["w"], truncated: [{ field: "f", returnedBytes: 1, totalBytes: 2, rest: "r" }] },
    secrets,
  );
  assert.deepEqual(told(more), {
    ok: true,
    data: 1,
    warnings: ["w"],
    truncated: [{ field: "f", returnedBytes: 1, totalBytes: 2, rest: "r" }],
  });
});

test("failures say what they are, what to do, and whether to try again", () => {
  const cases = [
    [
      new SandboxNotFoundError("no sandbox x", { hint: 'See "msb ls".' }),
      {
        code: "operation_failed",
        message: "no sandbox x",
        hint: "sandbox_list has those that there are; sandbox_create makes one.",
        details: { error: "sandboxNotFound" },
      },
    ],
    [
      new InvalidConfigError("bad", { hint: "Do better." }),
      { code: "invalid_input", message: "bad", hint: "Do better.", details: { error: "invalidConfig" } },
    ],
    [
      new HttpError("down"),
      { code: "operation_failed", message: "down", details: { error: "http" }, retryable: true },
    ],
    [
      new ExecFailedError("no such", { kind: "not_found", errno: 2, errnoName: "ENOENT", stage: "exec" }),
      {
        code: "exec_failed",
        message: "no such",
        details: { error: "execFailed", kind: "not_found", errno: 2, errnoName: "ENOENT", stage: "exec" },
      },
    ],
    [
      new ToolError("host_path_denied", "no", "Name another."),
      { code: "host_path_denied", message: "no", hint: "Name another." },
    ],
    [new Error("odd"), { code: "operation_failed", message: "odd" }],
  ] as const;
  for (const [error, expected] of cases) {
    const result = resultOfFailure(failureOf(error, false), secrets);
    assert.equal(result.isError, true);
    assert.deepEqual(told(result), { ok: false, error: expected });
  }
  assert.deepEqual(failureOf(new Error("whatever"), true), {
    code: "cancelled",
    message: "the call was cancelled",
  });
});

test("details are redacted", () => {
  const failure = {
    code: "operation_failed",
    message: "m",
    details: { password: "p", url: "hunter2-hunter2" },
  } as const;
  assert.deepEqual(told(resultOfFailure(failure, secrets)), {
    ok: false,
    error: { code: "operation_failed", message: "m", details: { password: "[redacted]", url: "[redacted]" } },
  });
});
