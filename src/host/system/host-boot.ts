import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/**
 * Names the current boot of the host: facts about its hardware and kernel hold for as long as this stays the same.
 *
 * @returns null when the host does not tell; such facts are then not remembered
 */
export async function hostBootId(): Promise<string | null> {
  try {
    if (process.platform === "linux")
      return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    const { stdout } = await promisify(execFile)("sysctl", ["-n", "kern.bootsessionuuid"]);
    return stdout.trim() === "" ? null : stdout.trim();
  } catch {
    return null;
  }
}
