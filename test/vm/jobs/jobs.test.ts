import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  ExecFailedError,
  InvalidConfigError,
  InvalidCursorError,
  JobNotFoundError,
  Sandbox,
  type Job,
  type JobAttachment,
  type JobEvent,
} from "../../../src/index.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

useTemporaryHome();
let sandbox: Sandbox;
before(async () => {
  sandbox = await Sandbox.builder("jobs").image("localhost/base").create();
});
after(() => sandbox.stop());

const shell = (script: string): Promise<Job> => sandbox.execDetached("sh", ["-c", script]);

/** Everything that comes, up to the end. */
async function all(attachment: JobAttachment): Promise<JobEvent[]> {
  return await Array.fromAsync(attachment);
}

function textOf(events: readonly JobEvent[], source?: string): string {
  const outputs = events.filter((event) => event.kind === "output");
  return Buffer.concat(
    outputs.filter((one) => source === undefined || one.source === source).map(({ data }) => data),
  ).toString();
}

/** Reads until so much was printed. */
async function until(attachment: JobAttachment, text: string): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  while (!textOf(events).includes(text)) {
    const event = await attachment.recv();
    if (event === null) throw new Error(`it ended without ${JSON.stringify(text)}: ${textOf(events)}`);
    events.push(event);
  }
  return events;
}

describe("a job", () => {
  test("runs, ends, and says how", async () => {
    const job = await shell("echo out; echo err >&2; exit 3");
    assert.deepEqual(await job.wait(), { code: 3, success: false, timedOut: false });
    const info = await job.inspect();
    assert.equal(info.state, "exited");
    assert.deepEqual(info.command, ["sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert.equal(info.outputBytes, 8);
    assert.ok(info.pid !== null && info.endedAt !== null && info.endedAt >= info.startedAt);
    const logs = await job.logs();
    assert.deepEqual(logs.map((entry) => [entry.source, entry.text()]).sort(), [
      ["stderr", "err\n"],
      ["stdout", "out\n"],
    ]);
    const events = await all(await job.attach({ replayRecent: Infinity }));
    assert.equal(textOf(events, "stdout"), "out\n");
    assert.deepEqual(events.at(-1), {
      ...{ kind: "completed", state: "exited", code: 3, success: false, timedOut: false },
    });
  });

  test("is followed while it runs, written to, and told of its end of input", async () => {
    const job = await sandbox.execDetachedWith("cat", (e) => e.stdinPipe());
    await using attachment = await job.attach();
    await attachment.writeStdin("one\n");
    await until(attachment, "one\n");
    await attachment.writeStdin("two\n");
    await job.eof();
    const rest = await all(attachment);
    assert.equal(textOf(rest), "two\n");
    assert.equal((await job.wait()).code, 0);
  });
});
void [eventually, ExecFailedError, InvalidConfigError, InvalidCursorError, JobNotFoundError];
