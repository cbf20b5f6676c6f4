import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { Sandbox } from "../../../src/index.ts";
import { processOf } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { allEvents, gapsOf, textOf, untilPrinted } from "./jobs-support.ts";

export const needs: Needs = ["running"];

const home = useTemporaryHome();
let sandbox: Sandbox;
before(async () => {
  sandbox = await Sandbox.builder("flood").image("localhost/base").create();
});
after(() => sandbox.stop());

const mebibyte = 1024 * 1024;
/** MiB; more than the log keeps. By hand: MSB_TEST_JOB_MIB=1024. */
const size = Number(process.env["MSB_TEST_JOB_MIB"] ?? 48);

async function resident(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

test("one that prints more than is kept waits for nobody, takes no memory, and what is missed is told", async () => {
  const supervisor = await processOf(home, "flood", "supervisor");
  const before = await resident(supervisor);
  const job = await sandbox.execDetachedWith("sh", (e) =>
    e
      .args(["-c", `echo begun; read go; yes 0123456789abcde | head -c ${size * mebibyte}; echo end`])
      .stdinPipe(),
  );
  const fast = await job.attach({ replayRecent: Infinity });
  const slow = await job.attach({ replayRecent: Infinity });
  await untilPrinted(fast, "begun");
  await untilPrinted(slow, "begun");
  const whole = size * mebibyte + "begun\nend\n".length;
  await fast.writeStdin("\n");
  let read = "begun\n".length;
  let missed = 0;
  let most = before;
  for await (const event of fast) {
    if (event.kind === "output") read += event.data.length;
    else if (event.kind === "gap") missed += event.bytes;
    if (event.kind === "output" && read % (4 * mebibyte) < 65536)
      most = Math.max(most, await resident(supervisor));
  }
  assert.equal(read + missed, whole);
  // Nobody has read from the other one meanwhile.
  const late = await allEvents(slow);
  const lateRead = textOf(late).length + "begun\n".length;
  const [gap = 0] = gapsOf(late);
  assert.ok(gap > (size - 40) * mebibyte, `${gap} bytes were missed`);
  assert.equal(lateRead + gap, whole);
  assert.ok(textOf(late).endsWith("abcde\nend\n"));
  assert.equal(late.at(-1)?.kind, "completed");
  assert.ok(most - before < 64 * mebibyte, `the supervisor has grown by ${most - before} bytes`);

  const recent = await allEvents(await job.attach({ replayRecent: mebibyte }));
  assert.deepEqual([gapsOf(recent), textOf(recent).length], [[], mebibyte]);
  // What there is of a day's output does not begin with its beginning, which is no news to whoever has not been there.
  await using logs = await job.followLogs();
  assert.ok((await logs.recv()) !== null);
});
