import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecFailedError, InvalidConfigError } from "../../errors/index.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { ExecOptionsBuilder } from "./exec-options.ts";
import { execRequest } from "./exec-request.ts";
import { effectiveConfig } from "../../config/sandbox/effective-config.ts";
import { draftFromConfig, type SandboxConfigInput } from "../../config/sandbox/config-object.ts";

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function config(input: Partial<SandboxConfigInput> = {}): StoredConfig {
  const draft = draftFromConfig({ name: "request", image: "localhost/base", ...input });
  return effectiveConfig(draft.finish(), {}, null);
}

const none = new ExecOptionsBuilder().build();
const terminal = { size: { rows: 50, cols: 132 }, type: "xterm-256color" };

test("a bare command runs as root in / with a PATH and nothing else", () => {
  assert.deepEqual(execRequest(config(), "ls", none, "null", null), {
    type: "Exec",
    argv: ["ls"],
    env: [`PATH=/.msb/scripts:${defaultPath}:/.msb/bin`],
    cwd: "/",
    user: "",
    tty: false,
    rows: 24,
    cols: 80,
    stdin: "null",
    rlimits: [],
  });
});

test("the sandbox's settings hold unless the call has its own", () => {
  const sandbox = config({
    user: "ann",
    workdir: "/srv",
    env: { A: "sandbox", B: "sandbox", PATH: "/opt" },
    rlimits: [
      { resource: "nofile", soft: 10, hard: 20 },
      { resource: "core", soft: 0, hard: 0 },
    ],
  });
  const plain = execRequest(sandbox, "x", none, "null", null);
  assert.deepEqual([plain.user, plain.cwd], ["ann", "/srv"]);
  assert.deepEqual(plain.env.toSorted(), ["A=sandbox", "B=sandbox", "PATH=/.msb/scripts:/opt:/.msb/bin"]);
  const options = new ExecOptionsBuilder()
    .args(["1", "2"])
    .user("0:0")
    .cwd("/")
    .env("B", "call")
    .env("PATH", "/mine")
    .rlimit("nofile", Infinity)
    .build();
  const own = execRequest(sandbox, "x", options, "pipe", null);
  assert.deepEqual(own.argv, ["x", "1", "2"]);
  assert.deepEqual([own.user, own.cwd, own.stdin], ["0:0", "/", "pipe"]);
  assert.deepEqual(own.env.toSorted(), ["A=sandbox", "B=call", "PATH=/.msb/scripts:/mine:/.msb/bin"]);
  assert.deepEqual(own.rlimits, [
    { resource: 7, soft: 2n ** 64n - 1n, hard: 2n ** 64n - 1n },
    { resource: 4, soft: 0n, hard: 0n },
  ]);
});

test("each secret has its placeholder in the environment of every command, whatever an image says", () => {
  const sandbox = config({ secrets: [{ envVar: "KEY", value: "hunter2", allowHosts: ["a.example.com"] }] });
  for (const made of [sandbox, { ...sandbox, env: [["KEY", "of the image"]] as const }]) {
    const { env } = execRequest(made, "x", none, "null", null);
    assert.deepEqual(
      env.filter((pair) => pair.startsWith("KEY=")),
      ["KEY=$MSB_KEY"],
    );
  }
  const options = new ExecOptionsBuilder().env("KEY", "call").build();
  assert.ok(execRequest(sandbox, "x", options, "null", null).env.includes("KEY=call"));
});

test("a terminal brings its size and its TERM, which the environment may replace", () => {
  const request = execRequest(config(), "x", none, "pipe", terminal);
  assert.deepEqual([request.tty, request.rows, request.cols], [true, 50, 132]);
  assert.ok(request.env.includes("TERM=xterm-256color"));
  const replaced = execRequest(config({ env: { TERM: "vt100" } }), "x", none, "pipe", terminal);
  assert.deepEqual(
    replaced.env.filter((entry) => entry.startsWith("TERM=")),
    ["TERM=vt100"],
  );
});

test("a program that no path names is refused, and so is what no message can hold", () => {
  for (const program of ["a\0", "", "\ud800", `/bin/${"n".repeat(256)}`, "a/".repeat(2048), 5 as never])
    assert.throws(() => execRequest(config(), program, none, "null", null), InvalidConfigError);
  assert.equal(execRequest(config(), "n".repeat(255), none, "null", null).argv[0]?.length, 255);
  const large = new ExecOptionsBuilder()
    .args(Array.from({ length: 64 }, () => "ü".repeat(32 * 1024)))
    .build();
  assert.throws(
    () => execRequest(config(), "x", large, "null", null),
    (error: unknown) =>
      error instanceof ExecFailedError && error.kind === "bad_args" && error.errnoName === "E2BIG",
  );
});
