import { writeFileSync } from "node:fs";

/**
 * Keeps the memory of this process, and of all that it starts from now on, out of core dumps: there may be values of secrets in it. On Linux,
 * whoever takes the core (core(5), `coredump_filter`: which mappings are written; none). Elsewhere there is no such setting: there, cores are
 * off until somebody turns them on.
 */
export function keepMemoryOutOfCores(): void {
  try {
    writeFileSync("/proc/self/coredump_filter", "0");
  } catch {
    // Not on Linux, or a kernel without core dumps.
  }
}
