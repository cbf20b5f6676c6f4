import { readFile } from "node:fs/promises";

/** The soft limit of this process as /proc/self/limits names it (proc(5)); null where there is no /proc. */
export async function readLimit(name: string): Promise<number | null> {
  try {
    const line = (await readFile("/proc/self/limits", "utf8"))
      .split("\n")
      .find((text) => text.startsWith(name));
    const soft = line?.slice(name.length).trim().split(/\s+/)[0];
    if (soft === undefined) return null;
    return soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return null;
  }
}
