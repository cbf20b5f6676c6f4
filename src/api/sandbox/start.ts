import { SandboxNotFoundError, SandboxStillRunningError } from "../../errors/index.ts";
import { lockStoppedSandbox } from "../../store/sandboxes.ts";
import { prepareHome } from "../../store/home.ts";
import { launchSupervisor } from "./launch.ts";
import type { StartObserver, StartReport } from "./progress.ts";
import { defaultGraceMs, isTerminal, killWaitMs, SandboxControl } from "../control/sandbox-control.ts";

/** What restarting takes beside the time to stop. */
export interface RestartOptions extends StartObserver {
  /** Kill instead of stopping. */
  readonly force?: boolean;
  /** Grace of the stop, ms; by default 10000. */
  readonly timeoutMs?: number;
  /** Whether the sandbox goes on after this process; by default false. */
  readonly detached?: boolean;
}

/** What removing a sandbox that may run takes. */
export interface DestroyOptions {
  readonly force?: boolean;
  readonly timeoutMs?: number;
}

export interface StartedSandbox {
  readonly control: SandboxControl;
  readonly report: StartReport;
}

/**
 * Boots a stopped sandbox again with what it has on disk.
 *
 * @throws SandboxStillRunningError, SandboxNotFoundError, and what creating throws for a VM that fails
 */
export async function startSandbox(
  control: SandboxControl,
  attached: boolean,
  observer: StartObserver,
): Promise<StartedSandbox> {
  const { home, name, id } = control;
  const found = await control.find();
  if (!isTerminal(found.status)) {
    throw new SandboxStillRunningError(`cannot start sandbox '${name}': already running`, {
      hint: `Use it as it is, or restart it ("msb restart ${name}").`,
    });
  }
  await prepareHome(home);
  const lock = await lockStoppedSandbox(home, name, id, "start");
  try {
    const { connection, report } = await launchSupervisor(home, found.record, lock, attached, observer);
    return { control: new SandboxControl(home, found.record, connection, true), report };
  } finally {
    await lock.release();
  }
}

/** Stops a sandbox if it runs and boots it again. @throws as {@link startSandbox} */
export async function restartSandbox(
  control: SandboxControl,
  options: RestartOptions,
): Promise<StartedSandbox> {
  if (options.force === true) await control.kill(killWaitMs);
  else await control.stop(options.timeoutMs ?? defaultGraceMs);
  return await startSandbox(control, options.detached !== true, options);
}

/** Stops a sandbox if it runs and removes it. */
export async function destroySandbox(control: SandboxControl, options: DestroyOptions): Promise<void> {
  if (options.force === true) await control.kill(killWaitMs);
  else await control.stop(options.timeoutMs ?? defaultGraceMs);
  await control.remove().catch((error: unknown) => {
    // An ephemeral sandbox has removed itself.
    if (error instanceof SandboxNotFoundError && control.record.config.ephemeral) return;
    throw error;
  });
}
