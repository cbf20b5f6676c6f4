import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseLogLine } from "../../store/log-format.ts";
import { ExecLog } from "./exec-log.ts";

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
