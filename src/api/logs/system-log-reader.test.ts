import assert from "node:assert/strict";
import { appendFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { formatBootMarker } from "../../store/log-format.ts";
import { logBeginning, readKernelLog, readNewLines, readRuntimeLog } from "./system-log-reader.ts";

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-system-log-"));
});
after(() => rm(directory, { recursive: true, force: true }));

test("a line of the supervisor's log has its own time, one that goes on has that of its beginning", async () => {
  const path = join(directory, "runtime.log");
  await writeFile(`${path}.1`, "2024-01-01T00:00:00.000Z INFO  old\n");
  await writeFile(
    path,
    "2024-01-02T00:00:00.500Z WARN  first\n    more\n2024-01-03T00:00:00.000Z INFO  last\n",
  );
  const entries = await readRuntimeLog(path);
  assert.deepEqual(
    entries.map((entry) => [entry.timestamp.toISOString(), entry.source, entry.sessionId, entry.text()]),
    [
      ["2024-01-01T00:00:00.000Z", "system", null, "2024-01-01T00:00:00.000Z INFO  old\n"],
      ["2024-01-02T00:00:00.500Z", "system", null, "2024-01-02T00:00:00.500Z WARN  first\n"],
      ["2024-01-02T00:00:00.500Z", "system", null, "    more\n"],
      ["2024-01-03T00:00:00.000Z", "system", null, "2024-01-03T00:00:00.000Z INFO  last\n"],
    ],
  );
});

test("a line of the guest's console has the time of its boot plus what the kernel says", async () => {
  const path = join(directory, "kernel.log");
  const first = new Date("2024-05-01T10:00:00.000Z");
  const second = new Date("2024-05-01T11:00:00.000Z");
  await writeFile(
    path,
    `${formatBootMarker(first)}[    1.500000] one\r\nno time\r\n\r\n${formatBootMarker(second)}[   10.000000] two\r\n`,
  );
  const entries = await readKernelLog(path);
  assert.deepEqual(
    entries.map(({ timestamp }) => timestamp.getTime()),
    [
      first.getTime(),
      first.getTime() + 1500,
      first.getTime() + 1500,
      second.getTime(),
      second.getTime() + 10_000,
    ],
  );
  assert.equal(entries[1]?.text(), "[    1.500000] one\n");
});

test("a log that is not there is empty", async () => {
  assert.deepEqual(await readRuntimeLog(join(directory, "missing.log")), []);
  const { entries } = await readNewLines(join(directory, "missing.log"), logBeginning);
  assert.deepEqual(entries, []);
});

test("only whole new lines are read, and a new file from its start", async () => {
  const path = join(directory, "new.log");
  await writeFile(path, "one\ntw");
  let { entries, position } = await readNewLines(path, logBeginning);
  const next = async (): Promise<string[]> => {
    ({ entries, position } = await readNewLines(path, position));
    return entries.map((entry) => entry.text());
  };
  assert.deepEqual(
    entries.map((entry) => entry.text()),
    ["one\n"],
  );
  assert.deepEqual(await next(), []);
  await appendFile(path, "o\nthree\n");
  assert.deepEqual(await next(), ["two\n", "three\n"]);
  await rename(path, `${path}.1`);
  await writeFile(path, "four\n");
  assert.deepEqual(await next(), ["four\n"]);
});
