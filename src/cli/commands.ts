import type { AnyCommand } from "./command.ts";

export interface CommandEntry {
  /** The name, then the aliases. */
  readonly names: readonly string[];
  /** Heading in the help text. */
  readonly group: string;
  /** Loads the command's module: only the command that is run is loaded. */
  load(this: void): Promise<AnyCommand>;
}

const sandboxes = "Sandboxes:";
const inspection = "Inspection:";
const other = "Other:";

/** All commands, in the order of the help text. */
export const commandEntries: readonly CommandEntry[] = [
  { names: ["run"], group: sandboxes, load: async () => (await import("./commands/run.ts")).run },
  { names: ["create"], group: sandboxes, load: async () => (await import("./commands/create.ts")).create },
  { names: ["start"], group: sandboxes, load: async () => (await import("./commands/start.ts")).start },
  { names: ["stop"], group: sandboxes, load: async () => (await import("./commands/stop.ts")).stop },
  { names: ["restart"], group: sandboxes, load: async () => (await import("./commands/restart.ts")).restart },
  { names: ["exec"], group: sandboxes, load: async () => (await import("./commands/exec.ts")).exec },
  {
    names: ["remove", "rm"],
    group: sandboxes,
    load: async () => (await import("./commands/remove.ts")).remove,
  },
  { names: ["ping"], group: sandboxes, load: async () => (await import("./commands/ping.ts")).ping },
  { names: ["touch"], group: sandboxes, load: async () => (await import("./commands/touch.ts")).touch },
  { names: ["list", "ls"], group: inspection, load: async () => (await import("./commands/list.ts")).list },
  {
    names: ["status", "ps"],
    group: inspection,
    load: async () => (await import("./commands/status.ts")).status,
  },
  {
    names: ["inspect"],
    group: inspection,
    load: async () => (await import("./commands/inspect.ts")).inspect,
  },
  { names: ["logs"], group: inspection, load: async () => (await import("./commands/logs.ts")).logs },
  {
    names: ["metrics"],
    group: inspection,
    load: async () => (await import("./commands/metrics.ts")).metrics,
  },
  {
    names: ["doctor", "check"],
    group: other,
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },
  {
    names: ["completion"],
    group: other,
    load: async () => (await import("./commands/completion.ts")).completion,
  },
  {
    names: ["__complete"],
    group: other,
    load: async () => (await import("./commands/complete.ts")).complete,
  },
];
