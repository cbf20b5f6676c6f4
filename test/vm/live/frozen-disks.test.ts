import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { holdDisk } from "../../../src/api/snapshots/hold-disk.ts";
import { SupervisorConnection } from "../../../src/api/control/connection.ts";
import {
  RuntimeError,
  Sandbox,
  SandboxNotRunningError,
  Snapshot,
  type ExecHandle,
} from "../../../src/index.ts";
import { locateHome, socketPath } from "../../../src/store/home.ts";
import type { HeldDisk } from "../../../src/store/snapshots/held-disk.ts";
import { processesOf, runProgram, smallMemory, timeout, withEnvironment } from "../lifecycle-support.ts";
import { eventually, printed, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running", "disks"];

// What can go wrong while a guest's disk is frozen.
const home = useTemporaryHome();
const run = promisify(execFile);
const never = new AbortController().signal;

function create(name: string): Promise<Sandbox> {
  return Sandbox.builder(name).image("localhost/base").memory(smallMemory).rootDisk(64).create();
}

/** Has its disk held, as whoever copies it does. */
async function held(t: TestContext, { id }: Sandbox, flush: "auto" | "skip" = "auto"): Promise<HeldDisk> {
  const connection = await SupervisorConnection.connect(socketPath(locateHome(), id), id, 10_000);
  t.after(() => connection.close());
  return await holdDisk(connection, flush, never);
}

/** The reason for which a disk is not held any more. */
function lost({ signal }: HeldDisk): Promise<unknown> {
  return eventually("the end of the hold", () =>
    Promise.resolve(signal.aborted ? (signal.reason as unknown) : null),
  );
}

/** A program of the guest that waits for a sign to do something: commands that are asked for later wait for the disk. */
class Ready {
  readonly #sandbox: Sandbox;
  readonly #handle: ExecHandle;
  readonly #sign: string;
  #output = "";

  static async make(sandbox: Sandbox, what: string): Promise<Ready> {
    const sign = `/dev/shm/${randomUUID()}`;
    const script = `until [ -e ${sign} ]; do sleep 0.02; done; ${what}`;
    return new Ready(sandbox, await sandbox.execStream("sh", ["-c", script]), sign);
  }

  constructor(sandbox: Sandbox, handle: ExecHandle, sign: string) {
    [this.#sandbox, this.#handle, this.#sign] = [sandbox, handle, sign];
  }

  async begin(): Promise<void> {
    await this.#sandbox.fs().write(this.#sign, "");
  }

  /** Resolves when it has said this. */
  async said(word: string): Promise<void> {
    while (!this.#output.includes(word)) {
      const event = await this.#handle.recv();
      if (event === null) throw new Error(`it has ended without ${word}: ${this.#output}`);
      if (event.kind === "stdout" || event.kind === "stderr")
        this.#output += Buffer.from(event.data).toString();
    }
  }
}

/** Whether something is written to its disk. */
function writer(sandbox: Sandbox): Promise<Ready> {
  return Ready.make(sandbox, "echo begins; echo x >> /root/file; echo wrote");
}

async function writes(sandbox: Sandbox): Promise<void> {
  const ready = await writer(sandbox);
  await ready.begin();
  await ready.said("wrote");
}

/** What a writer says that has begun. */
async function begun(ready: Ready): Promise<readonly [Promise<void>]> {
  await ready.begin();
  await ready.said("begins");
  const wrote = ready.said("wrote");
  wrote.catch(() => undefined);
  // In a list: nobody who waits for this waits for that.
  return [wrote];
}

async function requireWaits(sandbox: Sandbox, wrote: Promise<void>): Promise<void> {
  let isDone = false;
  void wrote.then(
    () => (isDone = true),
    () => undefined,
  );
  // Its agent answers, other programs run, and files are read.
  for (let round = 0; round < 5; round++) {
    await sandbox.ping();
    const other = await sandbox.fs().readToString("/proc/uptime");
    await sandbox.fs().write("/dev/shm/other", other);
    await sandbox.fs().stat("/root");
    await sandbox.metrics();
  }
  assert.equal(isDone, false, "it was written to");
}

/** Gives the guest's root a path to the file system that is frozen. */
async function mountUpper(sandbox: Sandbox): Promise<void> {
  const mounted = await sandbox.shell(`
    mkdir -p /mnt/upper
    for disk in /sys/block/vd*; do
      [ "$(cat $disk/serial)" = upper ] && mount -t ext4 /dev/\${disk##*/} /mnt/upper && exit 0
    done
    exit 1`);
  assert.equal(mounted.code, 0, mounted.stderr());
}

function nothingIsLeft(name: string): void {
  const found = readdirSync(join(home, "snapshots")).filter((entry) => entry.includes(name));
  assert.deepEqual(found, []);
}

test("writers wait, all else goes on; when the copier is killed, they go on too", { timeout }, async (t) => {
  await using sandbox = await create("copier");
  const url = (path: string): string => JSON.stringify(pathToFileURL(join(import.meta.dirname, path)).href);
  const ready = await writer(sandbox);
  const copier = runProgram(
    t,
    `const { SupervisorConnection } = await import(${url("../../../src/api/control/connection.ts")});
     const { holdDisk } = await import(${url("../../../src/api/snapshots/hold-disk.ts")});
     const connection = await SupervisorConnection.connect(${JSON.stringify(socketPath(locateHome(), sandbox.id))}, "${sandbox.id}", 10000);
     await holdDisk(connection, "auto", new AbortController().signal);
     say("held");
     setInterval(() => {}, 1000);`,
  );
  assert.equal(await copier.line(), "held");
  const [wrote] = await begun(ready);
  await requireWaits(sandbox, wrote);
  copier.kill();
  await wrote;
  // Nothing of it is in the way of the next one.
  const again = await held(t, sandbox);
  await again.release();
  await writes(sandbox);
});

test(
  "a command that is asked for meanwhile starts later, and its agent goes on answering",
  { timeout },
  async (t) => {
    const sandbox = await withEnvironment({ MSB_DISK_FREEZE_MS: "20000" }, () => create("asks"));
    await sandbox.shell("mkdir -p /srv/below; sync");
    // Who makes something in a directory keeps it from those who look for names in there, while he waits for the disk.
    const makes = await Ready.make(sandbox, "echo begins; echo x > /srv/file; echo wrote");
    await sandbox.shell("echo 3 > /proc/sys/vm/drop_caches");
    const disk = await held(t, sandbox);
    const [wrote] = await begun(makes);
    const command = sandbox.execStreamWith("cat", (exec) => exec.cwd("/srv/below").stdinBytes("given\n"));
    const leaving = new AbortController();
    const nobody = sandbox.exec("sh", ["-c", "echo never > /root/never"], { signal: leaving.signal });
    nobody.catch(() => undefined);
    await requireWaits(sandbox, wrote);
    leaving.abort();
    await assert.rejects(nobody);
    await disk.release();
    const ended = await (await command).collect();
    assert.deepEqual([ended.code, ended.stdout()], [0, "given\n"]);
    await wrote;
    assert.equal((await sandbox.shell("test -e /root/never")).code, 1);
    await sandbox.stop();
  },
);

test("one after another; whoever pauses it waits", { timeout }, async (t) => {
  await using sandbox = await create("turns");
  const first = await held(t, sandbox);
  const second = held(t, sandbox, "skip");
  const paused = sandbox.pause();
  let isPaused = false;
  void paused.then(() => (isPaused = true));
  await sandbox.ping();
  assert.equal((await Sandbox.get("turns")).status, "running");
  await first.release();
  const halted = await second;
  assert.equal(isPaused, false);
  await halted.release();
  await paused;
  const third = await held(t, sandbox);
  const resumed = sandbox.resume();
  assert.equal((await Sandbox.get("turns")).status, "paused");
  await third.release();
  await resumed;
  await writes(sandbox);
});

for (const [how, end] of [
  ["stopped", (sandbox: Sandbox) => sandbox.stop()],
  ["stopped from inside", (_sandbox: Sandbox, ready: Ready) => ready.begin()],
  ["killed", (sandbox: Sandbox) => sandbox.kill()],
] as const) {
  test(`a sandbox that is ${how} meanwhile ends, and its disk is held no more`, { timeout }, async (t) => {
    const sandbox = await create("ends");
    const [ready, off] = [await writer(sandbox), await Ready.make(sandbox, "poweroff")];
    const disk = await held(t, sandbox);
    const [wrote] = await begun(ready);
    await end(sandbox, off);
    const reason = await lost(disk);
    assert.ok(reason instanceof SandboxNotRunningError || reason instanceof RuntimeError, String(reason));
    await assert.rejects(disk.release());
    await sandbox.waitUntilStopped();
    assert.equal((await Sandbox.get("ends")).status, "stopped");
    await wrote.catch(() => undefined);
    await Sandbox.remove("ends");
  });
}

test("its supervisor is killed meanwhile: no snapshot", { timeout }, async (t) => {
  const sandbox = await create("orphan");
  const disk = await held(t, sandbox);
  const waits = Snapshot.builder("of-orphan").fromSandbox("orphan").create();
  waits.catch(() => undefined);
  for (const { pid, kind } of await processesOf(home, "orphan"))
    if (kind === "supervisor") process.kill(pid, "SIGKILL");
  await lost(disk);
  await assert.rejects(waits, RuntimeError);
  nothingIsLeft("of-orphan");
  assert.equal((await Sandbox.get("orphan")).status, "crashed");
  await Snapshot.builder("of-orphan").fromSandbox("orphan").create();
});

test("a copy that takes too long is given up, and the guest goes on by itself", { timeout }, async (t) => {
  const sandbox = await withEnvironment({ MSB_DISK_FREEZE_MS: "300" }, () => create("late"));
  const ready = await writer(sandbox);
  const disk = await held(t, sandbox);
  const [wrote] = await begun(ready);
  const reason = await lost(disk);
  assert.match(String(reason), /longer than the 0.3 s/);
  await wrote;
  await assert.rejects(disk.release());
  await sandbox.stop();
});

test("a guest that thaws its disk itself gets no snapshot of it", { timeout }, async (t) => {
  await using sandbox = await create("thaws");
  await mountUpper(sandbox);
  const thaw = await Ready.make(sandbox, "fsfreeze --unfreeze /mnt/upper && echo thawed");
  const thawed = await held(t, sandbox);
  await thaw.begin();
  await thaw.said("thawed");
  await assert.rejects(thawed.release(), /did not stay frozen|has written to its disk/);
  // One that hides it: the host counts what was written.
  const hide = await Ready.make(
    sandbox,
    "fsfreeze --unfreeze /mnt/upper && echo y > /root/y && sync && fsfreeze --freeze /mnt/upper && echo hidden",
  );
  const hidden = await held(t, sandbox);
  await hide.begin();
  await hide.said("hidden");
  await assert.rejects(hidden.release(), /has written to its disk/);
  // It was frozen by the guest, and is the guest's to thaw; or it has been thawed with what was held.
  await sandbox.shell("fsfreeze --unfreeze /mnt/upper || true");
  await writes(sandbox);
  const loop = await sandbox.execStream("sh", [
    "-c",
    "echo begins; n=0; while :; do fsfreeze --unfreeze /mnt/upper; n=$((n+1)); echo $n > /root/n; done 2>/dev/null",
  ]);
  await printed(loop);
  for (let round = 0; round < 5; round++) {
    const taken = await Snapshot.builder("of-thaws")
      .fromSandbox("thaws")
      .force()
      .create()
      .catch((error: unknown) => error);
    if (taken instanceof Snapshot) await run("e2fsck", ["-fn", join(taken.path, "upper.ext4")]);
    else assert.ok(taken instanceof RuntimeError, String(taken));
  }
  await loop.kill();
});

test("a guest that has frozen its disk itself is told so, and can be held", { timeout }, async () => {
  await using sandbox = await create("frozen");
  await mountUpper(sandbox);
  await sandbox.shell("sync; fsfreeze --freeze /mnt/upper");
  const take = (): ReturnType<typeof Snapshot.builder> => Snapshot.builder("of-frozen").fromSandbox("frozen");
  await assert.rejects(take().create(), (error) => {
    assert.ok(error instanceof RuntimeError);
    assert.match(error.message, /cannot freeze its disk/);
    assert.match(error.hint, /thaw/);
    return true;
  });
  nothingIsLeft("of-frozen");
  await take().guestFlush("skip").create();
  // It is the guest's own.
  assert.equal((await sandbox.shell("fsfreeze --unfreeze /mnt/upper")).code, 0);
  await take().force().create();
});
