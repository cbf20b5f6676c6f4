import { availableParallelism, freemem } from "node:os";
import type { Sandbox } from "microsandbox";
import { privateBytes, processesOf, proportionalBytes } from "./processes.ts";
import type { Report } from "./report.ts";
import { baseSandbox, discard, start } from "./starts.ts";

/** Wanted of the memory that belongs to a supervisor alone, MB. */
const wantedPrivateMb = 35;
/** What must be free for each sandbox before so many are started: more than one was ever seen to take. */
const roomBytes = 150 * 1024 * 1024;

/** Many that run together, each answering, and the memory they take. */
export async function measureAlive(report: Report, count: number): Promise<void> {
  const goals = {
    pings: `${count} alive: answer a ping`,
    memory: "supervisor's private memory, the most",
  };
  const refusal = reasonAgainst(count);
  if (refusal !== null) {
    report.goal(goals.pings, "of them", count, null, { atLeast: true, note: refusal });
    report.goal(goals.memory, "MB", wantedPrivateMb, null, { note: refusal });
    return;
  }
  const sandboxes: Sandbox[] = [];
  try {
    const freeBefore = freemem();
    const outputs = await startAll(sandboxes, count);
    const freed = freeBefore - freemem();
    const pings = await Promise.allSettled(sandboxes.map((sandbox) => sandbox.ping()));
    const answers = pings.filter((one) => one.status === "fulfilled").map(({ value }) => value.latencyMs);
    const processes = await Promise.all(sandboxes.map(({ name }) => processesOf(name)));
    const inMb = (look: (pid: number) => Promise<number>, of: "qemu" | "supervisor"): Promise<number[]> =>
      Promise.all(processes.map(async (both) => (await look(both[of])) / 1e6));
    report.section(`${count} sandboxes alive, each after one command`);
    report.figure("start → first output, the others running", "ms", outputs);
    if (answers.length > 0) report.figure("ping, all at once", "ms", answers);
    report.figure("memory: QEMU (PSS)", "MB", await inMb(proportionalBytes, "qemu"));
    report.figure("memory: supervisor (PSS)", "MB", await inMb(proportionalBytes, "supervisor"));
    const own = report.figure("memory: supervisor (private)", "MB", await inMb(privateBytes, "supervisor"));
    report.figure("memory: less free on the host, for each", "MB", [freed / 1e6 / count]);
    report.goal(goals.pings, "of them", count, answers.length, { atLeast: true });
    report.goal(goals.memory, "MB", wantedPrivateMb, own.maximum);
  } finally {
    await Promise.all(sandboxes.map(discard));
  }
}

/** Why so many cannot be started here; null: they can. */
export function reasonAgainst(count: number): string | null {
  if (process.platform !== "linux") return "memory is looked up in /proc, which is not here";
  const needed = count * roomBytes;
  if (freemem() >= needed) return null;
  const gib = (bytes: number): string => (bytes / 1024 ** 3).toFixed(1);
  return `${gib(freemem())} GiB are free, and ${gib(needed)} are asked for`;
}

/** As many at a time as there are processors. @returns from each call to its first output, ms */
export async function startAll(sandboxes: Sandbox[], count: number): Promise<number[]> {
  const outputs: number[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const started = await start(baseSandbox(`alive-${next++}`), false);
      sandboxes.push(started.sandbox);
      outputs.push(started.output);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return outputs;
}
