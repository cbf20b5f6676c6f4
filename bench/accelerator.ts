import type { Accelerator } from "../src/machine/types.ts";

export function isAccelerator(name: string | null): name is Accelerator {
  return name === "kvm" || name === "hvf" || name === "tcg";
}
