import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { UsageError } from "../output/usage-error.ts";
import { parseDurationMs, parseDurationSecs, parseIntervalMs, parsePositiveDurationMs } from "./duration.ts";
import { parseEnvironment, parseLabel, parseScript, parseScriptPath } from "./pairs.ts";
import { parseResourceLimit } from "./rlimit.ts";
import { oneOf, regularExpression, wholeNumber } from "./simple.ts";
import { parseSizeMib } from "./size.ts";
import { parseTime } from "./time.ts";

function refuses(parse: (text: string) => unknown, texts: readonly string[]): void {
  for (const text of texts) assert.throws(() => parse(text), UsageError, JSON.stringify(text));
}

test("sizes", () => {
  const cases: [string, number][] = [
    ["512", 512],
    ["512M", 512],
    ["512m", 512],
    ["1G", 1024],
    ["1.5G", 1536],
    ["0.5g", 512],
    ["2048K", 2],
    ["1T", 1024 * 1024],
    ["512MB", 512],
    ["2GiB", 2048],
  ];
  for (const [text, mib] of cases) assert.equal(parseSizeMib(text), mib, text);
  refuses(parseSizeMib, [
    "",
    "512b",
    "512B",
    "512iB",
    "M",
    "-1",
    "-1G",
    "NaN",
    "1X",
    "1.5",
    "0",
    "0G",
    "1e3",
    "1 G",
    "Infinity",
    "99999999999T",
    "1,5G",
  ]);
});

test("durations", () => {
  const cases: [string, number][] = [
    ["30", 30_000],
    ["30s", 30_000],
    ["250ms", 250],
    ["5m", 300_000],
    ["1.5m", 90_000],
    ["2H", 7_200_000],
    ["1d", 86_400_000],
    ["0", 0],
  ];
  for (const [text, ms] of cases) assert.equal(parseDurationMs(text), ms, text);
  refuses(parseDurationMs, ["", "s", "-5s", "5x", "5 s", "1h30m", "1e3", "99999999999999999d"]);
});

test("durations with conditions", () => {
  assert.equal(parseDurationSecs("2m"), 120);
  refuses(parseDurationSecs, ["0", "1500ms", "0.5s"]);
  assert.equal(parsePositiveDurationMs("1ms"), 1);
  refuses(parsePositiveDurationMs, ["0", "0s", "0.1ms"]);
  assert.equal(parseIntervalMs("100ms"), 100);
  refuses(parseIntervalMs, ["99ms", "0", "0.05s"]);
});

test("moments", () => {
  const now = Date.UTC(2026, 4, 1, 12, 0, 0);
  const cases: [string, string][] = [
    ["5m", "2026-05-01T11:55:00.000Z"],
    ["1d", "2026-04-30T12:00:00.000Z"],
    ["90", "2026-05-01T11:58:30.000Z"],
    ["2026-05-01T13:37:00Z", "2026-05-01T13:37:00.000Z"],
    ["2026-05-01T13:37:00.25+02:00", "2026-05-01T11:37:00.250Z"],
    ["2026-05-01 13:37:00z", "2026-05-01T13:37:00.000Z"],
  ];
  for (const [text, expected] of cases) assert.equal(parseTime(text, now).toISOString(), expected, text);
  refuses(parseTime, ["", "yesterday", "2026-05-01", "2026-05-01T13:37:00", "2026-13-01T00:00:00Z", "-5m"]);
  refuses(parseTime, ["2026-02-30T00:00:00Z", "2026-04-31T00:00:00Z", "2025-02-29T00:00:00Z", "104249990d"]);
});

test("environment variables", () => {
  assert.deepEqual(parseEnvironment("A=b=c"), ["A", "b=c"]);
  assert.deepEqual(parseEnvironment("A="), ["A", ""]);
  assert.deepEqual(parseEnvironment("HERE", { HERE: "value" }), ["HERE", "value"]);
  assert.deepEqual(parseEnvironment("EMPTY", { EMPTY: "" }), ["EMPTY", ""]);
  refuses((text) => parseEnvironment(text, {}), ["MISSING", "=x", ""]);
});

test("labels", () => {
  assert.deepEqual(parseLabel("stage=test"), ["stage", "test"]);
  assert.deepEqual(parseLabel("bare"), ["bare", ""]);
  refuses(parseLabel, ["", "=x"]);
});

test("scripts", () => {
  assert.deepEqual(parseScript("hi=echo hi"), ["hi", "#!/bin/sh\necho hi\n"]);
  assert.deepEqual(parseScript("hi=#!/bin/ash\necho hi"), ["hi", "#!/bin/ash\necho hi"]);
  refuses(parseScript, ["", "hi", "=echo"]);

  const directory = mkdtempSync(join(tmpdir(), "msb-test-"));
  try {
    const path = join(directory, "hi:there.sh");
    writeFileSync(path, "#!/bin/sh\necho there\n");
    assert.deepEqual(parseScriptPath(`hi:${path}`), ["hi", "#!/bin/sh\necho there\n"]);
    refuses(parseScriptPath, ["", "hi", "hi:", `:${path}`, `hi:${path}.missing`]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("resource limits", () => {
  assert.deepEqual(parseResourceLimit("nofile=1024:4096"), { resource: "nofile", soft: 1024, hard: 4096 });
  assert.deepEqual(parseResourceLimit("CORE=0"), { resource: "core", soft: 0, hard: 0 });
  assert.deepEqual(parseResourceLimit("stack=8388608:unlimited"), {
    resource: "stack",
    soft: 8_388_608,
    hard: Infinity,
  });
  refuses(parseResourceLimit, [
    "",
    "nofile",
    "nofile=",
    "nofile=2:1",
    "files=1",
    "nofile=-1",
    "nofile=1:2:3",
    "cpu=1.5",
    "nofile=unlimited:5",
  ]);
});

test("words, numbers and patterns", () => {
  assert.equal(oneOf(["a", "b"])("b"), "b");
  refuses(oneOf(["a", "b"]), ["A", "", "ab"]);
  assert.equal(wholeNumber(1, 255)("255"), 255);
  refuses(wholeNumber(1, 255), ["0", "256", "1.5", "", "-1", "0x10"]);
  assert.ok(regularExpression("^a.c$").test("abc"));
  refuses(regularExpression, ["(", "[z-a]"]);
});
