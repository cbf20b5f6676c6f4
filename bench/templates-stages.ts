import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readFile } from "node:fs/promises";
import { findSandbox } from "../src/store/sandboxes.ts";
import { locateHome } from "../src/store/home.ts";
import type { Report } from "./report.ts";
import type { RestoredGuest, RestoreTimes } from "./restored-guest.ts";
import { baseSandbox, discard, firstCommand } from "./starts.ts";

/** Node tells there of every child process that is created (nodejs.org/api/diagnostics_channel.html). */
const spawnChannel = "child_process";

/** A stage and when it was over, in the order in which they end. */
type Moments = readonly (readonly [stage: string, at: number])[];

/**
 * Where the time of a start goes, as far as it can be seen from outside: the SDK's child process, the progress that the
 * supervisor reports, the line in runtime.log once the guest is ready. Beside it the floor's.
 */
export async function measureStages(report: Report, floor: RestoredGuest, count: number): Promise<void> {
  const stages = new Stages();
  const floorStages = new Stages();
  for (let turn = 0; turn < count; turn++) {
    floorStages.add(floorMoments(await floor.run([...firstCommand])));
    stages.add(await watchedStart());
  }
  report.section("Where the time of a start goes");
  stages.report(report, "stage");
  floorStages.report(report, "floor's stage");
}

class Stages {
  readonly #samples = new Map<string, number[]>();

  add(moments: Moments): void {
    let before = 0;
    for (const [stage, at] of moments) {
      const known = this.#samples.get(stage) ?? [];
      this.#samples.set(stage, [...known, at - before]);
      before = at;
    }
  }

  report(report: Report, prefix: string): void {
    for (const [stage, samples] of this.#samples) report.figure(`${prefix}: ${stage}`, "ms", samples);
  }
}

function floorMoments({ greeting, resumed, ready, output }: RestoreTimes): Moments {
  return [
    ["QEMU until its monitor answers", greeting],
    ["QEMU until the guest runs", resumed],
    ["guest until it is ready", ready],
    ["guest until the command's output", output],
  ];
}

async function watchedStart(): Promise<Moments> {
  const begun = performance.now();
  const epochMs = Date.now() - begun;
  const since = (): number => performance.now() - begun;
  const moments: [string, number][] = [];
  let stage = "supervisor until it is at work";
  const spawned = (): void => {
    moments.push(["SDK until it spawns the supervisor", since()]);
  };
  subscribe(spawnChannel, spawned);
  const sandbox = await baseSandbox("stages")
    .logLevel("info")
    .onProgress((event) => {
      moments.push([stage, since()]);
      stage = `supervisor: ${event.stage}`;
    })
    .create()
    .finally(() => unsubscribe(spawnChannel, spawned));
  const created = since();
  const handle = await sandbox.execStream(firstCommand[0], firstCommand.slice(1));
  let output: number | null = null;
  for await (const event of handle) if (event.kind === "stdout") output ??= since();
  moments.push([`${stage}, until the guest is ready`, (await readyAt(sandbox.name)) - epochMs - begun]);
  moments.push(["create() until it returns", created]);
  moments.push(["first command until its output", output ?? Number.NaN]);
  await discard(sandbox);
  return moments;
}

/** When runtime.log says that the sandbox was started. Since 1970, to the ms. */
async function readyAt(name: string): Promise<number> {
  const { paths } = await findSandbox(locateHome(), name);
  const log = await readFile(paths.runtimeLog, "utf8");
  const line = log.split("\n").find((text) => text.includes("started from the image template"));
  if (line === undefined) throw new Error(`the sandbox did not start from an image template:\n${log}`);
  return Date.parse(line.slice(0, line.indexOf(" ")));
}
