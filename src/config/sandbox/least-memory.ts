import { InvalidConfigError } from "../../errors/index.ts";
import type { StoredConfig } from "./stored-config.ts";

/**
 * MiB with which the kernel of this package brings up the agent and mounts an image, and what each processor adds. Measured with up to 8: with
 * four MiB less, and one processor, it panics once in three times for want of memory while the agent loads its modules; with 70 it hangs.
 */
const measured: Readonly<Record<string, { readonly base: number; readonly perProcessor: number }>> = {
  x64: { base: 104, perProcessor: 1 },
};

/** MiB. Programs have room with that much, whatever the kernel. */
export const comfortableMemoryMib = 128;

type Machine = Pick<StoredConfig, "cpus" | "memoryMib" | "kernelPath">;

/** The least that boots, MiB; 0 where that is not known: a kernel of the user's, a processor nobody has measured on. */
export function leastMemoryMib(
  { cpus, kernelPath }: Omit<Machine, "memoryMib">,
  architecture: string = process.arch,
): number {
  const found = kernelPath === null ? measured[architecture] : undefined;
  return found === undefined ? 0 : found.base + cpus * found.perProcessor;
}

/** @throws InvalidConfigError when a machine cannot boot with the memory that it is to have */
export function checkMemory(machine: Machine, architecture: string = process.arch): void {
  const least = leastMemoryMib(machine, architecture);
  if (machine.memoryMib >= least) return;
  const { cpus, memoryMib } = machine;
  const processors = cpus === 1 ? "one processor" : `${cpus} processors`;
  throw new InvalidConfigError(
    `${memoryMib} MiB of memory are too few: the guest's kernel needs ${least} with ${processors}`,
    { hint: `Give it ${Math.max(least, comfortableMemoryMib)} MiB, to have room for programs, or more.` },
  );
}
