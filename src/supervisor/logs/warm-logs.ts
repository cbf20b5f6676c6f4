import type { WarmLogs } from "../../start/warm.ts";
import type { SandboxPaths } from "../../store/sandboxes.ts";
import { KernelLog } from "./kernel-log.ts";
import { RuntimeLog } from "./runtime-log.ts";

/** The logs of a guest that becomes a template and no sandbox. @throws IoError */
export async function openWarmLogs(paths: Pick<SandboxPaths, "runtimeLog" | "kernelLog">): Promise<WarmLogs> {
  const runtimeLog = await RuntimeLog.open(paths.runtimeLog, "warn");
  const kernelLog = await KernelLog.open(paths.kernelLog);
  return {
    runtimeLog,
    kernelLog,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([runtimeLog.close(), kernelLog.close()]);
    },
  };
}
