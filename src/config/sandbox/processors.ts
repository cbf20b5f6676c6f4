import { availableParallelism } from "node:os";
import type { StoredConfig } from "./stored-config.ts";

/**
 * What the user should know who gives a sandbox more processors than this program may use here: it works, but they take turns, and
 * a guest of many boots for minutes.
 *
 * @returns null when there are enough
 */
export function shortOfProcessors(
  { cpus }: Pick<StoredConfig, "cpus">,
  available: number = availableParallelism(),
): string | null {
  if (cpus <= available) return null;
  const here = available === 1 ? "the one processor" : `the ${available} processors`;
  return `${cpus} virtual CPUs share ${here} of this host: the sandbox starts and runs slower than with ${available}`;
}
