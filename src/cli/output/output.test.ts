import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import {
  BootStartError,
  ExecFailedError,
  InvalidConfigError,
  RuntimeError,
  type ExecFailureKind,
} from "../../errors/index.ts";
import { UsageError } from "./usage-error.ts";
import { completionLine, errorBlock, warningLine } from "./blocks.ts";
import { bytes, json, jsonStatus, jsonTime, latency, tableTime, uptime } from "./format.ts";
import { exitCodeOf, exitCodeOfCommand, report } from "./report.ts";
import { rawText, Styled, type Text } from "./style.ts";
import { cut, table } from "./table.ts";

/** Not a terminal, so nothing is coloured. */
const stream = new PassThrough();

function asPrinted<A extends readonly unknown[]>(make: (...given: A) => Text): (...given: A) => string {
  return (...given) => rawText(make(...given));
}
const printedTable = asPrinted(table);
const printedLine = asPrinted(completionLine);
const printedError = asPrinted(errorBlock);
const printedWarning = asPrinted(warningLine);
const printedReport = asPrinted(report);

test("a table has upper-case headers and columns four blanks apart", () => {
  assert.equal(
    printedTable(
      ["NAME", "STATUS"],
      [
        ["a-long-name", "running"],
        ["b", "stopped"],
      ],
    ),
    "NAME           STATUS\na-long-name    running\nb              stopped\n",
  );
});

test("a table is aligned whatever the colours and scripts of its cells", () => {
  const lines = printedTable(
    ["A", "B"],
    [
      [new Styled("\x1b[32mgreen\x1b[39m"), "x"],
      ["né", "y"],
    ],
  ).split("\n");
  assert.equal(lines[1], "\x1b[32mgreen\x1b[39m    x");
  assert.equal(lines[2], "né       y");
});

test("cutting keeps the limit", () => {
  assert.equal(cut("abc", 3), "abc");
  assert.equal(cut("abcd", 3), "ab…");
});

test("a completion line has its columns, and a duration only above 500 ms", () => {
  const line = { ok: true, verb: "Started", target: "demo", durationMs: 500 };
  assert.equal(printedLine(line, stream), "   ✓ Started      demo\n");
  assert.equal(printedLine({ ...line, durationMs: 1234 }, stream), "   ✓ Started      demo (1.2s)\n");
  assert.equal(printedLine({ ...line, ok: false, verb: "Stopped" }, stream), "   ✗ Stopped      demo\n");
});

test("an error block has a line for each cause and hint, and none for empty ones", () => {
  assert.equal(
    printedError({ text: "it failed", causes: ["because"], hints: ["", "do this"] }, stream),
    "error: it failed\n  → because\n  → do this\n",
  );
  assert.equal(
    printedError({ text: "it failed", causes: ["two\nlines"] }, stream),
    "error: it failed\n  → two\n    lines\n",
  );
  assert.equal(printedWarning("careful", stream), "warn: careful\n");
});

test("an error is shown with its causes, once each, and its hint", () => {
  const cause = new Error("ENOSPC: no space left on device");
  const error = new RuntimeError("cannot write the disk", { cause, hint: "Free some space." });
  assert.equal(
    printedReport(error, stream),
    "error: cannot write the disk\n  → ENOSPC: no space left on device\n  → Free some space.\n",
  );
  const repeating = new RuntimeError("cannot write: ENOSPC: no space left on device", { cause });
  assert.equal(printedReport(repeating, stream), "error: cannot write: ENOSPC: no space left on device\n");
  const ofAnotherBundle = Object.assign(new Error("no port"), {
    code: "io",
    hint: "Name another one.",
    log: [],
  });
  assert.equal(printedReport(ofAnotherBundle, stream), "error: no port\n  → Name another one.\n");
  assert.equal(printedReport(new UsageError("bad", "Do it right"), stream), "error: bad\n  → Do it right\n");
  assert.equal(printedReport("text", stream), "error: text\n");
});

test("a failed start shows stage, QEMU's words, the console's end and where the logs are", () => {
  const failure = {
    sandboxName: "demo",
    stage: "build_vm",
    errno: null,
    consoleTail: "line 1\r\n\r\nKernel panic\r\n",
    qemuOutput: "qemu: no such device\n",
  } as const;
  const error = new BootStartError("the machine ended", failure, { hint: "Try this." });
  assert.equal(
    printedReport(error, stream),
    [
      'error: failed to start "demo"',
      "  → build_vm: the machine ended",
      "  → QEMU: qemu: no such device",
      "  → the guest's last words:",
      "      line 1",
      "      Kernel panic",
      "  → Try this.",
      "  → msb logs --source system demo",
      "",
    ].join("\n"),
  );
  assert.doesNotMatch(printedReport(error, stream, { removed: true }), /msb logs/);
});

test("a command that cannot be started is told like shells do", () => {
  const cases: [ExecFailureKind, number, string][] = [
    ["not_found", 127, "not found"],
    ["permission_denied", 126, "permission denied"],
    ["not_executable", 126, "not executable"],
    ["bad_cwd", 126, "bad cwd"],
    ["bad_args", 126, "bad args"],
    ["resource_limit", 126, "resource limit"],
    ["user_setup_failed", 126, "user setup"],
    ["out_of_memory", 126, "out of memory"],
    ["pty_setup_failed", 126, "pty setup"],
    ["other", 126, "exec"],
  ];
  for (const [kind, code, label] of cases) {
    const error = new ExecFailedError("it is not there", {
      kind,
      errno: 2,
      errnoName: "ENOENT",
      stage: "exec",
    });
    assert.equal(exitCodeOf(error), code, kind);
    assert.equal(
      printedReport(error, stream, { program: "nope" }),
      `error: failed to exec "nope"\n  → ${label}: it is not there (ENOENT)\n`,
    );
  }
  assert.equal(exitCodeOf(new RuntimeError("x")), 1);
  assert.equal(exitCodeOf(new RuntimeError("x"), 125), 125);
  assert.equal(exitCodeOf(new UsageError("x")), 2);
  assert.equal(exitCodeOf(new InvalidConfigError("x")), 1);
  assert.equal(exitCodeOfCommand(new InvalidConfigError("x")), 126);
  assert.equal(exitCodeOfCommand(new RuntimeError("x"), 125), 125);
});

test("figures", () => {
  assert.deepEqual([0, 1023, 1024, 1536, 512 * 1024 ** 2, 1.25 * 1024 ** 3, 1024 ** 2 - 1].map(bytes), [
    "0 B",
    "1023 B",
    "1 KiB",
    "1.5 KiB",
    "512 MiB",
    "1.3 GiB",
    "1 MiB",
  ]);
  assert.deepEqual([0, 59_999, 187_000, 18_720_000, 273_600_000].map(uptime), [
    "0s",
    "59s",
    "3m 07s",
    "5h 12m",
    "3d 4h",
  ]);
  assert.deepEqual([0.421, 12.4, 1500].map(latency), ["0.42 ms", "12 ms", "1.5 s"]);
});

test("times and statuses have their own form in tables and in JSON", () => {
  const time = new Date(2026, 4, 1, 3, 7, 9);
  assert.equal(tableTime(time), "2026-05-01 03:07:09");
  assert.equal(tableTime(null), "-");
  assert.equal(jsonTime(new Date(Date.UTC(2026, 4, 1))), "2026-05-01T00:00:00.000Z");
  assert.equal(jsonTime(null), null);
  assert.equal(jsonStatus("running"), "Running");
  assert.equal(json({ a: [] }), '{\n  "a": []\n}\n');
});

test("an error's text cannot steer the terminal", () => {
  const block = printedError(
    {
      text: "a\x1b[2Jb",
      causes: ["c\x1b]0;title\x07d\x08"],
      excerpt: { title: "words", lines: ["e\x1b[31mf\x9b1mg"] },
      hints: ["h\r"],
    },
    stream,
  );
  assert.doesNotMatch(block, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  assert.match(block, /ab[^]*c[^]*d[^]*ef/);
});
