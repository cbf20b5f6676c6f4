import { readFileSync } from "node:fs";

/** More is no use to anyone: a process in the guest may have 1,024 files open unless it asks for more. */
const most = 16_384;
/** With what is left the supervisor has to do, and each mount with directories that it keeps open. */
const reserved = 512;
const least = 64;

/**
 * How many files a guest may have open in one mount: what this process may open is the supervisor's, too, which must not be without.
 *
 * @param mounts of the sandbox
 * @param limits as `/proc/self/limits` has them (proc(5))
 */
export function mostHandles(mounts: number, limits = readFileSync("/proc/self/limits", "latin1")): number {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1] ?? "1024";
  const limit = soft === "unlimited" ? Infinity : Number(soft);
  const each = Math.floor((limit - reserved * (mounts + 1)) / (2 * mounts));
  return Math.min(most, Math.max(least, each));
}
