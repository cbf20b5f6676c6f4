import assert from "node:assert/strict";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Sandbox, SandboxNotFoundError } from "../../../src/index.ts";
import { processesGone, processOf, smallMemory, timeout } from "../lifecycle-support.ts";
import { assertClean } from "../images/root-support.ts";
import { printed, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { runtimeLog } from "../templates/template-support.ts";

export const needs: Needs = ["running", "disks"];

// The ways in which a sandbox ends, and what is kept.
const home = useTemporaryHome();
const name = "ending";
let sandbox: Sandbox;

test("a stop keeps what was written and not synced", { timeout }, async () => {
  sandbox = await Sandbox.builder(name).image("localhost/base").memory(smallMemory).logLevel("info").create();
  await sandbox.shell(
    "dd if=/dev/urandom of=/root/data bs=1M count=8 2>/dev/null; md5sum /root/data > /root/sum",
  );
  assert.deepEqual(await sandbox.stopAndWait(), { code: 0, success: true });
  await assertClean(join(home, "sandboxes", name, "upper.img"));
  sandbox = await Sandbox.start(name);
  const check = await sandbox.shell("md5sum -c /root/sum");
  assert.equal(check.stdout(), "/root/data: OK\n", check.stderr());
  assert.equal((await sandbox.shell("ls /tmp; dmesg | grep -i 'ext4.*error'")).stdout(), "");
});

test("QEMU is told to quit when the guest has nothing left to write", { timeout }, async () => {
  const quit = /stopped: .*QEMU quit, as the supervisor told it to/;
  // A guest that powers off faster than it can be told is as well, but hardly each time.
  for (let tries = 1; !quit.test(await runtimeLog(home, name)) && tries < 5; tries++) {
    await sandbox.stop();
    sandbox = await Sandbox.start(name);
  }
  assert.match(await runtimeLog(home, name), quit);
});

test("a slow end is waited for within the grace", { timeout }, async () => {
  const slow = await sandbox.execStream("sh", [
    "-c",
    "trap 'sleep 3; echo cleaned; echo cleaned > /root/cleaned; exit 5' TERM; echo ready; while :; do sleep 0.1; done",
  ]);
  await printed(slow);
  // 0: the machine was switched off, and not killed at the end of the grace.
  const [output, status] = await Promise.all([slow.collect(), sandbox.stopAndWait()]);
  assert.deepEqual(status, { code: 0, success: true });
  assert.equal(output.stdout(), "cleaned\n");
  assert.equal(output.code, 5);
  sandbox = await Sandbox.start(name);
  assert.equal((await sandbox.exec("cat", ["/root/cleaned"])).stdout(), "cleaned\n");
});

test("what ignores SIGTERM is killed, and the files are flushed all the same", { timeout }, async () => {
  const stubborn = await sandbox.execStream("sh", [
    "-c",
    "trap '' TERM; echo kept > /root/stubborn; echo ready; while :; do sleep 1; done",
  ]);
  assert.equal((await stubborn.recv())?.kind, "started");
  assert.equal((await stubborn.recv())?.kind, "stdout");
  const begun = performance.now();
  await sandbox.stopWithTimeout(5000);
  const took = performance.now() - begun;
  assert.ok(took > 1500, `${took} ms`);
  const result = await sandbox.waitUntilStopped();
  assert.deepEqual([result.status, result.exitCode, result.signal], ["stopped", 0, null]);
  sandbox = await Sandbox.start(name);
  assert.equal((await sandbox.exec("cat", ["/root/stubborn"])).stdout(), "kept\n");
});

test(
  "the stop signal comes first, then SIGTERM for whom it did not end, then SIGKILL",
  { timeout },
  async () => {
    await sandbox.destroy();
    sandbox = await Sandbox.create({
      name,
      image: "localhost/base",
      memoryMib: smallMemory,
      stopSignal: "SIGINT",
    });
    const start = async (file: string, traps: string): Promise<void> => {
      const script = `${traps}; echo ready; while :; do sleep 0.1; done`;
      const exec = await sandbox.execStream("sh", ["-c", script.replaceAll("FILE", file)]);
      assert.equal((await exec.recv())?.kind, "started");
      assert.equal((await exec.recv())?.kind, "stdout");
    };
    // What they got and when, in hundredths of a second since boot.
    const note = (signal: string): string =>
      `trap 'echo ${signal} $(cut -d" " -f1 /proc/uptime | tr -d .) >> FILE; exit' ${signal}`;
    await start("/root/graceful", `${note("INT")}; ${note("TERM")}`);
    await start("/root/background", `trap '' INT; ${note("TERM")}`);
    await start("/root/stubborn", "trap '' INT TERM");
    assert.deepEqual(await sandbox.stopAndWait(), { code: 0, success: true });
    sandbox = await Sandbox.start(name);
    const read = async (file: string): Promise<string[]> =>
      (await sandbox.exec("cat", [file])).stdout().trim().split(/\s+/);
    const [first, intAt] = await read("/root/graceful");
    const [second, termAt, ...more] = await read("/root/background");
    assert.deepEqual([first, second, more], ["INT", "TERM", []]);
    // Half of the 8 s that programs have, less what a busy guest takes until it writes down the first.
    assert.ok(Number(termAt) - Number(intAt) > 200, `${intAt}, ${termAt}`);
  },
);

test("no grace: killed at once", { timeout }, async () => {
  await sandbox.stopWithTimeout(0);
  // In order, it would have ended without a signal.
  const result = await sandbox.waitUntilStopped();
  assert.equal(result.status, "stopped");
  assert.equal(result.signal, "SIGKILL");
  await processesGone(home, name);
});

test("a QEMU that hangs is killed when the grace is over", { timeout }, async () => {
  sandbox = await Sandbox.start(name);
  process.kill(await processOf(home, name, "qemu"), "SIGSTOP");
  const begun = performance.now();
  await sandbox.stopWithTimeout(1000);
  const took = performance.now() - begun;
  assert.ok(took > 900, `${took} ms`);
  // Had the supervisor taken much longer, it would have been killed too, and the sandbox would be a crashed one.
  assert.equal((await sandbox.waitUntilStopped()).status, "stopped");
  await processesGone(home, name);
});

test("a supervisor that hangs is killed too", { timeout }, async () => {
  sandbox = await Sandbox.start(name);
  process.kill(await processOf(home, name, "supervisor"), "SIGSTOP");
  await sandbox.killWithTimeout(1000);
  await processesGone(home, name);
  // Nobody was left to write down how it ended.
  assert.equal((await Sandbox.get(name)).status, "crashed");
});

test("the guest powers itself off: stopped", { timeout }, async () => {
  sandbox = await Sandbox.start(name);
  await sandbox.execStream("poweroff", ["-f"]);
  const result = await sandbox.waitUntilStopped();
  assert.equal(result.status, "stopped");
  assert.equal(result.exitCode, 0);
  assert.match(result.source ?? "", /powered off/);
  assert.equal((await Sandbox.get(name)).status, "stopped");
});

test("the guest reboots: stopped, as a sandbox starts only when it is told to", { timeout }, async () => {
  sandbox = await Sandbox.start(name);
  await sandbox.execStream("reboot", ["-f"]);
  const result = await sandbox.waitUntilStopped();
  assert.equal(result.status, "stopped");
  assert.match(result.source ?? "", /rebooted/);
});

test("drain with nothing to wait for stops at once", { timeout }, async () => {
  sandbox = await Sandbox.start(name);
  await sandbox.drain();
  assert.equal((await sandbox.waitUntilStopped()).status, "stopped");
  await processesGone(home, name);
  await sandbox.removePersisted();
});

test("an ephemeral sandbox leaves nothing, and those who wait are told", { timeout }, async () => {
  const build = (): Promise<Sandbox> =>
    Sandbox.builder("brief").image("localhost/base").memory(smallMemory).ephemeral().create();
  const gone = async (): Promise<void> => {
    await processesGone(home, "brief");
    await assert.rejects(Sandbox.get("brief"), SandboxNotFoundError);
    await assert.rejects(access(join(home, "sandboxes", "brief")), { code: "ENOENT" });
  };
  const stopped = await build();
  const elsewhere = (await Sandbox.get("brief")).waitUntilStopped();
  assert.deepEqual(await stopped.stopAndWait(), { code: 0, success: true });
  assert.equal((await elsewhere).status, "stopped");
  await gone();
  await stopped.stop();

  const crashed = await build();
  const ended = crashed.waitUntilStopped();
  // The question is with the supervisor before the end: of a sandbox that is gone nobody knows any more how it ended.
  await (await Sandbox.get("brief")).ping();
  await crashed.execStream("sh", ["-c", "echo c > /proc/sysrq-trigger"]).catch(() => undefined);
  assert.equal((await ended).status, "crashed");
  await gone();
});

test("a second stop gets the first one's answer, whatever its grace", { timeout }, async () => {
  const twice = await Sandbox.builder("stopped-twice")
    .image("localhost/base")
    .memory(smallMemory)
    .replace()
    .create();
  const [first, second] = await Promise.all([twice.stopAndWait(), twice.stopAndWait()]);
  assert.deepEqual(first, { code: 0, success: true });
  assert.deepEqual(second, first);
  const again = await Sandbox.start("stopped-twice");
  const handle = await Sandbox.get("stopped-twice");
  const ends = Promise.all([again.wait(), handle.waitUntilStopped()]);
  await Promise.all([again.stop(), handle.stopWithTimeout(20_000)]);
  const [exit, result] = await ends;
  assert.deepEqual([exit.code, result.status], [0, "stopped"]);
  await handle.remove();
});
