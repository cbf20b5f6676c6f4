import assert from "node:assert/strict";
import { test } from "node:test";
import {
  RuntimeError,
  Sandbox,
  SandboxAlreadyExistsError,
  SandboxNotFoundError,
  SandboxNotRunningError,
  SandboxReplacedError,
  SandboxStillRunningError,
  type SandboxHandle,
} from "../../../src/index.ts";
import { processesGone, processesOf, smallMemory, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots"];

// One sandbox goes through all its states; in each, every operation is legal or refused with its error.
const home = useTemporaryHome();
const name = "life";
let sandbox: Sandbox;

const status = async (): Promise<string> => (await Sandbox.get(name)).status;

/** A sandbox that is not running refuses these, and forgives those. */
async function refusesUse(of: Sandbox): Promise<void> {
  const handle = await of.waitForStatus((await Sandbox.get(of.name)).status);
  for (const use of [
    () => of.exec("true"),
    () => of.shell("true"),
    () => of.execStream("true"),
    () => of.ping(),
    () => of.touch(),
    () => of.metrics(),
    () => handle.ping(),
    () => handle.touch(),
    () => handle.metrics(),
    () => handle.connect(),
  ]) {
    await assert.rejects(use(), SandboxNotRunningError, use.toString());
  }
  await of.stop();
  await of.stopWithTimeout(0);
  await of.requestStop();
  await of.kill();
  await of.requestKill();
  await of.drain();
  assert.equal((await of.metricsStream(10).recv()) ?? null, null);
  assert.ok((await of.logs({ sources: ["system"] })).length > 0);
}

/** A sandbox that has not ended cannot be started, removed or created again. */
async function refusesStartAndRemoval(handle: SandboxHandle): Promise<void> {
  for (const attempt of [
    () => handle.start(),
    () => handle.startDetached(),
    () => Sandbox.start(handle.name),
    () => Sandbox.startDetached(handle.name),
    () => handle.remove(),
    () => Sandbox.remove(handle.name),
  ]) {
    await assert.rejects(attempt(), SandboxStillRunningError, attempt.toString());
  }
  await assert.rejects(
    Sandbox.create({ name: handle.name, image: "localhost/base" }),
    (error) => error instanceof SandboxAlreadyExistsError && error.hint.includes("msb rm"),
  );
}

test("both ways to create give the same sandbox", { timeout }, async () => {
  sandbox = await Sandbox.builder(name)
    .image("localhost/base")
    .cpus(2)
    .memory(smallMemory)
    .env("A", "1")
    .envs({ B: "2" })
    .label("role", "test")
    .hostname("same-host")
    .workdir("/tmp")
    .shell("/bin/sh")
    .user("root")
    .script("hello", "#!/bin/sh\necho hello\n")
    .rlimitRange("nofile", 100, 200)
    .idleTimeout(3600)
    .maxDuration(7200)
    .logLevel("info")
    .metricsSampleIntervalMs(500)
    .create();
  await using other = await Sandbox.createDetached({
    name: "other",
    image: "localhost/base",
    cpus: 2,
    memoryMib: smallMemory,
    env: { A: "1", B: "2" },
    labels: { role: "test" },
    hostname: "same-host",
    workdir: "/tmp",
    shell: "/bin/sh",
    user: "root",
    scripts: { hello: "#!/bin/sh\necho hello\n" },
    rlimits: [{ resource: "nofile", soft: 100, hard: 200 }],
    idleTimeoutSecs: 3600,
    maxDurationSecs: 7200,
    logLevel: "info",
    metricsSampleIntervalMs: 500,
  });
  assert.deepEqual({ ...other.config, name }, sandbox.config);
  assert.deepEqual((await Sandbox.get(name)).config(), sandbox.config);
  assert.deepEqual(JSON.parse((await Sandbox.get(name)).configJson), sandbox.config);
  assert.ok(Object.isFrozen(sandbox.config));
  const look = "hostname; pwd; nproc; echo $A $B; hello; ulimit -n";
  const outputs = [await sandbox.shell(look), await other.shell(look)].map((output) => output.stdout());
  assert.equal(outputs[0], "same-host\n/tmp\n2\n1 2\nhello\n100\n");
  assert.equal(outputs[1], outputs[0]);

  assert.equal(sandbox.ownsLifecycle, true);
  assert.equal(other.ownsLifecycle, false);
  await other[Symbol.asyncDispose]();
  assert.equal((await Sandbox.get("other")).status, "running");
  await other.destroy();
  await assert.rejects(Sandbox.get("other"), SandboxNotFoundError);
});

test("running", { timeout }, async () => {
  const handle = await Sandbox.get(name);
  assert.equal(handle.status, "running");
  assert.equal(handle.id, sandbox.id);
  await refusesStartAndRemoval(handle);
  await assert.rejects(sandbox.removePersisted(), SandboxStillRunningError);

  const { latencyMs, ...ping } = await sandbox.ping();
  assert.deepEqual(ping, { name });
  assert.ok(latencyMs > 0, `${latencyMs} ms`);
  const first = (await sandbox.touch()).activitySeq;
  const second = await handle.touch();
  assert.ok(second.activitySeq > first);

  await using connected = await handle.connect();
  assert.equal(connected.ownsLifecycle, false);
  assert.equal((await connected.exec("echo", ["hi"])).stdout(), "hi\n");
  await connected[Symbol.asyncDispose]();
  assert.equal(await status(), "running");
  assert.equal((await sandbox.waitForStatus("running")).status, "running");
  assert.deepEqual(
    new Set((await processesOf(home, name)).map(({ kind }) => kind)),
    new Set(["supervisor", "qemu"]),
  );
});

test("draining: what runs ends by itself, nothing new begins, then it stops", { timeout }, async () => {
  const handle = await Sandbox.get(name);
  const connected = await handle.connect();
  const ended = connected.wait();
  const running = await sandbox.execStreamWith("sh", (options) =>
    options.args(["-c", "read line; echo got $line"]).stdinPipe(),
  );
  // What a command has left in the background is not waited for, although it holds the command's output.
  await sandbox.shell("trap '' TERM; sleep 1000 &");
  await sandbox.drain();
  assert.equal(await status(), "draining");
  await assert.rejects(
    sandbox.exec("true"),
    (error) => error instanceof RuntimeError && /draining/.test(error.message),
  );
  await refusesStartAndRemoval(handle);
  await sandbox.drain();
  const late = await handle.connect();
  assert.equal((await late.ping()).name, name);
  await assert.rejects(late.shell("true"), RuntimeError);
  assert.equal(await status(), "draining");

  await running.takeStdin()?.write("the rest\n");
  const output = await running.collect();
  assert.equal(output.stdout(), "got the rest\n");
  assert.equal(output.code, 0);
  assert.deepEqual(await ended, { code: 0, success: true });
  const result = await sandbox.waitUntilStopped();
  assert.equal(result.status, "stopped");
  assert.match(result.source ?? "", /last command ended/);
});

test("stopped", { timeout }, async () => {
  assert.equal(await status(), "stopped");
  await processesGone(home, name);
  await refusesUse(sandbox);
  assert.deepEqual(await sandbox.wait(), { code: 0, success: true });
  assert.deepEqual(await sandbox.stopAndWait(), { code: 0, success: true });
  assert.equal((await sandbox.waitForStatus("stopped")).name, name);
  await assert.rejects(
    Sandbox.create({ name, image: "localhost/base" }),
    (error) => error instanceof SandboxAlreadyExistsError && error.hint.includes("msb start"),
  );
  const markers = (await sandbox.logs({ sources: ["system"] })).map((entry) => entry.text());
  assert.ok(markers.includes("--- sandbox started ---\n"), markers.join(""));
  assert.ok(markers.includes("--- sandbox stopped ---\n"), markers.join(""));
});

test("started again, then killed: stopped, not crashed", { timeout }, async () => {
  const before = sandbox;
  sandbox = await Sandbox.start(name);
  assert.equal(sandbox.id, before.id);
  assert.equal(sandbox.ownsLifecycle, true);
  // The object from the run before is one of the same sandbox.
  assert.equal((await before.exec("echo", ["again"])).stdout(), "again\n");
  const elsewhere = (await Sandbox.get(name)).waitUntilStopped();
  const running = await before.execStream("sleep", ["1000"]);
  const begun = Date.now();
  await sandbox.kill();
  assert.equal(await status(), "stopped");
  await assert.rejects(running.wait(), RuntimeError);
  const result = await elsewhere;
  assert.deepEqual(
    { ...result, observedAt: null },
    { name, status: "stopped", exitCode: null, signal: "SIGKILL", observedAt: null, source: "it was killed" },
  );
  assert.ok(result.observedAt.getTime() >= begun - 1);
  assert.deepEqual(await sandbox.wait(), { code: 137, success: false });
  await processesGone(home, name);
});

test("crashed: a kernel panic", { timeout }, async () => {
  sandbox = await (await Sandbox.get(name)).startDetached();
  assert.equal(sandbox.ownsLifecycle, false);
  const panic = sandbox.shell("echo c > /proc/sysrq-trigger; sleep 100");
  await assert.rejects(
    panic,
    (error) => error instanceof RuntimeError || error instanceof SandboxNotRunningError,
  );
  const result = await sandbox.waitUntilStopped();
  assert.equal(result.status, "crashed");
  assert.match(result.source ?? "", /sysrq triggered crash/);
  assert.equal((await Sandbox.list()).find((handle) => handle.name === name)?.status, "crashed");
  assert.equal((await sandbox.waitForStatus("crashed")).status, "crashed");
  assert.equal((await sandbox.wait()).success, false);
  await processesGone(home, name);
  await refusesUse(sandbox);
  const kernelLog = await sandbox.logs({ sources: ["system"] });
  assert.ok(kernelLog.some((entry) => entry.text().includes("Kernel panic")));
});

test("restart, from crashed and from running", { timeout }, async () => {
  sandbox = await sandbox.restart();
  assert.equal(sandbox.ownsLifecycle, true);
  await sandbox.exec("sh", ["-c", "echo kept > /root/file"]);
  const before = (await sandbox.exec("cat", ["/proc/sys/kernel/random/boot_id"])).stdout();
  sandbox = await (await Sandbox.get(name)).restart({ detached: true });
  assert.equal(sandbox.ownsLifecycle, false);
  assert.equal((await sandbox.exec("cat", ["/root/file"])).stdout(), "kept\n");
  assert.notEqual((await sandbox.exec("cat", ["/proc/sys/kernel/random/boot_id"])).stdout(), before);
});

test("destroyed, and its name given to another", { timeout }, async () => {
  const old = await Sandbox.get(name);
  await assert.rejects(sandbox.removePersisted(), SandboxStillRunningError);
  await old.destroy({ force: true });
  await processesGone(home, name);
  await assert.rejects(Sandbox.get(name), SandboxNotFoundError);
  await assert.rejects(Sandbox.remove(name), SandboxNotFoundError);
  await assert.rejects(Sandbox.start(name), SandboxNotFoundError);
  await assert.rejects(old.start(), SandboxNotFoundError);
  await assert.rejects(sandbox.exec("true"), SandboxNotFoundError);
  await assert.rejects(sandbox.logs(), SandboxNotFoundError);
  await assert.rejects(sandbox.waitForStatus("running"), SandboxNotFoundError);
  await old.stop();

  const replaced = sandbox;
  sandbox = await Sandbox.builder(name).image("localhost/base").memory(smallMemory).create();
  assert.notEqual(sandbox.id, replaced.id);
  for (const use of [
    () => old.refresh(),
    () => old.connect(),
    () => old.start(),
    () => old.remove(),
    () => old.stop(),
    () => old.kill(),
    () => old.restart(),
    () => old.destroy(),
    () => old.ping(),
    () => old.waitForStatus("running"),
    () => old.waitUntilStopped(),
    () => replaced.exec("true"),
    () => replaced.waitForStatus("stopped"),
  ]) {
    await assert.rejects(use(), SandboxReplacedError, use.toString());
  }
  assert.equal(await status(), "running");
  await sandbox.stop();
  await sandbox.removePersisted();
  assert.deepEqual([...(await Sandbox.list())], []);
});
