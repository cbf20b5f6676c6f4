/**
 * Copies of running sandboxes, pauses and suspensions (docs/forks.md, docs/lifecycle.md): how long the source stands still, when a child
 * answers, what each takes. Beside each figure its peer of the same run: QEMU alone restored from the template, a warm command, a file
 * that is written.
 */
import { execFile } from "node:child_process";
import { open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Sandbox } from "microsandbox";
import { Sandbox as Sandboxes } from "microsandbox";
import { findSandbox } from "../src/store/sandboxes.ts";
import { locateHome } from "../src/store/home.ts";
import type { Counts } from "./options.ts";
import { cpuTimeMs, processesOf, proportionalBytes } from "./processes.ts";
import type { Report } from "./report.ts";
import { RestoredGuest } from "./restored-guest.ts";
import { baseSandbox, discard, firstCommand, mean } from "./starts.ts";
import { timed } from "./statistics.ts";
import { makeTemplates } from "./templates.ts";

const bytesPerMb = 1e6;
const wantedPauseMs = 60;
const wantedOfFloor = 1.3;
const wantedMemoryMb = 60;
const wantedIdlePercent = 0.05;
const wantedOfWarm = 2;
const wantedOfWriting = 1.5;
const wantedTakeOfWarm = 3;
/** How long a paused sandbox is watched, ms. */
const idleMs = 3_000;
/** MB that the guest writes before it is forked or suspended, in turn. */
const written = [0, 16, 64] as const;
/** MB that the guest has written before it is suspended: a part of its 512 MiB, and nearly all of them. */
const suspended = [128, 384] as const;

export async function measureForks(report: Report, counts: Counts): Promise<void> {
  const home = locateHome();
  const { template, thp } = await makeTemplates(home);
  const floor = await RestoredGuest.prepare(home, template, thp);
  const parent = await baseSandbox("parent").logLevel("info").create();
  await measureOne(report, parent, floor, Math.max(9, counts.starts));
  await measureCrowd(report, parent, counts.burst);
  await measurePause(report, parent, counts.runs * 4);
  await discard(parent);
  await measurePool(report, Math.max(5, counts.runs * 2));
  for (const mb of suspended) await measureSuspend(report, mb, Math.max(3, counts.runs));
}

interface Pause {
  readonly heldMs: number;
  readonly ownMb: number;
}

/** How long the source stood still the last time, as its log says. */
async function lastPause(name: string): Promise<Pause> {
  const { paths } = await findSandbox(locateHome(), name);
  const log = await readFile(paths.runtimeLog, "utf8");
  const [, held, own] = [...log.matchAll(/copied; held (\d+) ms, (\d+) bytes/g)].at(-1) ?? [];
  if (held === undefined) throw new Error(`the log of ${name} tells of no copy`);
  return { heldMs: Number(held), ownMb: Number(own) / bytesPerMb };
}

const write = (sandbox: Sandbox, mb: number): Promise<unknown> =>
  sandbox.shell(`rm -f /dev/shm/bytes; head -c ${mb * bytesPerMb} /dev/urandom > /dev/shm/bytes`);

async function measureOne(
  report: Report,
  parent: Sandbox,
  floor: RestoredGuest,
  count: number,
): Promise<void> {
  const [pauses, beyond, forks, outputs, execs, floors]: number[][] = [[], [], [], [], [], []];
  const own: number[] = [];
  await floor.run([...firstCommand]);
  await discard(await parent.fork("warm-up"));
  for (let turn = 0; turn < count; turn++) {
    await write(parent, written[turn % written.length] ?? 0);
    floors?.push((await floor.run([...firstCommand])).output);
    const begun = performance.now();
    const child = await parent.fork("child");
    const forked = performance.now();
    await child.exec(firstCommand[0], firstCommand.slice(1));
    const now = performance.now();
    forks?.push(forked - begun);
    execs?.push(now - forked);
    outputs?.push(now - begun);
    const { heldMs, ownMb } = await lastPause("parent");
    pauses?.push(heldMs);
    own.push(ownMb);
    beyond?.push(heldMs - ownMb);
    await discard(child);
  }
  report.section("Forks, one after another");
  report.figure("memory of its own that is copied", "MB", own);
  report.figure("pause of the source", "ms", pauses ?? []);
  const pause = report.figure("the same, less 1 ms for each MB", "ms", beyond ?? []);
  report.figure("fork()", "ms", forks ?? []);
  const exec = report.figure("first command of the child", "ms", execs ?? []);
  const output = report.figure("fork() → first output", "ms", outputs ?? []);
  const floorFigure = report.figure("floor: QEMU alone → first output", "ms", floors ?? []);
  report.goal("pause of a fork, less 1 ms for each MB, p95", "ms", wantedPauseMs, pause.p95);
  report.goal(
    "first command of the child, against the floor, p50",
    "×",
    wantedOfFloor,
    exec.p50 / floorFigure.p50,
  );
  report.goal(
    "fork() → first output, against the floor, p50",
    "×",
    wantedOfFloor,
    output.p50 / floorFigure.p50,
  );
}

async function measureCrowd(report: Report, parent: Sandbox, count: number): Promise<void> {
  await write(parent, 0);
  const begun = performance.now();
  const children = await parent.fork({ count });
  const running = children.map((child) => {
    if (child instanceof Error) throw child;
    return child;
  });
  await Promise.all(running.map((child) => child.exec("echo", ["here"])));
  const total = performance.now() - begun;
  const qemus: number[] = [];
  const supervisors: number[] = [];
  if (process.platform === "linux")
    for (const { name } of running) {
      const { qemu, supervisor } = await processesOf(name);
      qemus.push((await proportionalBytes(qemu)) / bytesPerMb);
      supervisors.push((await proportionalBytes(supervisor)) / bytesPerMb);
    }
  await Promise.all(running.map(discard));
  report.section(`${count} children of one copy`);
  report.figure("fork() → all have answered", "ms", [total]);
  if (qemus.length === 0) return;
  report.figure("memory: QEMU (PSS)", "MB", qemus);
  report.figure("memory: supervisor (PSS)", "MB", supervisors);
  report.goal("memory of a child's QEMU (PSS), mean", "MB", wantedMemoryMb, mean(qemus));
}

async function measurePause(report: Report, sandbox: Sandbox, count: number): Promise<void> {
  const warm: number[] = [];
  const resumed: number[] = [];
  const echo = (): Promise<unknown> => sandbox.exec("echo", ["here"]);
  await echo();
  for (let turn = 0; turn < count; turn++) {
    warm.push(await timed(echo));
    await sandbox.pause();
    resumed.push(await timed(() => sandbox.resume().then(echo)));
  }
  report.section("Pauses");
  const warmFigure = report.figure("warm command", "ms", warm);
  const resumedFigure = report.figure("resume() → command", "ms", resumed);
  report.goal(
    "resume() → command, against a warm one, p50",
    "×",
    wantedOfWarm,
    resumedFigure.p50 / warmFigure.p50,
  );
  if (process.platform !== "linux") return;
  await sandbox.pause();
  const { qemu, supervisor } = await processesOf(sandbox.name);
  const used = async (): Promise<number> => (await cpuTimeMs(qemu)) + (await cpuTimeMs(supervisor));
  // The pause itself takes some.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = await used();
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  const percent = (((await used()) - before) / idleMs) * 100;
  await sandbox.resume();
  report.figure("processor of a paused sandbox", "%", [percent]);
  report.goal("processor of a paused sandbox", "%", wantedIdlePercent, percent);
}

async function measurePool(report: Report, count: number): Promise<void> {
  await using pool = await Sandboxes.pool({ config: baseSandbox("member"), size: 1 });
  const [takes, execs, outputs, warm, peers]: number[][] = [[], [], [], [], []];
  for (let turn = 0; turn < count; turn++) {
    await pool.ready();
    const begun = performance.now();
    const sandbox = await pool.take();
    const taken = performance.now();
    const echo = (): Promise<unknown> => sandbox.exec("echo", ["here"]);
    await echo();
    const now = performance.now();
    takes?.push(taken - begun);
    execs?.push(now - taken);
    outputs?.push(now - begun);
    // Its successor is started meanwhile: that is not to be measured with it.
    await pool.ready();
    await echo();
    warm?.push(await timed(echo));
    await discard(sandbox);
    const peer = await timedRunsc();
    if (peer !== null) peers?.push(peer);
  }
  report.section("Pools");
  report.figure("take()", "ms", takes ?? []);
  report.figure("first command", "ms", execs ?? []);
  const output = report.figure("take() → first output", "ms", outputs ?? []);
  const warmFigure = report.figure("warm command", "ms", warm ?? []);
  const ofWarm = output.p50 / warmFigure.p50;
  report.goal("take() → first output, against a warm command, p50", "×", wantedTakeOfWarm, ofWarm);
  if (peers === undefined || peers.length === 0) return;
  const peer = report.figure("runsc do echo", "ms", peers);
  report.goal("take() → first output, against runsc, p50", "×", 1, output.p50 / peer.p50);
}

/** gVisor's container, where it is installed and runs. */
async function timedRunsc(): Promise<number | null> {
  try {
    return await timed(() => promisify(execFile)("runsc", ["--network=none", "do", "echo", "here"]));
  } catch {
    return null;
  }
}

async function measureSuspend(report: Report, mb: number, count: number): Promise<void> {
  const [suspends, continues, both, writes, own]: number[][] = [[], [], [], [], []];
  const home = locateHome();
  let sandbox = await baseSandbox("asleep").logLevel("info").createDetached();
  await sandbox.shell("mount -o remount,size=90% /dev/shm");
  for (let turn = 0; turn < count; turn++) {
    await write(sandbox, mb);
    // What of its memory is its own.
    await discard(await sandbox.fork("measure"));
    const { ownMb } = await lastPause("asleep");
    own?.push(ownMb);
    writes?.push(await timed(() => writeThrough(join(home.root, "bytes"), Math.round(ownMb * bytesPerMb))));
    const suspended = await timed(() => sandbox.suspend());
    const continued = await timed(async () => {
      sandbox = await Sandboxes.startDetached("asleep");
      await sandbox.exec("echo", ["here"]);
    });
    suspends?.push(suspended);
    continues?.push(continued);
    both?.push(suspended + continued);
  }
  await discard(sandbox);
  report.section(`Suspending 512 MiB, of which ${mb} MB are written`);
  report.figure("memory of its own", "MB", own ?? []);
  report.figure("suspend()", "ms", suspends ?? []);
  report.figure("start() → command", "ms", continues ?? []);
  const all = report.figure("both", "ms", both ?? []);
  const floor = report.figure("floor: so many bytes written, and synced", "ms", writes ?? []);
  const ratio = all.p50 / floor.p50;
  report.goal(`suspend() and start(), against the writing, ${mb} MB, p50`, "×", wantedOfWriting, ratio);
}

async function writeThrough(path: string, bytes: number): Promise<void> {
  const chunk = Buffer.alloc(4 << 20, 0x5a);
  {
    await using file = await open(path, "w", 0o600);
    for (let left = bytes; left > 0; left -= chunk.length)
      await file.write(chunk, 0, Math.min(left, chunk.length));
    await file.sync();
  }
  await rm(path);
}
