import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { AttachOptionsBuilder, ExecOptionsBuilder } from "./exec-options.ts";
import type { RlimitResource } from "../../config/rlimits.ts";
import { Stdin } from "./stdin.ts";

test("nothing set means: no arguments, the sandbox's settings, /dev/null", () => {
  assert.deepEqual(new ExecOptionsBuilder().build(), {
    args: [],
    cwd: null,
    user: null,
    env: [],
    timeoutMs: null,
    maxOutputBytes: 100 * 1024 * 1024,
    stdin: { kind: "null" },
    tty: false,
    terminalSize: null,
    rlimits: [],
    logged: true,
  });
  assert.deepEqual(new AttachOptionsBuilder().build(), {
    args: [],
    cwd: null,
    user: null,
    env: [],
    detachKeys: null,
    rlimits: [],
  });
});

test("scalars are replaced, lists grow", () => {
  const options = new ExecOptionsBuilder()
    .arg("a")
    .args(["b", "c"])
    .arg("")
    .cwd("/one")
    .cwd("/two")
    .user("u")
    .user("1:2")
    .env("K", "1")
    .envs({ L: "2" })
    .envs(new Map([["K", "3"]]))
    .timeout(5)
    .timeout(0)
    .tty(true)
    .rlimit("nofile", 10)
    .rlimitRange("core", 0, Infinity)
    .build();
  assert.deepEqual(options.args, ["a", "b", "c", ""]);
  assert.deepEqual([options.cwd, options.user, options.timeoutMs, options.tty], ["/two", "1:2", 0, true]);
  assert.deepEqual(options.env, [
    ["K", "1"],
    ["L", "2"],
    ["K", "3"],
  ]);
  assert.deepEqual(options.rlimits, [
    { resource: "nofile", soft: 10, hard: 10 },
    { resource: "core", soft: 0, hard: Infinity },
  ]);
});

test("the last word on stdin counts", () => {
  const stdin = (configure: (options: ExecOptionsBuilder) => ExecOptionsBuilder): object =>
    configure(new ExecOptionsBuilder()).build().stdin;
  assert.deepEqual(
    stdin((o) => o.stdinPipe().stdinBytes("grüße")),
    Stdin.bytes(Buffer.from("grüße")),
  );
  assert.deepEqual(
    stdin((o) => o.stdinBytes("x").stdinPipe()),
    Stdin.pipe(),
  );
  assert.deepEqual(
    stdin((o) => o.stdinPipe().stdinNull()),
    Stdin.null(),
  );
});

test("what is built does not change with its builder", () => {
  const builder = new ExecOptionsBuilder().arg("a");
  const options = builder.build();
  builder.arg("b").env("K", "v").rlimit("nofile", 1);
  assert.deepEqual([options.args, options.env, options.rlimits], [["a"], [], []]);
});

test("a terminal is asked for by true alone", () => {
  const tty = (enabled: boolean | undefined): boolean => new ExecOptionsBuilder().tty(enabled).build().tty;
  assert.deepEqual([tty(true), tty(false), tty(undefined)], [true, false, false]);
});

test("a setter refuses what cannot be", () => {
  const options = new ExecOptionsBuilder();
  const attach = new AttachOptionsBuilder();
  for (const set of [
    () => options.arg("\0"),
    () => options.args(["fine", "a\0"]),
    () => options.cwd(""),
    () => options.cwd("/a\0"),
    () => options.user(""),
    () => options.env("", "v"),
    () => options.env("A=B", "v"),
    () => options.env("A\0", "v"),
    () => options.env("MSB_X", "v"),
    () => options.env("A", "v\0"),
    () => options.env("A", 1 as unknown as string),
    () => options.timeout(-1),
    () => options.timeout(NaN),
    () => options.timeout(Infinity),
    () => options.rlimit("nofile", -1),
    () => options.rlimit("nofile", 1.5),
    () => options.rlimitRange("nofile", 2, 1),
    () => options.rlimitRange("nofile", Infinity, 1),
    () => options.rlimit("toString" as RlimitResource, 1),
    () => options.arg(1 as unknown as string),
    () => options.args("abc"),
    () => options.args(undefined as never),
    () => options.arg("\ud800"),
    () => options.cwd(undefined as unknown as string),
    () => options.cwd("/\ud800"),
    () => options.user("\udc00"),
    () => options.env("A", "\ud800"),
    () => options.envs(["A=B"] as never),
    () => options.envs("A=B" as never),
    () => options.arg("x".repeat(128 * 1024)),
    () => attach.args(["fine", "ü".repeat(64 * 1024)]),
    () => options.env("A", "x".repeat(128 * 1024 - 2)),
    () => attach.envs({ A: "x".repeat(200 * 1024) }),
    () => options.cwd(`/a/${"ü".repeat(128)}`),
    () => attach.cwd(`/${"a/".repeat(2048)}`),
    () => options.timeout("5" as never),
    () => options.tty("yes" as never),
    () => options.stdinBytes("\ud800"),
    () => options.stdinBytes(5 as never),
    () => options.rlimit("nofile", "5" as never),
    () => attach.detachKeys(""),
    () => attach.detachKeys("escape"),
    () => attach.detachKeys(29 as never),
    () => attach.detachKeys("ctrl-1"),
  ]) {
    assert.throws(set, InvalidConfigError, String(set));
  }
});

test("what Linux takes at the most is taken", () => {
  const { args, env, cwd } = new ExecOptionsBuilder()
    .arg("x".repeat(128 * 1024 - 1))
    .env("A", "x".repeat(128 * 1024 - 3))
    .cwd(`/${"n".repeat(255)}/b`)
    .build();
  assert.deepEqual([args[0]?.length, env[0]?.[1].length, cwd?.length], [131_071, 131_069, 258]);
});

test("the most output is a number of bytes, or no bound", () => {
  const kept = (bytes: number): number => new ExecOptionsBuilder().maxOutput(bytes).build().maxOutputBytes;
  assert.deepEqual([kept(0), kept(5), kept(Infinity)], [0, 5, Infinity]);
  for (const wrong of [-1, 0.5, NaN]) assert.throws(() => kept(wrong), InvalidConfigError);
});

test("a line that a terminal would cut is refused", () => {
  const typed = (text: string, tty = true): ExecOptionsBuilder =>
    new ExecOptionsBuilder().tty(tty).stdinBytes(text);
  const longest = "x".repeat(4095);
  for (const text of ["", longest, `${longest}\n${longest}\n`]) typed(text).build();
  for (const text of [`${longest}x`, `\n${longest}x\n`, `${longest}\n${longest}x`])
    assert.throws(() => typed(text).build(), InvalidConfigError);
  typed(`${longest}x`, false).build();
});
