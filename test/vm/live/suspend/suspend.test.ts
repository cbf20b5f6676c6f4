import assert from "node:assert/strict";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  IoError,
  RuntimeError,
  Sandbox,
  SandboxNotRunningError,
  UnsupportedOperationError,
} from "../../../../src/index.ts";
import { MsbHome } from "../../cli/cli-support.ts";
import { processesOf, smallMemory, timeout } from "../../lifecycle-support.ts";
import { clockIsRight, eventually, printed, useTemporaryHome } from "../../support.ts";
import type { Needs } from "../../tags.ts";

export const needs: Needs = ["running"];

// A guest whose memory is on the disk while nothing of it runs, and that goes on where it was.
const home = useTemporaryHome();

const statusOf = async (name: string): Promise<string> => (await Sandbox.get(name)).status;

test("programs, memory and files go on where they were", { timeout }, async (t) => {
  let sandbox = await Sandbox.builder("asleep").image("localhost/base").memory(smallMemory).createDetached();
  await sandbox.shell("head -c 6000000 /dev/urandom > /dev/shm/bytes; md5sum /dev/shm/bytes > /dev/shm/sum");
  const counter = await sandbox.execStream("sh", [
    "-c",
    "n=0; while :; do n=$((n + 1)); echo $n > /tmp/new; mv /tmp/new /tmp/n; echo $n; sleep 0.05; done",
  ]);
  await printed(counter);
  for (let times = 0; times < 3; times++) {
    await sandbox.shell("echo before > /root/note; sync");
    const counted = Number((await sandbox.shell("cat /tmp/n")).stdout());
    const begun = performance.now();
    await sandbox.suspend();
    t.diagnostic(`suspended in ${(performance.now() - begun).toFixed(0)} ms`);
    assert.equal(await statusOf("asleep"), "suspended");
    const again = performance.now();
    sandbox = await Sandbox.startDetached("asleep");
    t.diagnostic(`continued in ${(performance.now() - again).toFixed(0)} ms`);
    assert.equal(sandbox.startReport?.route, "continued");
    assert.equal((await sandbox.shell("md5sum -c /dev/shm/sum; cat /root/note")).code, 0);
    const after = (await sandbox.shell("cat /tmp/n")).stdout();
    assert.ok(Number(after) >= counted, `${after} after ${counted}`);
    await eventually("the counter to go on", async () => {
      const now = (await sandbox.shell("cat /tmp/n")).stdout();
      return Number(now) > Number(after) ? true : null;
    });
    await clockIsRight(sandbox);
    // The log has what it goes on to print.
    await eventually("its output in the log", async () => {
      const logs = await sandbox.logs({ tail: 5 });
      return logs.some((entry) => Number(entry.text()) > Number(after)) ? true : null;
    });
  }
  await sandbox.stop();
  assert.deepEqual(leftovers("asleep"), []);
});

const leftovers = (name: string): string[] =>
  readdirSync(join(home, "sandboxes", name)).filter((entry) => entry.includes("suspended"));

test("what cannot be suspended is said, and goes on", { timeout }, async () => {
  const place = mkdtempSync(join(tmpdir(), "msb-suspend-"));
  const small = (name: string) => Sandbox.builder(name).image("localhost/base").memory(smallMemory);
  await using mounted = await small("mounted")
    .volume("/work", (m) => m.bind(place))
    .create();
  await assert.rejects(mounted.suspend(), (error) => {
    assert.ok(error instanceof UnsupportedOperationError);
    assert.match(error.message, /mounted cannot be suspended.*\/work/);
    return true;
  });
  assert.equal((await mounted.exec("true")).code, 0);
  await using fleeting = await small("fleeting").ephemeral().create();
  await assert.rejects(fleeting.suspend(), /ephemeral/);
  await mounted.stop();
  await assert.rejects(mounted.suspend(), SandboxNotRunningError);
  rmSync(place, { recursive: true });
});

test(
  "a paused one is suspended, msb does it, and whoever wants to starts without the memory",
  { timeout },
  async () => {
    const cli = new MsbHome({ path: home });
    const sandbox = await Sandbox.builder("cli").image("localhost/base").memory(smallMemory).createDetached();
    await sandbox.shell("echo kept > /root/note; sync; echo gone > /dev/shm/note");
    await sandbox.pause();
    const suspended = await cli.msb("suspend", "cli");
    assert.equal(suspended.code, 0, suspended.stderr);
    assert.match((await cli.msb("ls")).stdout, /cli .*suspended/);
    // A command would end it, and with it what it was suspended with.
    const executed = await cli.msb("exec", "cli", "--", "true");
    assert.match(executed.stderr, /is suspended[^]*msb start cli/);
    assert.equal(executed.code, 1);
    // What it was suspended with is not what is there.
    const path = join(home, "sandboxes/cli/suspended/suspended.json");
    const record = readFileSync(path, "utf8");
    writeFileSync(path, record.replace(/"qemuVersion":"[^"]*"/, '"qemuVersion":"6.0.0"'));
    await assert.rejects(Sandbox.start("cli"), (error) => {
      assert.ok(error instanceof RuntimeError);
      assert.match(error.message, /QEMU was 6\.0\.0, and is /);
      assert.match(error.hint, /--fresh cli/);
      return true;
    });
    assert.equal(await statusOf("cli"), "suspended");
    writeFileSync(path, record);
    assert.equal((await cli.msb("start", "cli")).code, 0);
    const found = await cli.msb("exec", "cli", "--", "cat", "/dev/shm/note");
    assert.equal(found.stdout, "gone\n");
    assert.equal((await cli.msb("suspend", "cli")).code, 0);
    assert.equal((await cli.msb("start", "--fresh", "cli")).code, 0);
    const afresh = await cli.msb("exec", "cli", "--", "sh", "-c", "cat /root/note; ls /dev/shm");
    assert.equal(afresh.stdout, "kept\n");
    assert.equal((await cli.msb("rm", "-f", "cli")).code, 0);
  },
);

/** Its sandbox may have been suspended meanwhile, and its processes be gone. */
function killIfThere(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

test("killed at any moment of it, the sandbox goes on from the one or the other", { timeout }, async (t) => {
  let sandbox = await Sandbox.builder("killed").image("localhost/base").memory(smallMemory).createDetached();
  const routes = new Map<string, number>();
  for (let times = 0; times < 8; times++) {
    await sandbox.shell(`echo ${times} > /root/note; echo ${times} > /dev/shm/note; sync`);
    const suspending = sandbox.suspend().catch(() => undefined);
    await sleep(times * 40);
    const supervisor = (await processesOf(home, "killed")).find(({ kind }) => kind === "supervisor");
    killIfThere(supervisor?.pid);
    await suspending;
    await eventually("its processes to be gone", async () =>
      (await processesOf(home, "killed")).length === 0 ? true : null,
    );
    sandbox = await Sandbox.startDetached("killed");
    const route = sandbox.startReport?.route ?? "";
    routes.set(route, (routes.get(route) ?? 0) + 1);
    const { code } = await sandbox.shell(`grep -qx ${times} /root/note`);
    assert.equal(code, 0, "what was synced is lost");
    if (route === "continued")
      assert.equal((await sandbox.shell(`grep -qx ${times} /dev/shm/note`)).code, 0, "another memory");
  }
  t.diagnostic(JSON.stringify(Object.fromEntries(routes)));
  await sandbox.stop();
  assert.deepEqual(leftovers("killed"), []);
});

test(
  "whatever is asked of it while it is being suspended, it goes on, and nothing of that stays",
  { timeout },
  async (t) => {
    let sandbox = await Sandbox.builder("busy").image("localhost/base").memory(smallMemory).createDetached();
    await sandbox.shell("for i in $(seq 20); do (sleep 1000) & done");
    const asked: (() => Promise<unknown>)[] = [
      () => sandbox.metrics(),
      () => sandbox.fs().read("/etc/hostname"),
      () => sandbox.exec("true"),
      () => sandbox.ping(),
    ];
    for (const ask of asked) {
      const cat = await sandbox.execStreamWith("cat", (e) => e.stdinPipe());
      const stdin = cat.takeStdin();
      const over = new AbortController();
      const again = async (one: () => Promise<unknown>): Promise<void> => {
        while (!over.signal.aborted) {
          await one().catch(() => sleep(5));
          await sleep(1);
        }
      };
      const loops = [ask, ask, () => stdin?.write("more\n") ?? Promise.resolve()].map(again);
      await sleep(200);
      await sandbox.suspend();
      over.abort();
      await Promise.all(loops);
      sandbox = await Sandbox.startDetached("busy");
      assert.equal(sandbox.startReport?.route, "continued");
      assert.equal((await sandbox.shell("ps | grep -c '[s]leep 1000'")).stdout(), "20\n");
      await sandbox.shell("killall cat");
    }
    // Nobody's command is waited for.
    await sandbox.requestDrain();
    assert.equal((await sandbox.waitUntilStopped()).status, "stopped");
    t.diagnostic(`${asked.length} kinds of calls`);
  },
);

test(
  "stopped, paused, resumed or suspended meanwhile, it is suspended whole or not at all",
  { timeout },
  async () => {
    const made = (): Promise<Sandbox> =>
      Sandbox.builder("raced").image("localhost/base").memory(smallMemory).replace().createDetached();
    const meanwhile: readonly ((sandbox: Sandbox) => Promise<unknown>)[] = [
      (sandbox) => sandbox.stop(),
      (sandbox) => sandbox.pause().then(() => sandbox.resume()),
      (sandbox) => sandbox.suspend(),
      (sandbox) => sandbox.requestDrain(),
    ];
    for (const act of meanwhile) {
      for (const afterMs of [0, 80]) {
        const sandbox = await made();
        await sandbox.shell(
          "head -c 20000000 /dev/urandom > /dev/shm/bytes; md5sum /dev/shm/bytes > /dev/shm/sum",
        );
        const suspended = sandbox.suspend();
        await sleep(afterMs);
        const [outcome] = await Promise.allSettled([suspended, act(sandbox)]);
        await sandbox.waitUntilStopped();
        const ended = await statusOf("raced");
        const told = outcome.status === "fulfilled" ? "suspended" : "stopped";
        assert.equal(
          ended,
          told,
          `${String(act)} after ${afterMs} ms: ${outcome.status === "rejected" ? String(outcome.reason) : ""}`,
        );
        const again = await Sandbox.startDetached("raced");
        assert.equal(again.startReport?.route === "continued", ended === "suspended");
        if (ended === "suspended") assert.equal((await again.shell("md5sum -c /dev/shm/sum")).code, 0);
        await again.kill();
      }
    }
  },
);

test("one that cannot be written down goes on, and leaves nothing", { timeout }, async () => {
  const sandbox = await Sandbox.builder("stuck").image("localhost/base").memory(smallMemory).createDetached();
  // What has its place cannot be moved away.
  const place = join(home, "sandboxes/stuck/suspended");
  mkdirSync(place);
  writeFileSync(join(place, "in-the-way"), "");
  await assert.rejects(sandbox.suspend(), IoError);
  assert.equal(await statusOf("stuck"), "running");
  assert.deepEqual(leftovers("stuck"), []);
  assert.equal((await sandbox.shell("echo on")).stdout(), "on\n");
  await sandbox.suspend();
  // Its disk is written meanwhile: its memory knows another one.
  const disk = join(home, "sandboxes/stuck/upper.img");
  utimesSync(disk, new Date(), new Date());
  await assert.rejects(Sandbox.start("stuck"), /upper\.img was written meanwhile/);
  const afresh = await Sandbox.startDetached("stuck", { fresh: true });
  assert.notEqual(afresh.startReport?.route, "continued");
  await afresh.stop();
});
