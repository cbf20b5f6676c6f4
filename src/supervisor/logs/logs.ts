import type { SandboxPaths } from "../../store/sandboxes.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { ExecLog } from "./exec-log.ts";
import { KernelLog } from "./kernel-log.ts";
import { RuntimeLog } from "./runtime-log.ts";

/** What a sandbox leaves to be read. */
export interface Logs {
  readonly exec: ExecLog;
  readonly runtime: RuntimeLog;
  readonly kernel: KernelLog;
}

/** @throws IoError */
export async function openLogs(
  paths: SandboxPaths,
  { quietLogs, logLevel }: Pick<StoredConfig, "quietLogs" | "logLevel">,
): Promise<Logs> {
  const [exec, runtime, kernel] = await Promise.all([
    ExecLog.open(paths.execLog),
    RuntimeLog.open(paths.runtimeLog, quietLogs ? null : (logLevel ?? "warn")),
    KernelLog.open(paths.kernelLog),
  ]);
  return { exec, runtime, kernel };
}

/** Calls back when more of any of them is in its file. @returns stops that */
export function watchLogs({ exec, runtime, kernel }: Logs, changed: () => void): () => void {
  const ignored = [exec.watch(changed), runtime.watch(changed), kernel.watch(changed)];
  return () => {
    for (const ignore of ignored) ignore();
  };
}

/** Resolves when everything is written. */
export async function closeLogs({ exec, runtime, kernel }: Logs): Promise<void> {
  await Promise.all([exec.close(), runtime.close(), kernel.close()]);
}
