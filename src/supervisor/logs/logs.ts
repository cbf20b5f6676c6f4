import type { SandboxPaths } from "../../store/sandboxes.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { JobBook } from "../jobs/job-book.ts";
import { ExecLog } from "./exec-log.ts";
import { KernelLog } from "./kernel-log.ts";
import { RuntimeLog } from "./runtime-log.ts";

/** What a sandbox leaves to be read. */
export interface Logs {
  readonly exec: ExecLog;
  /** What is known of the commands that nobody holds. */
  readonly jobs: JobBook;
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
  const jobs = await JobBook.open(paths.jobs, (problem) => {
    runtime.write("error", problem);
  });
  return { exec, runtime, kernel, jobs };
}

/** Calls back when more of any of them is in its file. @returns stops that */
export function watchLogs({ exec, runtime, kernel }: Logs, changed: () => void): () => void {
  const ignored = [exec.watch(changed), runtime.watch(changed), kernel.watch(changed)];
  return () => {
    for (const ignore of ignored) ignore();
  };
}

/** Resolves when everything is written. */
export async function closeLogs({ exec, runtime, kernel, jobs }: Logs): Promise<void> {
  await jobs.close();
  await Promise.all([exec.close(), runtime.close(), kernel.close()]);
}
