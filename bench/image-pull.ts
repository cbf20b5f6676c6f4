/**
 * Pulls an image in a process of its own and prints what it took, as JSON on stdout. For `npm run bench`.
 *
 *     MSB_HOME=… node bench/image-pull.ts REFERENCE POLICY TIMES
 */
import { pullImage } from "../src/image/pull/pull.ts";
import type { PullPolicy } from "../src/image/pull/pull-options.ts";
import { locateHome, prepareHome } from "../src/store/home.ts";
import { readGlobalConfig } from "../src/store/global-config.ts";

export interface PullMeasurement {
  /** Of each call of `pullImage`, in ms. */
  readonly calls: readonly number[];
  /** The highest resident memory of the process, in bytes. */
  readonly peakBytes: number;
}

async function main(): Promise<void> {
  const [reference = "", policy = "if-missing", times = "1"] = process.argv.slice(2);
  const home = locateHome();
  await prepareHome(home);
  // As creating a sandbox does before it asks for the image.
  const config = await readGlobalConfig(home);
  const calls: number[] = [];
  for (let call = 0; call < Number(times); call++) {
    const begun = performance.now();
    await pullImage(reference, { home, config, policy: policy as PullPolicy });
    calls.push(performance.now() - begun);
  }
  // In KiB, on every system (Node's process.resourceUsage).
  const measurement: PullMeasurement = { calls, peakBytes: process.resourceUsage().maxRSS * 1024 };
  process.stdout.write(JSON.stringify(measurement));
}

await main();
