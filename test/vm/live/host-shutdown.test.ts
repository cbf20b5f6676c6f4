import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SupervisorConnection } from "../../../src/api/control/connection.ts";
import { holdDisk } from "../../../src/api/snapshots/hold-disk.ts";
import {
  InvalidConfigError,
  Sandbox,
  SandboxNotRunningError,
  Volume,
  type SandboxBuilder,
} from "../../../src/index.ts";
import { locateHome, socketPath } from "../../../src/store/home.ts";
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

export const needs: Needs = ["running"];

// What a host that shuts down does to a sandbox: SIGTERM to its processes, and SIGKILL to what has not ended some time later.
const home = useTemporaryHome();

const build = (name: string): SandboxBuilder =>
  Sandbox.builder(name).image("localhost/base").memory(smallMemory).onHostShutdown("suspend");

const directoryOf = (name: string): string => join(home, "sandboxes", name);

const leftovers = (name: string): string[] =>
  readdirSync(directoryOf(name)).filter((entry) => entry.includes("suspended"));

/** Every process of the sandbox gets it, QEMU first. */
async function terminateAll(name: string): Promise<void> {
  const found = await processesOf(home, name);
  assert.equal(found.length, 2);
  for (const { pid } of found.toSorted((a, b) => a.kind.localeCompare(b.kind))) signalTo(pid, "SIGTERM");
}

/** Unless it has ended. */
function signalTo(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ESRCH");
  }
}

test("at SIGTERM it is suspended, and its next start goes on", { timeout }, async () => {
  const sandbox = await build("kept").createDetached();
  await sandbox.shell("echo on > /dev/shm/note; sleep 1000 >/dev/null 2>&1 &");
  const pid = (await sandbox.shell("pidof sleep")).stdout();
  await terminateAll("kept");
  const supervisor = (await processesOf(home, "kept")).find(({ kind }) => kind === "supervisor");
  for (let more = 0; more < 10 && supervisor !== undefined; more++) {
    signalTo(supervisor.pid, "SIGTERM");
    await sleep(20);
  }
  await processesGone(home, "kept");
  assert.equal((await Sandbox.get("kept")).status, "suspended");
  const again = await Sandbox.startDetached("kept");
  assert.equal(again.startReport?.route, "continued");
  assert.equal((await again.shell("pidof sleep; cat /dev/shm/note")).stdout(), `${pid}on\n`);
  // Paused it is suspended as well, and whoever only stops it gets that.
  await again.pause();
  process.kill(await processOf(home, "kept", "supervisor"), "SIGTERM");
  await processesGone(home, "kept");
  const once = await Sandbox.startDetached("kept");
  assert.equal((await once.shell("pidof sleep")).stdout(), pid);
  await once.stop();
  assert.equal((await Sandbox.get("kept")).status, "stopped");
  assert.deepEqual(leftovers("kept"), []);
});

test("one that cannot be suspended is stopped in order, and says why", { timeout }, async () => {
  const sandbox = await build("stuck").createDetached();
  await sandbox.shell("echo written > /root/note");
  // What has its place cannot be moved away.
  mkdirSync(join(directoryOf("stuck"), "suspended/in-the-way"), { recursive: true });
  await terminateAll("stuck");
  await processesGone(home, "stuck");
  assert.equal((await Sandbox.get("stuck")).status, "stopped");
  const state = await readFile(join(directoryOf("stuck"), "state.json"), "utf8");
  assert.match(state, /"Signal"[^]*SIGTERM, and it was not suspended: /);
  const log = await readFile(join(directoryOf("stuck"), "logs/runtime.log"), "utf8");
  assert.match(log, /stopped instead of suspended: /);
  const again = await Sandbox.start("stuck");
  assert.equal((await again.shell("cat /root/note")).stdout(), "written\n");
  await again.stop();
});

test("it does not wait for those who copy its disk", { timeout }, async (t) => {
  const { id } = await build("copied").createDetached();
  for (const flush of ["skip", "auto"] as const) {
    const connection = await SupervisorConnection.connect(socketPath(locateHome(), id), id, 10_000);
    t.after(() => connection.close());
    const held = await holdDisk(connection, flush, new AbortController().signal);
    process.kill(await processOf(home, "copied", "supervisor"), "SIGTERM");
    await processesGone(home, "copied");
    assert.ok(held.signal.reason instanceof SandboxNotRunningError, String(held.signal.reason));
    assert.equal((await Sandbox.get("copied")).status, "suspended");
    const again = await Sandbox.startDetached("copied");
    assert.equal((await again.shell("echo on > /root/note; cat /root/note")).stdout(), "on\n");
  }
  await (await Sandbox.get("copied")).kill();
});

test("without the setting every SIGTERM stops it in order", { timeout }, async () => {
  const sandbox = await Sandbox.builder("plain").image("localhost/base").memory(smallMemory).createDetached();
  // Of that only the guest knows until it is told to end.
  await sandbox.shell("echo written > /root/note");
  await terminateAll("plain");
  await processesGone(home, "plain");
  assert.equal((await Sandbox.get("plain")).status, "stopped");
  const again = await Sandbox.start("plain");
  assert.equal((await again.shell("cat /root/note")).stdout(), "written\n");
  await again.stop();
});

test("its owner's end does not undo it", { timeout }, async (t) => {
  const program = runProgram(
    t,
    `const sandbox = await ${builderSource("owned")}.onHostShutdown("suspend").create();
     await sandbox.shell("head -c 20000000 /dev/urandom > /dev/shm/bytes; md5sum /dev/shm/bytes > /dev/shm/sum");
     say("made");
     setInterval(() => undefined, 1000);`,
  );
  assert.equal(await program.line(), "made");
  process.kill(await processOf(home, "owned", "supervisor"), "SIGTERM");
  // Heard in the order in which they were said.
  await eventually("the suspend to begin", () =>
    Promise.resolve(leftovers("owned").length > 0 ? true : null),
  );
  program.kill();
  await processesGone(home, "owned");
  assert.equal((await Sandbox.get("owned")).status, "suspended");
  const again = await Sandbox.startDetached("owned");
  assert.equal((await again.shell("md5sum -c /dev/shm/sum")).code, 0);
  await again.stop();
});

test("the time that the host gives may be over at any moment", { timeout }, async (t) => {
  let sandbox = await build("cut-off").createDetached();
  const seen = new Map<string, number>();
  for (let times = 0; times < 7; times++) {
    await sandbox.shell(`echo ${times} > /root/note; sync; echo ${times} > /dev/shm/note`);
    await terminateAll("cut-off");
    await sleep(times * 70);
    for (const { pid, kind } of await processesOf(home, "cut-off"))
      if (kind === "supervisor") signalTo(pid, "SIGKILL");
    await processesGone(home, "cut-off");
    const { status } = await Sandbox.get("cut-off");
    assert.ok(status === "suspended" || status === "crashed", status);
    sandbox = await Sandbox.startDetached("cut-off");
    const isContinued = sandbox.startReport?.route === "continued";
    assert.ok(isContinued || status === "crashed");
    const what = `${status}, then ${sandbox.startReport?.route ?? ""}`;
    seen.set(what, (seen.get(what) ?? 0) + 1);
    assert.equal((await sandbox.shell("cat /root/note")).stdout(), `${times}\n`);
    if (isContinued) assert.equal((await sandbox.shell("cat /dev/shm/note")).stdout(), `${times}\n`);
  }
  t.diagnostic(JSON.stringify(Object.fromEntries(seen)));
  await sandbox.stop();
  assert.deepEqual(leftovers("cut-off"), []);
});

test("stopped while it starts, it is stopped", { timeout }, async () => {
  const sandbox = await build("early").createDetached();
  await sandbox.suspend();
  const given = new AbortController();
  const starting = Sandbox.start("early", {
    signal: given.signal,
    onProgress: ({ stage }) => {
      if (stage === "continue") given.abort();
    },
  });
  await assert.rejects(starting);
  await processesGone(home, "early");
  await Sandbox.remove("early");
});

test("what never can be suspended is refused before anything is made", { timeout }, async () => {
  await Volume.builder("tree").create();
  const shared = build("early").volume("/data", (m) => m.named("tree"));
  await assert.rejects(shared.create(), (error) => {
    assert.ok(error instanceof InvalidConfigError);
    assert.match(error.message, /cannot be suspended.*\/data/);
    assert.match(error.hint, /onHostShutdown/);
    return true;
  });
  await assert.rejects(Sandbox.get("early"));
});
