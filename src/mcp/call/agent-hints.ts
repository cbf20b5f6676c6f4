import type { MicrosandboxErrorCode } from "../../errors/index.ts";

/** What to do about errors whose own hint says commands of `msb`: whoever has only tools is told the tools. */
export const agentHints: Readonly<Partial<Record<MicrosandboxErrorCode, string>>> = {
  sandboxNotFound: "sandbox_list has those that there are; sandbox_create makes one.",
  sandboxAlreadyExists:
    "Choose another name, set lifecycle.replace, or use it as it is: sandbox_start, sandbox_exec.",
  sandboxStillRunning: "Use it as it is, or end it first: sandbox_stop, or force of sandbox_remove.",
  sandboxNotRunning: "sandbox_start starts it; sandbox_exec and sandbox_shell do with startIfStopped.",
  sandboxPaused: "sandbox_resume lets it go on.",
  checkpointNotFound: "checkpoint_list has those of the sandbox.",
  checkpointAlreadyExists: "Choose another name, or remove it first: checkpoint_remove.",
  snapshotNotFound: "snapshot_list has those that there are.",
  volumeNotFound: "volume_list has those that there are; volume_create makes one.",
  volumeAlreadyExists: "Use it as it is, choose another name, or remove it first: volume_remove.",
};
