import { availableParallelism } from "node:os";
import type { Report } from "./report.ts";
import { baseSandbox, discard, start, type Started } from "./starts.ts";

/** How often a burst is repeated. */
const bursts = 3;
/** One after another, new ones come in this multiple of the time in which the host's processors could start one. */
const spacing = 1.25;
/** Where processor times cannot be had, ms. */
const defaultIntervalMs = 250;
/** Wanted of a burst: at most this multiple of the time that all processors together need for it. */
const wantedOfWork = 1.2;

interface Crowd {
  /** From each call to that sandbox's first output, of those that succeeded, ms. */
  readonly outputs: readonly number[];
  readonly failures: readonly unknown[];
  /** From the first call to the last output, ms. */
  readonly total: number;
}

/**
 * Many at once, and a new one every now and then whether or not the earlier ones are done. All go on running until the last
 * has printed something.
 *
 * @param cpuMs processor time of one start; null when it is not known
 */
export async function measureCrowds(report: Report, cpuMs: number | null, count: number): Promise<void> {
  const cores = availableParallelism();
  const intervalMs = cpuMs === null ? defaultIntervalMs : (spacing * cpuMs) / cores;
  report.section("Starts from a template, in crowds");
  const staggered = await crowd("staggered", count, intervalMs);
  if (staggered.outputs.length > 0) {
    report.figure(`staggered: one every ${Math.round(intervalMs)} ms → output`, "ms", staggered.outputs);
  }
  report.goal("staggered: started and answered", "of them", count, staggered.outputs.length, {
    atLeast: true,
    note: firstOf(staggered.failures),
  });

  const crowds: Crowd[] = [];
  for (let turn = 0; turn < bursts; turn++) crowds.push(await crowd(`burst-${turn}`, count, 0));
  const outputs = crowds.flatMap((one) => one.outputs);
  if (outputs.length > 0) report.figure(`${count} at once → each one's output`, "ms", outputs);
  const totals = report.figure(
    `${count} at once → the last one's output`,
    "ms",
    crowds.map(({ total }) => total),
  );
  report.goal(`${bursts} × ${count} at once: succeed`, "of them", bursts * count, outputs.length, {
    atLeast: true,
    note: firstOf(crowds.flatMap(({ failures }) => failures)),
  });
  report.goal(
    `${count} at once, in all, p50`,
    "ms",
    cpuMs === null ? Number.NaN : (wantedOfWork * count * cpuMs) / cores,
    cpuMs === null ? null : totals.p50,
    {
      note:
        cpuMs === null
          ? "processor times cannot be had here"
          : `1.2 × ${count} × ${Math.round(cpuMs)} ms of processor time / ${cores} processors`,
    },
  );
}

async function crowd(name: string, count: number, intervalMs: number): Promise<Crowd> {
  const begun = performance.now();
  let total = 0;
  const starting = Array.from({ length: count }, async (_, index): Promise<Started> => {
    const dueAt = begun + index * intervalMs;
    if (index > 0 && intervalMs > 0) {
      await new Promise((resolve) => setTimeout(resolve, dueAt - performance.now()));
    }
    const started = await start(baseSandbox(`${name}-${index}`), false);
    total = Math.max(total, performance.now() - begun);
    return started;
  });
  const settled = await Promise.allSettled(starting);
  const started = settled.filter((one) => one.status === "fulfilled").map(({ value }) => value);
  await Promise.all(started.map(({ sandbox }) => discard(sandbox)));
  return {
    outputs: started.map(({ output }) => output),
    failures: settled.filter((one) => one.status === "rejected").map(({ reason }): unknown => reason),
    total,
  };
}

function firstOf(failures: readonly unknown[]): string {
  return failures.length === 0 ? "" : `the first failure: ${String(failures[0])}`;
}
