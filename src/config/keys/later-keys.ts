/**
 * Keys that a later version brings. One that asks for nothing, or for what is done anyway, is let through: a program or a file
 * that is written for several versions may have it.
 */
export interface LaterKeys {
  readonly [key: string]: readonly unknown[];
}

/** Of the configuration object. */
export const laterConfigKeys: LaterKeys = {
  cpuPlacement: ["inherit"],
  init: [],
  maxCpus: [],
  maxMemoryMib: [],
  placementProfile: [],
  security: ["default"],
  securityProfile: ["default"],
  vsock: [],
};

/** Of `config.json`, by the section that they are in. */
export const laterGlobalKeys: Readonly<Record<string, LaterKeys>> = {
  "": {
    home: [],
    database: [],
    metrics: [],
    runtime: [],
    active_profile: [],
    profiles: [],
  },
  paths: { msb: [], cache: [], sandboxes: [], volumes: [], logs: [], secrets: [], snapshots: [] },
  sandbox_defaults: { cpu_placement: ["inherit"], placement_profile: [] },
};

/** Whether a value of a later key asks for nothing that this version does not do. An empty list or object says nothing. */
export function asksForNothing(value: unknown, done: readonly unknown[] = []): boolean {
  if (value === null || value === undefined || done.includes(value)) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}
