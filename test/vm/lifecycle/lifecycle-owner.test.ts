import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Sandbox } from "../../../src/index.ts";
import { msbProgram } from "../cli/cli-support.ts";
import {
  builderSource,
  processesGone,
  processesOf,
  processOf,
  runProgram,
  smallMemory,
  timeout,
} from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots"];

// Who owns a sandbox, who may use it, and what the death of each process does.
const home = useTemporaryHome();

test("an owner that is killed takes its sandbox with it", { timeout }, async (t) => {
  const owner = runProgram(
    t,
    `const sandbox = await ${builderSource("owned")}.create();
     await sandbox.shell("echo written > /root/file");
     say("up");
     await sandbox.exec("sleep", ["1000"]);`,
  );
  assert.equal(await owner.line(), "up");
  const handle = await Sandbox.get("owned");
  const ended = handle.waitUntilStopped();
  const connected = await handle.connect();
  const used = await connected.execStream("sleep", ["1000"]);
  owner.kill();
  const result = await ended;
  assert.equal(result.status, "stopped");
  assert.match(result.source ?? "", /owned it ended/);
  // The guest is stopped in order, so the command's real end is told.
  assert.equal((await used.wait()).code, 128 + 15);
  await processesGone(home, "owned");
  assert.equal((await Sandbox.get("owned")).status, "stopped");
});

test("an owner that ends without a word takes its sandbox with it, in order", { timeout }, async (t) => {
  // A sandbox that nobody waits for does not keep its program alive, used or not.
  const owner = runProgram(
    t,
    `const sandbox = await Sandbox.start("owned");
     say((await sandbox.shell("cat /root/file; echo unsynced > /root/late")).stdout());`,
  );
  assert.equal(await owner.line(), "written");
  const { code, stderr } = await owner.ended;
  assert.equal(code, 0, stderr);
  const handle = await Sandbox.get("owned");
  assert.equal((await handle.waitUntilStopped()).status, "stopped");
  await processesGone(home, "owned");
});

test("a sandbox that was given up goes on, and any number of programs use it", { timeout }, async (t) => {
  const owner = runProgram(
    t,
    `const sandbox = await Sandbox.start("owned");
     await sandbox.detach();
     await sandbox.detach();
     say({ owns: sandbox.ownsLifecycle, late: (await sandbox.shell("cat /root/late")).stdout() });`,
  );
  assert.deepEqual(JSON.parse(await owner.line()), { owns: false, late: "unsynced\n" });
  assert.equal((await owner.ended).code, 0);

  const users = [1, 2, 3].map((n) =>
    runProgram(
      t,
      `await using sandbox = await (await Sandbox.get("owned")).connect();
       const outputs = await Promise.all([1, 2, 3].map((m) => sandbox.shell("echo ${n} " + m)));
       say(outputs.map((output) => output.stdout()));
       await sandbox.ping();`,
    ),
  );
  for (const [index, user] of users.entries()) {
    const n = index + 1;
    assert.deepEqual(JSON.parse(await user.line()), [`${n} 1\n`, `${n} 2\n`, `${n} 3\n`]);
    assert.equal((await user.ended).code, 0);
  }
  assert.equal((await Sandbox.get("owned")).status, "running");
});

test("a user that is killed takes its commands with it, not the sandbox", { timeout }, async (t) => {
  const user = runProgram(
    t,
    `const sandbox = await (await Sandbox.get("owned")).connect();
     const handle = await sandbox.execStream("sleep", ["4321"]);
     say("up");
     await handle.wait();`,
  );
  assert.equal(await user.line(), "up");
  const sandbox = await (await Sandbox.get("owned")).connect();
  const count = async (): Promise<string> =>
    (await sandbox.shell("ps | grep -c '[s]leep 4321'")).stdout().trim();
  assert.equal(await count(), "1");
  user.kill();
  await eventually("the command to end", async () => ((await count()) === "0" ? true : null));
});

test("a supervisor that is killed leaves nothing, and the sandbox has crashed", { timeout }, async () => {
  const sandbox = await (await Sandbox.get("owned")).connect();
  await sandbox.shell("echo safe > /root/safe; sync");
  const waiting = sandbox.waitUntilStopped();
  process.kill(await processOf(home, "owned", "supervisor"), "SIGKILL");
  await processesGone(home, "owned");
  const listed = (await Sandbox.list()).find(({ name }) => name === "owned");
  assert.equal(listed?.status, "crashed");
  assert.equal((await waiting).status, "crashed");

  const again = await Sandbox.startDetached("owned");
  assert.equal((await again.exec("cat", ["/root/safe"])).stdout(), "safe\n");
});

test("a QEMU that is killed: crashed", { timeout }, async () => {
  const sandbox = await (await Sandbox.get("owned")).connect();
  process.kill(await processOf(home, "owned", "qemu"), "SIGKILL");
  const result = await sandbox.waitUntilStopped();
  assert.equal(result.status, "crashed");
  assert.equal(result.signal, "SIGKILL");
  assert.deepEqual(await sandbox.wait(), { code: 137, success: false });
  await processesGone(home, "owned");
  assert.equal((await Sandbox.get("owned")).status, "crashed");
});

test("two programs start the same sandbox: one does", { timeout }, async (t) => {
  const source = `
    await Sandbox.startDetached("owned").then(() => say("started"), (error) => say(error.name));`;
  const lines = await Promise.all([runProgram(t, source), runProgram(t, source)].map((one) => one.line()));
  assert.deepEqual(lines.sort(), ["SandboxStillRunningError", "started"]);
  const sandbox = await (await Sandbox.get("owned")).connect();
  assert.equal((await sandbox.exec("echo", ["hi"])).stdout(), "hi\n");
  await sandbox.stop();
});

test("removal while it starts is refused, and a stop while it starts works", { timeout }, async (t) => {
  const starter = runProgram(
    t,
    `await Sandbox.startDetached("owned", { onProgress: ({ stage }) => say(stage) })
       .then(() => say("started"), (error) => say(error.name + ": " + error.message));
     say("end");`,
  );
  await starter.line();
  await assert.rejects(Sandbox.remove("owned"), { name: "SandboxStillRunningError" });
  const handle = await Sandbox.get("owned");
  assert.equal(handle.status, "starting");
  await assert.rejects(handle.connect(), { name: "SandboxNotRunningError" });
  await handle.stop();
  assert.equal((await handle.refresh()).status, "stopped");
  let line = "";
  for (let next = await starter.line(); next !== "end"; next = await starter.line()) line = next;
  assert.match(line, /was stopped while it started/);
  assert.equal((await starter.ended).code, 0);
  await processesGone(home, "owned");
  await handle.remove();
});

test("two programs create the same name: one does", { timeout }, async (t) => {
  const source = `
    await ${builderSource("twice")}.createDetached().then(() => say("created"), (error) => say(error.name));`;
  const lines = await Promise.all([runProgram(t, source), runProgram(t, source)].map((one) => one.line()));
  assert.deepEqual(lines.sort(), ["SandboxAlreadyExistsError", "created"]);
  const sandbox = await (await Sandbox.get("twice")).connect();
  assert.equal((await sandbox.exec("echo", ["hi"])).stdout(), "hi\n");
  await sandbox.destroy();
});

test("programs that connect or create at once all get it", { timeout }, async (t) => {
  const source = `
    const sandbox = await ${builderSource("shared")}.detached(true).connectOrCreate();
    say({ id: sandbox.id, output: (await sandbox.exec("echo", ["hi"])).stdout() });`;
  const both = async (): Promise<unknown[]> => {
    const programs = [1, 2, 3].map(() => runProgram(t, source));
    return await Promise.all(programs.map(async (one) => JSON.parse(await one.line()) as unknown));
  };
  const [first, ...others] = await both();
  for (const other of others) assert.deepEqual(other, first);
  const handle = await Sandbox.get("shared");
  await handle.stop();
  // Stopped, it is started by whoever comes first.
  const again = await both();
  for (const other of again) assert.deepEqual(other, first);
  assert.equal((await processesOf(home, "shared")).length, 2);
  await handle.destroy({ force: true });
});

test("await using ends what it owns, whatever happens inside", { timeout }, async () => {
  await assert.rejects(async () => {
    await using sandbox = await Sandbox.create({
      name: "scoped",
      image: "localhost/base",
      memoryMib: smallMemory,
    });
    await sandbox.shell("echo scoped > /root/file");
    throw new Error("inside");
  }, /inside/);
  const handle = await Sandbox.get("scoped");
  assert.equal(handle.status, "stopped");
  {
    await using sandbox = await handle.connectOrStart({ detached: true });
    assert.equal((await sandbox.exec("cat", ["/root/file"])).stdout(), "scoped\n");
  }
  assert.equal((await handle.refresh()).status, "running");
  await handle.destroy();
  await processesGone(home);
});

test("a detached sandbox keeps nothing open of the script that made it", { timeout }, async () => {
  const lock = join(home, "lock-of-a-script");
  // What flock(1) shows in its manual; Node marks only the low ones as not to be inherited.
  const script = 'exec 200> "$1"; shift; exec "$@"';
  const create = [
    msbProgram,
    "create",
    "--name",
    "scripted",
    "--memory",
    `${smallMemory}M`,
    "localhost/base",
  ];
  await promisify(execFile)("bash", ["-c", script, "script", lock, process.execPath, ...create]);
  for (const { pid, kind } of await processesOf(home, "scripted")) {
    const directory = `/proc/${pid}/fd`;
    const files = await Promise.all(
      (await readdir(directory)).map((fd) => readlink(join(directory, fd)).catch(() => "")),
    );
    assert.ok(files.length > 3, kind);
    assert.ok(!files.includes(lock), `${kind}: ${files.join(" ")}`);
  }
  await (await Sandbox.get("scripted")).stop();
  await Sandbox.remove("scripted");
});
