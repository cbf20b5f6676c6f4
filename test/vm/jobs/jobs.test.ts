import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import {
  ExecFailedError,
  InvalidConfigError,
  InvalidCursorError,
  JobNotFoundError,
  Sandbox,
  type Job,
} from "../../../src/index.ts";
import { runProgram } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { allEvents, gapsOf, gathered, textOf, untilPrinted } from "./jobs-support.ts";

export const needs: Needs = ["running"];

useTemporaryHome();
let sandbox: Sandbox;
before(async () => {
  sandbox = await Sandbox.builder("jobs").image("localhost/base").create();
});
after(() => sandbox.stop());

const shell = (script: string): Promise<Job> => sandbox.execDetached("sh", ["-c", script]);

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
    const events = await allEvents(await job.attach({ replayRecent: Infinity }));
    assert.equal(textOf(events, "stdout"), "out\n");
    assert.deepEqual(events.at(-1), {
      ...{ kind: "completed", state: "exited", code: 3, success: false, timedOut: false },
    });
  });

  test("that cannot be started is told to whoever starts it, and listed", async () => {
    const isMissing = (error: unknown): boolean =>
      error instanceof ExecFailedError && error.kind === "not_found";
    await assert.rejects(sandbox.execDetached("no-such-program"), isMissing);
    const info = (await sandbox.listJobs()).find(({ command }) => command[0] === "no-such-program");
    assert.equal(info?.state, "failed");
    assert.match(info.reason ?? "", /no-such-program/);
    const job = await sandbox.getJob(info.id);
    await assert.rejects(job.wait(), isMissing);
    assert.deepEqual(await allEvents(await job.attach()), [
      { ...{ kind: "completed", state: "failed", code: null, success: false, timedOut: false } },
    ]);
  });

  test("is written to by all who are attached, and told of its end of input", async () => {
    const job = await sandbox.execDetachedWith("cat", (e) => e.stdinPipe());
    await using first = await job.attach();
    await using second = await (await (await Sandbox.get("jobs")).getJob(job.id)).attach();
    await first.writeStdin("one\n");
    await Promise.all([untilPrinted(first, "one\n"), untilPrinted(second, "one\n")]);
    await second.writeStdin("two\n");
    await second.detach();
    await job.eof();
    assert.equal(textOf(await allEvents(first)), "two\n");
    assert.equal((await job.wait()).code, 0);
    // Nobody reads it any more.
    await first.writeStdin("three");
  });

  test("gets more input than there is room for, whole", async () => {
    const bytes = Buffer.alloc(3 << 20, "0123456789abcdef");
    const job = await sandbox.execDetachedWith("sh", (e) => e.args(["-c", "sleep 0.3; md5sum"]).stdinPipe());
    const attachment = await job.attach();
    await attachment.writeStdin(bytes);
    await attachment.detach();
    await job.eof();
    await job.wait();
    const given = await sandbox.execDetachedWith("md5sum", (e) => e.stdinBytes(bytes.subarray(0, 1 << 20)));
    await given.wait();
    const digest = (data: Uint8Array): string => createHash("md5").update(data).digest("hex");
    const printed = async (one: Job): Promise<string> => (await one.logs())[0]?.text().slice(0, 32) ?? "";
    assert.equal(await printed(job), digest(bytes));
    assert.equal(await printed(given), digest(bytes.subarray(0, 1 << 20)));
    const tooLong = sandbox.execDetachedWith("cat", (e) => e.stdinBytes(bytes));
    await assert.rejects(tooLong, InvalidConfigError);
    const nowhere = sandbox.execDetachedWith("true", (e) => e.logged(false));
    await assert.rejects(nowhere, InvalidConfigError);
  });

  test("on a terminal has a size, and an end of input that is typed", async () => {
    const job = await sandbox.execDetachedWith("sh", (e) => e.tty(true).terminalSize(11, 55));
    await using attachment = await job.attach({ replayRecent: 100 });
    await attachment.writeStdin("stty size\n");
    await untilPrinted(attachment, "11 55");
    await attachment.resize(33, 77);
    await attachment.writeStdin("stty size\n");
    const events = await untilPrinted(attachment, "33 77");
    assert.equal(textOf(events, "stdout"), "");
    await attachment.writeStdin("exit 6\n\x04");
    await allEvents(attachment);
    assert.equal((await job.wait()).code, 6);
  });

  test("gets signals, and is killed", async () => {
    const job = await shell("trap 'exit 7' USR1; echo ready; while :; do sleep 0.1; done");
    await untilPrinted(await job.attach({ replayRecent: 100 }), "ready");
    await job.signal(10);
    assert.equal((await job.wait()).code, 7);
    const other = await shell("sleep 1000");
    await other.kill();
    assert.deepEqual(await other.wait(), { code: 137, success: false, timedOut: false });
    assert.equal((await other.inspect()).signal, 9);
    await other.kill();
    await assert.rejects(other.signal(0), RangeError);
  });

  test("is killed when its time is over", async () => {
    const job = await sandbox.execDetachedWith("sleep", (e) => e.arg("1000").timeout(300));
    assert.deepEqual(await job.wait(), { code: 137, success: false, timedOut: true });
    assert.equal((await job.inspect()).timedOut, true);
    const [event] = await allEvents(await job.attach());
    assert.equal(event?.kind === "completed" && event.timedOut, true);
  });

  test("goes on when its client is killed", async (t) => {
    const program = runProgram(
      t,
      `const sandbox = await (await Sandbox.get("jobs")).connect();
       const job = await sandbox.execDetached("sh", ["-c", "echo begun; read line < /tmp/go; echo $line"]);
       const attachment = await job.attach({ replayRecent: Infinity });
       await attachment.recv();
       say(job.id);
       await attachment.recv();`,
    );
    await sandbox.exec("mkfifo", ["/tmp/go"]);
    const id = await program.line();
    program.kill();
    await program.ended;
    await sandbox.shell("echo gone on > /tmp/go");
    const job = await sandbox.getJob(id);
    assert.equal((await job.wait()).success, true);
    assert.equal(textOf(await allEvents(await job.attach({ replayRecent: Infinity }))), "begun\ngone on\n");
  });

  test("is not known by another name, and gives no input where there is none", async () => {
    await assert.rejects(sandbox.getJob("0badc0de"), JobNotFoundError);
    const job = await shell("sleep 1000");
    const attachment = await job.attach();
    await assert.rejects(attachment.writeStdin("x"), InvalidConfigError);
    const reader = await (
      await sandbox.execDetachedWith("cat", (e) => e.stdinPipe())
    ).attach({ readOnly: true });
    await assert.rejects(reader.writeStdin("x"), InvalidConfigError);
    await assert.rejects(reader.resize(1, 1), InvalidConfigError);
    await attachment.detach();
    await reader.detach();
    assert.equal(await attachment.recv(), null);
    for (const { id, state } of await sandbox.listJobs())
      if (state === "running") await (await sandbox.getJob(id)).kill();
  });
});

describe("replay", () => {
  let job: Job;
  before(async () => {
    job = await shell("for i in 1 2 3 4 5 6 7 8 9; do echo line $i; sleep 0.02; done");
    await job.wait();
  });

  test("begins with so many bytes, or after an event", async () => {
    const events = await allEvents(await job.attach({ replayRecent: 10 }));
    assert.equal(textOf(events), "e 8\nline 9\n".slice(-10));
    const whole = await allEvents(await job.attach({ replayRecent: Infinity }));
    assert.equal(textOf(whole).length, 63);
    assert.deepEqual(gapsOf(whole), []);
    const third = whole[2];
    assert.ok(third?.kind === "output");
    const rest = await allEvents(await job.attach({ replayAfter: third.cursor }));
    assert.equal(textOf(whole.slice(0, 3)) + textOf(rest), textOf(whole));
    assert.equal(textOf(await allEvents(await job.attach())), "");
  });

  test("refuses what is no place in this job's output", async () => {
    const [event] = await allEvents(await job.attach({ replayRecent: 1 }));
    assert.ok(event?.kind === "output");
    const other = await shell("true");
    await assert.rejects(other.attach({ replayAfter: event.cursor }), InvalidCursorError);
    await assert.rejects(job.attach({ replayAfter: "?" }), InvalidCursorError);
    await assert.rejects(job.attach({ replayRecent: -1 }), InvalidConfigError);
    await assert.rejects(job.attach({ replayRecent: 1, replayAfter: event.cursor }), InvalidConfigError);
  });

  test("follows the log to the end of the job", async () => {
    const slow = await shell("echo first; sleep 0.3; echo last");
    const entries = await gathered(await slow.followLogs());
    assert.deepEqual(
      entries.map((entry) => [entry.source, entry.text(), entry.sessionId]),
      ["first\n", "last\n"].map((text) => ["stdout", text, entries[0]?.sessionId]),
    );
  });
});

test("a hundred jobs run at once, each with its own output", async () => {
  const numbers = Array.from({ length: 100 }, (_, number) => number);
  const jobs = await Promise.all(numbers.map((n) => shell(`echo job ${n}; sleep 1; exit ${n}`)));
  const running = (await sandbox.listJobs()).filter(({ state }) => state === "running");
  assert.ok(running.length > 1);
  const attachments = await Promise.all(jobs.map((one) => one.attach({ replayRecent: Infinity })));
  const [results, events] = await Promise.all([
    Promise.all(jobs.map((one) => one.wait())),
    Promise.all(attachments.map(allEvents)),
  ]);
  assert.deepEqual(
    results.map(({ code }) => code),
    numbers,
  );
  assert.deepEqual(
    events.map((one) => textOf(one)),
    numbers.map((n) => `job ${n}\n`),
  );
});
