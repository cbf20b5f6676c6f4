/**
 * `npm run bench`: measures this checkout as it is built, prints a table and writes the samples to `bench/results/`.
 *
 *     npm run bench -- [PART…] [--OPTION N…]          `options.ts` has them
 *
 * MSB_ACCEL chooses the accelerator. Figures depend on the host, so each is shown beside a floor or a peer of the same run;
 * goals are compared with what was measured, and a goal that is missed is no failure of the run.
 *
 * The work is done by another process (`worker.ts`). This one gives it a home of its own and clears up after it, whatever
 * ends it: the worker owns every sandbox, so they end with it, and what it has spawned itself is in its process group.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Sandbox } from "microsandbox";
import { parseOptions } from "./options.ts";

const worker = fileURLToPath(new URL("worker.ts", import.meta.url));

/** @returns the exit code */
async function main(): Promise<number> {
  parseOptions(process.argv.slice(2));
  // What is in the user's own home is not touched and does not slow anything down.
  const home = mkdtempSync(join(tmpdir(), "msb-bench-"));
  process.env["MSB_HOME"] = home;
  const interruptions: NodeJS.Signals[] = [];
  // A group of its own, so that a Ctrl-C reaches this process only. The worker notices the end of the connection.
  const child = spawn(process.execPath, [worker, ...process.argv.slice(2)], {
    detached: true,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const endGroup = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // Nobody is left in it.
    }
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      interruptions.push(signal);
      endGroup();
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  endGroup();
  for (const handle of await Sandbox.list()) await handle.kill();
  // A supervisor may be about to write its last words.
  rmSync(home, { recursive: true, force: true, maxRetries: 10 });
  const [signal] = interruptions;
  return signal === undefined ? (code ?? 1) : 128 + constants.signals[signal];
}

process.exitCode = await main();
