/** How much of what a sandbox's process does goes to its runtime.log. */
export const LogLevels = ["trace", "debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LogLevels)[number];
/** The same by name, as configuration objects have them: `logLevel: LogLevel.Debug`. */
export const LogLevel = {
  Trace: "trace",
  Debug: "debug",
  Info: "info",
  Warn: "warn",
  Error: "error",
} as const satisfies Record<string, LogLevel>;

/** When an image is fetched from its registry. */
export const PullPolicies = ["always", "if-missing", "never"] as const;
export type PullPolicy = (typeof PullPolicies)[number];

/** What a sandbox is doing. `created`: it exists and was never started. */
export const SandboxStatuses = [
  "created",
  "starting",
  "running",
  "paused",
  "draining",
  "suspended",
  "stopped",
  "crashed",
] as const;
export type SandboxStatus = (typeof SandboxStatuses)[number];

/** Whether nothing runs in this status. */
export function isTerminal(status: SandboxStatus): boolean {
  return status === "created" || status === "suspended" || status === "stopped" || status === "crashed";
}

/** Whether there is a guest, and a supervisor that answers. */
export function isUp(status: SandboxStatus): boolean {
  return !isTerminal(status) && status !== "starting";
}

/** What becomes of calls that need the guest of a paused sandbox. */
export const PausedCallsKinds = ["fail", "wait", "wake"] as const;
export type PausedCalls = (typeof PausedCallsKinds)[number];

/** Whether a guest writes to its disks what is only in its memory, before something is done to it. */
export const GuestFlushes = ["auto", "required", "skip"] as const;
export type GuestFlush = (typeof GuestFlushes)[number];

/** What becomes of a running sandbox when the host shuts down. */
export const HostShutdowns = ["stop", "suspend"] as const;
export type HostShutdown = (typeof HostShutdowns)[number];

/** The formats of disk images. */
export const DiskImageFormats = ["qcow2", "raw", "vmdk"] as const;
export type DiskImageFormat = (typeof DiskImageFormats)[number];

/** The kinds of changes of a root file system. */
export const PatchKinds = [
  "text",
  "file",
  "copyFile",
  "copyDir",
  "symlink",
  "mkdir",
  "remove",
  "append",
] as const;
export type PatchKind = (typeof PatchKinds)[number];

export const RootfsSourceKinds = ["bind", "oci", "disk"] as const;
export type RootfsSourceKind = (typeof RootfsSourceKinds)[number];

/** Which processors of the host the virtual ones run on. */
export const CpuPlacements = ["inherit", "auto", "spread", "compact"] as const;
export type CpuPlacement = (typeof CpuPlacements)[number];

/** Whether the host's users trust each other. */
export const DeploymentProfiles = ["single-tenant", "multi-tenant"] as const;
export type DeploymentProfile = (typeof DeploymentProfiles)[number];

/** The guest kernel's policy for transparent huge pages: Documentation/admin-guide/mm/transhuge.rst. */
export const ThpModes = ["always", "madvise", "never"] as const;
export type ThpMode = (typeof ThpModes)[number];

/** What is done when a secret is about to leave for a host that may not have it. */
export const ViolationActions = ["block", "block-and-log", "block-and-terminate", "passthrough"] as const;
export type ViolationAction = (typeof ViolationActions)[number];
/** The same by name. */
export const ViolationAction = {
  Block: "block",
  BlockAndLog: "block-and-log",
  BlockAndTerminate: "block-and-terminate",
  Passthrough: "passthrough",
} as const satisfies Record<string, ViolationAction>;
