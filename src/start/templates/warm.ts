import { mkdir } from "node:fs/promises";
import { newSandboxId, pathsIn } from "../../store/sandboxes.ts";
import { readGlobalConfig } from "../../store/global-config.ts";
import { stageTemplate } from "../../store/templates/template-staging.ts";
import { templateLimitBytes, whyNoTemplates } from "../../store/templates/template-settings.ts";
import type { Home } from "../../store/home.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { withAccelerator } from "../boot.ts";
import { KernelLog } from "../../supervisor/logs/kernel-log.ts";
import { RuntimeLog } from "../../supervisor/logs/runtime-log.ts";
import { bootDeadlineMs } from "../start-errors.ts";
import { warmTemplate } from "./template-start.ts";

/** `ready`: it was there already. null: none can be made here. */
export type WarmOutcome = "ready" | "made" | null;

/**
 * Makes the template that a sandbox of this configuration would start from.
 *
 * @param notice told what the user should know, such as an accelerator that does not work
 * @returns with the template checked in, whole and on the disk
 * @throws as the start of such a sandbox
 */
export async function warm(
  home: Home,
  config: StoredConfig,
  notice: (message: string) => void,
): Promise<WarmOutcome> {
  const settings = await readGlobalConfig(home);
  if (whyNoTemplates(process.env, settings, config.memoryMib) !== null) return null;
  // What the guest writes goes to a place that is cleared away however this process ends.
  await using place = await stageTemplate(home);
  const paths = pathsIn(place.directory);
  await mkdir(paths.logs, { mode: 0o700 });
  const runtimeLog = await RuntimeLog.open(paths.runtimeLog, "warn");
  const kernelLog = await KernelLog.open(paths.kernelLog);
  const later: ((signal: AbortSignal) => Promise<void>)[] = [];
  const { signal } = new AbortController();
  const context = {
    home,
    record: { format: 1, id: newSandboxId(), name: "template", createdAt: new Date().toISOString(), config },
    paths,
    runtimeLog,
    kernelLog,
    signal,
    progress: () => undefined,
    notice,
    afterwards: (work: (signal: AbortSignal) => Promise<void>) => later.push(work),
    begun: null,
    agentLost: () => undefined,
  } as const;
  try {
    const deadline = AbortSignal.timeout(bootDeadlineMs());
    const outcome = await withAccelerator(context, deadline, (plan) =>
      warmTemplate(plan, templateLimitBytes(settings)),
    );
    for (const work of later) await work(signal);
    return outcome;
  } finally {
    await Promise.all([runtimeLog.close(), kernelLog.close()]);
  }
}
