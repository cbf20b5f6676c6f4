import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Home } from "../src/store/home.ts";
import { resourcesOf, type Resources } from "../test/vm/resources.ts";
import type { Report } from "./report.ts";
import { baseSandbox, start } from "./starts.ts";
import { summarize } from "./statistics.ts";

/** Starts before the first one that counts. */
const warmUps = 5;
/** What is compared: so many at the beginning and at the end, or a quarter when there are few. */
const windowSize = 50;
/**
 * What is no growth, as a part of what was there: V8 goes on compiling, some 1 KB each time, which is in its heap; and the
 * allocator takes memory in steps. Objects that were left each time would show in the heap first.
 */
const tolerances = { RSS: 0.1, heap: 0.05 };
/** How long the last process of a sandbox that was removed may still be there, ms. */
const leaveMs = 10_000;

const names = ["processes", "descriptors", "sockets", "files of the home", "disk", "RSS", "heap"] as const;
type Sample = Record<(typeof names)[number], number>;

/** What was held after each of `count` turns. Its own memory is there from the start, and so is no growth. */
class Samples {
  readonly #values: ReadonlyMap<keyof Sample, Float64Array>;
  #taken = 0;

  constructor(count: number) {
    this.#values = new Map(names.map((name) => [name, new Float64Array(count)]));
  }

  add(sample: Sample): void {
    for (const [name, values] of this.#values) values[this.#taken] = sample[name];
    this.#taken++;
  }

  of(name: keyof Sample): number[] {
    return [...(this.#values.get(name) ?? [])];
  }

  all(): Record<string, number[]> {
    return Object.fromEntries(names.map((name) => [name, this.of(name)]));
  }
}

/** Sandboxes that come and go. What the program and the home hold must not grow with their number. */
export async function measureLoop(report: Report, home: Home, count: number): Promise<void> {
  const what = (name: string): string => `${count} come and go: growth of ${name}`;
  if (process.platform !== "linux") {
    const note = "processes and descriptors are looked up in /proc, which is not here";
    report.goal(what("anything"), "", 0, null, { note });
    return;
  }
  const collectGarbage = garbageCollector();
  const samples = new Samples(count);
  const durations = new Float64Array(count);
  for (let turn = 0; turn < warmUps + count; turn++) {
    const begun = performance.now();
    const { sandbox } = await start(baseSandbox(`loop-${turn}`), false);
    await sandbox.stop();
    await sandbox.removePersisted();
    if (turn < warmUps) continue;
    durations[turn - warmUps] = performance.now() - begun;
    const resources = await afterTheLast(home);
    // Garbage is no growth.
    collectGarbage();
    const { rss, heapUsed } = process.memoryUsage();
    samples.add({
      processes: resources.processes.length,
      descriptors: resources.descriptors.length,
      sockets: resources.sockets.length,
      "files of the home": resources.files.length,
      disk: resources.diskBytes,
      RSS: rss,
      heap: heapUsed,
    });
  }
  report.section(`${count} × create, command, stop, remove`);
  report.figure("one of them", "ms", [...durations]);
  report.keep("what is held after each", samples.all());
  const size = Math.max(1, Math.min(windowSize, Math.floor(count / 4)));
  const note = `medians of the first and the last ${size}`;
  for (const name of names) {
    const values = samples.of(name);
    if (name === "processes") {
      report.goal(`${count} come and go: processes left, the most`, "", 0, summarize(values).maximum);
      continue;
    }
    const before = summarize(values.slice(0, size)).p50;
    const after = summarize(values.slice(-size)).p50;
    const growth = after - before;
    const told = { note: `${show(name, before)} → ${show(name, after)}, ${note}` };
    if (name === "RSS" || name === "heap")
      report.goal(what(name), "MB", (before * tolerances[name]) / 1e6, growth / 1e6, told);
    else if (name === "disk") report.goal(what(name), "MB", 0, growth / 1e6, told);
    else report.goal(what(name), "", 0, growth, told);
  }
}

/** Once the last process of the sandbox is gone, or should be. */
async function afterTheLast(home: Home): Promise<Resources> {
  const giveUpAt = performance.now() + leaveMs;
  for (;;) {
    const resources = await resourcesOf(home.root);
    if (resources.processes.length === 0 || performance.now() > giveUpAt) return resources;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function show(name: keyof Sample, value: number): string {
  const inBytes = name === "disk" || name === "RSS" || name === "heap";
  return inBytes ? `${(value / 1e6).toFixed(2)} MB` : String(value);
}

function garbageCollector(): NodeJS.GCFunction {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as NodeJS.GCFunction;
}
