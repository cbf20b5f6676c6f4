import { readFile } from "node:fs/promises";
import { arch, cpus, release } from "node:os";

/**
 * What the host's processor is, for whatever depends on it: with hardware acceleration a guest sees it as it is. Stays the same
 * for as long as the hardware and the system do, and says nothing about the host's name or its load.
 */
export async function processorIdentity(): Promise<string> {
  if (process.platform === "linux") return stableCpuinfo(await readFile("/proc/cpuinfo", "utf8"));
  // The features that macOS shows to a guest depend on its own version too.
  return [arch(), release(), processorModel()].join(" ");
}

/** What people call it, as the system does; "unknown" where that has no name for it. */
export function processorModel(): string {
  return cpus()[0]?.model.trim() ?? "unknown";
}

/** The first processor's lines of proc(5)'s cpuinfo, without those that change from one moment or boot to the next. */
export function stableCpuinfo(text: string): string {
  const [first = ""] = text.split("\n\n");
  return first
    .split("\n")
    .filter((line) => !/^(?:cpu MHz|bogomips|BogoMIPS|processor|core id|apicid|initial apicid)\b/.test(line))
    .join("\n");
}
