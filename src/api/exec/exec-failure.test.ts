import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExecFailureKind } from "../../errors/index.ts";
import type { SpawnStage } from "../../protocol/generated/messages.ts";
import { execFailedError } from "./exec-failure.ts";

const cases: readonly (readonly [SpawnStage, number, ExecFailureKind, string | null])[] = [
  ["exec", 2, "not_found", "ENOENT"],
  ["interpreter", 2, "not_found", "ENOENT"],
  ["exec", 20, "bad_cwd", "ENOTDIR"],
  ["exec", 13, "permission_denied", "EACCES"],
  ["exec", 1, "permission_denied", "EPERM"],
  ["exec", 8, "not_executable", "ENOEXEC"],
  ["exec", 21, "not_executable", "EISDIR"],
  ["exec", 26, "not_executable", "ETXTBSY"],
  ["exec", 7, "bad_args", "E2BIG"],
  ["exec", 40, "bad_args", "ELOOP"],
  ["exec", 36, "bad_args", "ENAMETOOLONG"],
  ["exec", 14, "bad_args", "EFAULT"],
  ["pipe", 24, "resource_limit", "EMFILE"],
  ["pipe", 23, "resource_limit", "ENFILE"],
  ["fork", 11, "resource_limit", "EAGAIN"],
  ["fork", 12, "out_of_memory", "ENOMEM"],
  ["cwd", 2, "bad_cwd", "ENOENT"],
  ["cwd", 13, "bad_cwd", "EACCES"],
  ["user", 0, "user_setup_failed", null],
  ["groups", 1, "user_setup_failed", "EPERM"],
  ["pty", 28, "pty_setup_failed", "ENOSPC"],
  ["exec", 5, "other", "EIO"],
  ["exec", 99, "other", "E99"],
  ["request", 0, "other", null],
];

for (const [stage, errno, kind, errnoName] of cases) {
  test(`errno ${errno} at ${stage} is ${kind}`, () => {
    const error = execFailedError(
      { type: "ExecFailed", stage, errno, message: "what it said" },
      'a "b"',
      "/srv",
    );
    assert.deepEqual(
      [error.kind, error.errno, error.errnoName, error.stage],
      [kind, errno === 0 ? null : errno, errnoName, stage],
    );
    const where = stage === "cwd" ? "in /srv: " : "";
    assert.equal(error.message, String.raw`cannot run "a \"b\"": ${where}what it said`);
    assert.equal(error.hint === "", kind === "other");
  });
}

test("a limit that cannot be set is not explained by the program file", () => {
  const error = execFailedError({ type: "ExecFailed", stage: "rlimit", errno: 1, message: "" }, "true", "");
  assert.equal(error.kind, "permission_denied");
  assert.match(error.hint, /limit/);
});

test("a script without its interpreter is not explained by the PATH", () => {
  const failure = { type: "ExecFailed", stage: "interpreter", errno: 2, message: "" } as const;
  assert.match(execFailedError(failure, "/srv/run.sh", "").hint, /line ends of Unix \(LF\)/);
});
