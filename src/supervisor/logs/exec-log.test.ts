import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { logLineData, parseLogLine, type LogLine } from "../../store/log-format.ts";
import { ExecLog } from "./exec-log.ts";

test("long output is cut into lines between its characters, and bytes that are no text arrive as they were", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "msb-exec-log-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "exec.log");
  const log = await ExecLog.open(path);
  const text = Buffer.from(`a${"€😀".repeat(30_000)}`);
  const binary = Buffer.alloc(200_001, Buffer.from([0, 0x80, 0x80, 0x80, 0xff]));
  log.write("stdout", text, 1);
  log.write("stderr", binary, 1);
  log.write("stdout", Buffer.alloc(0), 1);
  await log.close();
  const lines = (await readFile(path, "utf8")).trim().split("\n").map(parseLogLine).slice(1);
  const of = (source: string): LogLine[] =>
    lines.filter((line) => line !== null).filter((line) => line.s === source);
  assert.ok(of("stdout").length > 3 && of("stderr").length > 3);
  assert.ok(of("stdout").every((line) => line.e === undefined && !line.d.includes("\ufffd")));
  assert.deepEqual(Buffer.concat(of("stdout").map(logLineData)), text);
  assert.deepEqual(Buffer.concat(of("stderr").map(logLineData)), binary);
});

test("a session that ends within a line leaves a mark, for each source that does", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "msb-exec-log-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "exec.log");
  const log = await ExecLog.open(path);
  const write = (text: string, session: number | null, source: "stdout" | "stderr" = "stdout"): void => {
    log.write(source, Buffer.from(text), session);
  };
  write("a\n", 1);
  write("b", 1);
  write("c", 2);
  write("d", 2, "stderr");
  write("\n", 2);
  log.endLines(1);
  // Who outlives the command may write more.
  write("e", 1);
  log.endLines(2);
  log.endLines(3);
  log.endLines(1);
  await log.close();
  const lines = (await readFile(path, "utf8")).trim().split("\n").map(parseLogLine);
  assert.deepEqual(
    lines.filter((line) => line?.end === true || line?.d === "e").map((line) => [line?.id, line?.s, line?.d]),
    [
      [1, "stdout", ""],
      [1, "stdout", "e"],
      [2, "stderr", ""],
      [1, "stdout", ""],
    ],
  );
});

test("bytes that are no text are logged as they were, though their lines use memory again", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "msb-exec-log-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "exec.log");
  const log = await ExecLog.open(path);
  const written: Buffer[] = [];
  const piece = Buffer.alloc(65_536);
  for (let round = 0; round < 90; round++) {
    const bytes = piece.fill(round).subarray(0, 60_000 + 61 * round);
    bytes[0] = 0;
    written.push(Buffer.from(bytes));
    log.write(round % 2 === 0 ? "stdout" : "stderr", bytes, 1_000_000 * round);
    if (round % 5 === 0) await log.flush();
  }
  await log.close();
  const lines = (await readFile(path, "utf8")).trim().split("\n").map(parseLogLine).slice(1);
  assert.ok(
    Buffer.concat(lines.map((line) => (line === null ? Buffer.alloc(0) : logLineData(line)))).equals(
      Buffer.concat(written),
    ),
  );
});
