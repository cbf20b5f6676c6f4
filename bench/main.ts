/**
 * `npm run bench`: measures this checkout as it is built, prints a table and writes the samples to `bench/results/`.
 *
 *     npm run bench -- [--runs N] [--mebibytes N]
 *
 * `--runs` (5): cold starts; round trips are measured 40 times as often. `--mebibytes` (256): of each throughput run.
 * MSB_ACCEL chooses the accelerator. Nothing is judged: figures depend on the host, so each is shown beside a floor or a
 * peer of the same run.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Sandbox } from "microsandbox";
import { findQemu, type Accelerator } from "../src/machine/index.ts";
import { BareGuest } from "./bare-guest.ts";
import { measureCommandLine } from "./command-line.ts";
import { measureConcurrency, measureRoundTrips, measureThroughput } from "./commands.ts";
import { measureImages } from "./image.ts";
import { measureLifecycle } from "./lifecycle.ts";
import { Report } from "./report.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "5" }, mebibytes: { type: "string", default: "256" } },
});

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`--${name} ${text} is no whole number`);
  return value;
}

function isAccelerator(name: string | null): name is Accelerator {
  return name === "kvm" || name === "hvf" || name === "tcg";
}

async function main(): Promise<void> {
  const runs = wholeNumber("runs", values.runs);
  const mebibytes = wholeNumber("mebibytes", values.mebibytes);
  const report = new Report();
  await measureLifecycle(report, runs);

  await using sandbox = await Sandbox.builder("bench").image("localhost/base").memory(512).create();
  const { accelerator } = await Sandbox.get("bench");
  if (!isAccelerator(accelerator)) throw new Error(`unknown accelerator ${String(accelerator)}`);
  const kernel = (await sandbox.exec("uname", ["-r"])).stdout().trim();
  {
    await using bare = await BareGuest.boot(accelerator, 512);
    await measureRoundTrips(report, sandbox, bare, runs * 40);
    await measureThroughput(report, sandbox, bare, { mebibytes, runs: Math.max(1, Math.ceil(runs / 2)) });
  }
  await measureConcurrency(report, sandbox, 200);
  await measureCommandLine(report, runs * 4);
  await measureImages(report, Math.max(1, Math.ceil(runs / 2)));

  const { version } = await findQemu();
  const path = report.write({ accelerator, qemu: version, guestKernel: kernel });
  console.log(`\n${accelerator}, QEMU ${version}, guest kernel ${kernel}; samples in ${path}`);
}

// A home of its own: what is in the user's is not touched and does not slow anything down.
const home = mkdtempSync(join(tmpdir(), "msb-bench-home-"));
process.env["MSB_HOME"] = home;
try {
  await main();
} finally {
  for (const handle of await Sandbox.list()) await handle.kill();
  rmSync(home, { recursive: true, force: true });
}
