/** The archive that the kernel starts from: the agent as /init, and the modules it loads. */
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { cpioArchive, type CpioEntry } from "./cpio.ts";
import { kernelFiles } from "./kernel.ts";

const MOUNT_POINTS = ["dev", "mnt", "proc", "root", "run", "sys", "tmp"];

/**
 * The agent and nothing else, for a kernel that has its drivers built in or brings its own archive.
 *
 * @param agent the agent's program
 */
export function agentArchive(agent: Uint8Array): Buffer {
  return cpioArchive(agentEntries(agent));
}

/**
 * The agent with the modules of a kernel.
 *
 * @param kernel directory that `unpackKernel` wrote
 */
export async function initramfs(agent: Uint8Array, kernel: string): Promise<Buffer> {
  const release = (await readFile(join(kernel, kernelFiles.release), "utf8")).trim();
  const names = (await readdir(join(kernel, kernelFiles.modules))).sort();
  const modules = await Promise.all(
    names.map(async (name): Promise<CpioEntry> => ({
      kind: "file",
      path: `lib/modules/${release}/${name}`,
      mode: 0o644,
      content: await readFile(join(kernel, kernelFiles.modules, name)),
    })),
  );
  const parents = ["lib", "lib/modules", `lib/modules/${release}`];
  return cpioArchive([...agentEntries(agent), ...parents.map(directory), ...modules]);
}

function agentEntries(agent: Uint8Array): CpioEntry[] {
  return [
    ...MOUNT_POINTS.map(directory),
    // The kernel opens this for the agent's standard streams before the agent can mount /dev.
    { kind: "character device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "file", path: "init", mode: 0o755, content: agent },
  ];
}

function directory(path: string): CpioEntry {
  return { kind: "directory", path, mode: 0o755 };
}
