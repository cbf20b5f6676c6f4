import assert from "node:assert/strict";
import { test } from "node:test";
import { JobLostError, Sandbox, SandboxNotRunningError, type Job } from "../../../src/index.ts";
import { processOf, processesGone, smallMemory, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { allEvents, gapsOf, textOf, untilPrinted } from "./jobs-support.ts";

export const needs: Needs = ["running"];

const home = useTemporaryHome();

function create(name: string): Promise<Sandbox> {
  return Sandbox.builder(name).image("localhost/base").memory(smallMemory).createDetached();
}

/** Prints a number whenever it is told to, and counts. */
function counter(sandbox: Sandbox): Promise<Job> {
  return sandbox.execDetachedWith("sh", (e) =>
    e.args(["-c", "n=0; while read -r word; do n=$((n + 1)); echo $word $n; done; exit 5"]).stdinPipe(),
  );
}

/** @returns what was printed */
async function count(job: Job, word: string): Promise<string> {
  await using attachment = await job.attach();
  await attachment.writeStdin(`${word}\n`);
  return textOf(await untilPrinted(attachment, "\n"));
}

test("what is known of jobs outlives their sandbox, and its supervisor", { timeout }, async () => {
  const name = "ends";
  let sandbox = await create(name);
  const ended = await sandbox.execDetached("sh", ["-c", "echo whole; exit 2"]);
  await ended.wait();
  const killed = await counter(sandbox);
  assert.equal(await count(killed, "first"), "first 1\n");
  const following = await killed.attach();
  const followed = allEvents(following);
  const waiting = killed.wait();
  waiting.catch(() => undefined);
  process.kill(await processOf(home, name, "supervisor"), "SIGKILL");
  await assert.rejects(waiting, JobLostError);
  assert.deepEqual(await followed, [
    { ...{ kind: "completed", state: "lost", code: null, success: false, timedOut: false } },
  ]);

  const handle = await Sandbox.get(name);
  assert.equal(handle.status, "crashed");
  const found = await handle.getJob(killed.id);
  assert.equal((await found.inspect()).state, "lost");
  assert.equal(textOf(await allEvents(await found.attach({ replayRecent: Infinity }))), "first 1\n");
  await assert.rejects(found.signal(15), SandboxNotRunningError);
  await assert.rejects(found.wait(), JobLostError);

  // Another run has sessions of the same numbers: what they print is not the lost one's. And nothing is run again.
  sandbox = await Sandbox.startDetached(name);
  await sandbox.shell("echo other; echo other");
  const third = await counter(sandbox);
  assert.equal(await count(third, "third"), "third 1\n");
  const states = await sandbox.listJobs();
  assert.deepEqual(
    states.map(({ id, state, code }) => [id, state, code]),
    [
      [ended.id, "exited", 2],
      [killed.id, "lost", null],
      [third.id, "running", null],
    ],
  );
  assert.equal(
    (await (await sandbox.getJob(killed.id)).logs()).map((entry) => entry.text()).join(""),
    "first 1\n",
  );

  // Its machine dies.
  const lost = third.wait();
  lost.catch(() => undefined);
  process.kill(await processOf(home, name, "qemu"), "SIGKILL");
  await assert.rejects(lost, JobLostError);
  await processesGone(home, name);
  const stopped = await Sandbox.get(name);
  assert.deepEqual(
    (await stopped.listJobs()).map(({ state }) => state),
    ["exited", "lost", "lost"],
  );
  assert.match((await stopped.listJobs())[2]?.reason ?? "", /guest/);
  const [output] = await (await stopped.getJob(ended.id)).logs();
  assert.equal(output?.text(), "whole\n");
  await stopped.destroy();
});

test(
  "jobs are suspended with their sandbox, copied with it, go back with it, and end with it",
  { timeout },
  async () => {
    const name = "moves";
    let sandbox = await create(name);
    const job = await counter(sandbox);
    const limited = await sandbox.execDetachedWith("sleep", (e) => e.arg("1000").stdinPipe().timeout(60_000));
    await limited.eof();
    assert.equal(await count(job, "a"), "a 1\n");
    const waiting = job.wait();
    waiting.catch(() => undefined);
    await sandbox.suspend();
    await assert.rejects(waiting, SandboxNotRunningError);
    const handle = await Sandbox.get(name);
    assert.deepEqual(
      (await handle.listJobs()).map(({ state }) => state),
      ["running", "running"],
    );
    sandbox = await Sandbox.startDetached(name);
    const again = await sandbox.getJob(job.id);
    assert.equal(await count(again, "b"), "b 2\n");
    assert.equal(textOf(await allEventsUpTo(again, "b 2\n")), "a 1\nb 2\n");
    const sleeping = await sandbox.getJob(limited.id);
    await using toNobody = await sleeping.attach();
    await toNobody.writeStdin("after its end");
    await sleeping.kill();
    assert.equal((await sleeping.wait()).code, 137);

    // A copy has the same job, and not what it had printed before.
    const child = await sandbox.fork("moves-child");
    const copied = await child.getJob(job.id);
    assert.equal(await count(copied, "child"), "child 3\n");
    const events = await allEventsUpTo(copied, "child 3\n");
    assert.deepEqual([gapsOf(events), textOf(events)], [["a 1\nb 2\n".length], "child 3\n"]);
    assert.deepEqual(
      (await child.listJobs()).map(({ id, state }) => [id, state]),
      [[job.id, "running"]],
    );
    await child.destroy();
    assert.equal(await count(again, "c"), "c 3\n");

    // One that goes back to a checkpoint is as it was then; one that came later is lost.
    const checkpoint = await sandbox.checkpoint();
    assert.equal(await count(again, "d"), "d 4\n");
    const later = await counter(sandbox);
    await again.eof();
    assert.equal((await again.wait()).code, 5);
    await sandbox.rollback(checkpoint);
    assert.equal((await later.inspect()).state, "lost");
    assert.equal((await again.inspect()).state, "running");
    assert.equal(await count(again, "e"), "e 4\n");
    await again.eof();
    assert.equal((await again.wait()).code, 5);

    // A stop in order ends them as they want to end.
    const leaving = await sandbox.execDetached("sh", [
      "-c",
      "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.1; done",
    ]);
    await untilPrinted(await leaving.attach({ replayRecent: 10 }), "ready");
    const ended = leaving.wait();
    await sandbox.stop();
    assert.equal((await ended).code, 4);
    const stopped = await (await Sandbox.get(name)).getJob(leaving.id);
    const { state, code } = await stopped.inspect();
    assert.deepEqual([state, code], ["exited", 4]);
    assert.equal(textOf(await allEvents(await stopped.attach({ replayRecent: 4 }))), "bye\n");
    await (await Sandbox.get(name)).destroy();
  },
);

async function allEventsUpTo(job: Job, text: string): ReturnType<typeof untilPrinted> {
  await using attachment = await job.attach({ replayRecent: Infinity });
  return await untilPrinted(attachment, text);
}
