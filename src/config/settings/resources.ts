import { ThpModes } from "../enums.ts";
import { creationSetting, setting } from "./setting.ts";
import { choice, mebibytes, text, whole } from "./types.ts";

/** What the machine has. */
export const resourceSettings = {
  cpus: setting({
    type: whole(1, 255, "virtual CPUs"),
    meaning: "a limit, not a reservation",
    default: 1,
    global: "sandbox_defaults.cpus",
    cli: { flag: "cpus", short: "c", placeholder: "COUNT", description: "Virtual CPUs (1)" },
    inspect: "Resources",
    change: "live up to the maximum",
  }),
  memoryMib: setting({
    type: mebibytes,
    meaning:
      "a limit: pages are taken from the host as the guest uses them; 95 and 1 for each processor at least ([the least](specification.md))",
    setters: ["memory"],
    default: 512,
    global: "sandbox_defaults.memory_mib",
    cli: {
      flag: "memory",
      short: "m",
      placeholder: "SIZE",
      description: "Memory: 512M, 1.5G, a bare number is MiB (512M)",
    },
    inspect: "Resources",
    change: "live up to the maximum",
  }),
  thp: setting({
    type: choice(ThpModes),
    meaning: "the guest kernel's policy for transparent huge pages",
    default: "madvise",
    global: "sandbox_defaults.thp",
    cli: {
      flag: "thp",
      placeholder: "MODE",
      description: `Huge pages in the guest: ${ThpModes.join(", ")} (madvise)`,
    },
    inspect: "Huge pages",
    change: "never",
  }),
  /** Stored as `kernelPath`, once it was looked for. */
  libkrunfwPath: creationSetting({
    type: text,
    meaning: "another guest kernel, see below",
    default: null,
    otherwise: "the package's",
    global: "paths.libkrunfw",
    inspect: "Kernel",
    change: "never",
  }),
} as const;
