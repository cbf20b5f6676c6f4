import { fileURLToPath } from "node:url";
import type { Sandbox } from "microsandbox";
import { findSandbox } from "../src/store/sandboxes.ts";
import { locateHome } from "../src/store/home.ts";
import type { Counts } from "./options.ts";
import { runProgram } from "./processes.ts";
import type { Report } from "./report.ts";
import type { RestoredGuest } from "./restored-guest.ts";
import { baseSandbox, discard, firstCommand, mean, start, type CpuShares } from "./starts.ts";
import { timed } from "./statistics.ts";

const msb = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** Wanted of a start: at most so many times the floor. */
const wantedOfFloor = 1.5;
/** Wanted of a whole `msb run`: at most so many ms above the floor. */
const wantedAboveFloorMs = 150;
/** Wanted: so many times faster than a cold boot. */
const wantedSpeedUp = 12;
/** Wanted of the stop of an idle sandbox, ms. */
const wantedStopMs = 150;

/** The whole of `msb run localhost/base -- true`, ms. */
export function runOnce(): Promise<number> {
  return timed(() => runProgram(process.execPath, [msb, "run", "localhost/base", "--", "true"]));
}

/**
 * The floor, the SDK, the command line and now and then a cold boot, taking turns so that all meet the same host.
 *
 * @returns the processor time of one start, ms; null where it cannot be had
 */
export async function measureStarts(
  report: Report,
  floor: RestoredGuest,
  { starts, cold }: Counts,
): Promise<number | null> {
  const floors: number[] = [];
  const floorCpu: number[] = [];
  const created: number[] = [];
  const outputs: number[] = [];
  const stops: number[] = [];
  const runs: number[] = [];
  const colds: number[] = [];
  const cpu: CpuShares[] = [];
  for (let turn = 0; turn < starts; turn++) {
    const restored = await floor.run([...firstCommand]);
    floors.push(restored.output);
    floorCpu.push(restored.qemuCpu);
    const started = await start(baseSandbox("start"), true);
    created.push(started.created);
    outputs.push(started.output);
    if (started.cpu !== null) cpu.push(started.cpu);
    stops.push(await timed(() => stopIdle(started.sandbox)));
    await started.sandbox.removePersisted();
    runs.push(await runOnce());
    // Spread over the run.
    if (Math.floor(((turn + 1) * cold) / starts) > Math.floor((turn * cold) / starts)) {
      colds.push(await startCold());
    }
  }
  const floorFigure = report.figure("floor: QEMU alone → first output", "ms", floors);
  report.figure("create()", "ms", created);
  const output = report.figure("create() → first command's output", "ms", outputs);
  const run = report.figure("msb run localhost/base -- true, whole", "ms", runs);
  const coldFigure = report.figure("cold boot: create() → first output", "ms", colds);
  const stop = report.figure("stop() of an idle sandbox", "ms", stops);
  const share = (name: string, of: (one: CpuShares) => number): void => {
    if (cpu.length > 0) report.figure(`processor time: ${name}`, "ms", cpu.map(of));
  };
  share("SDK", ({ sdk }) => sdk);
  share("supervisor", ({ supervisor }) => supervisor);
  share("QEMU", ({ qemu }) => qemu);
  report.figure("processor time: floor's QEMU", "ms", floorCpu);
  const ratio = output.p50 / floorFigure.p50;
  report.goal("create() → first output, against the floor, p50", "×", wantedOfFloor, ratio);
  const wholeRun = floorFigure.p50 + wantedAboveFloorMs;
  report.goal("msb run … -- true: floor + 150 ms, p50", "ms", wholeRun, run.p50);
  const speedUp = coldFigure.p50 / output.p50;
  report.goal("faster than a cold boot, p50", "×", wantedSpeedUp, speedUp, { atLeast: true });
  report.goal("stop() of an idle sandbox to the disk, p50", "ms", wantedStopMs, stop.p50);
  return cpu.length === 0 ? null : mean(cpu.map((one) => one.sdk + one.supervisor + one.qemu));
}

/** @throws Error when the end is not on the disk once the call returns */
async function stopIdle(sandbox: Sandbox): Promise<void> {
  await sandbox.stop();
  const { state } = await findSandbox(locateHome(), sandbox.name);
  if (state.status !== "stopped") throw new Error(`${sandbox.name} is ${state.status} after its stop`);
}

export async function startCold(): Promise<number> {
  process.env["MSB_TEMPLATES"] = "off";
  try {
    const { sandbox, output } = await start(baseSandbox("cold"), false);
    await discard(sandbox);
    return output;
  } finally {
    process.env["MSB_TEMPLATES"] = "on";
  }
}
