import { checkCallOptions } from "../../host/call-options.ts";
import type { GivenProvider } from "../../config/mounts/given-provider.ts";
import { providersFor, requireNoProviders, type Providers } from "../../config/mounts/provider-mounts.ts";
import { checkMemory } from "../../config/sandbox/least-memory.ts";
import { checkStartEnvironment } from "../setup/backend.ts";
import type { Operation } from "../../host/operation.ts";
import { observed } from "./observed.ts";
import { InvalidConfigError, SandboxNotFoundError, SandboxStillRunningError } from "../../errors/index.ts";
import { lockStoppedSandbox } from "../../store/sandboxes.ts";
import { prepareHome } from "../../store/home.ts";
import { requireFreeMounts } from "../../store/mounts/hold-mounts.ts";
import type { FileProvider } from "../../provider/file-provider.ts";
import { launchSupervisor } from "./launch.ts";
import { observerCallbacks, type StartObserver, type StartReport } from "./progress.ts";
import { defaultGraceMs, killWaitMs, SandboxControl } from "../control/sandbox-control.ts";
import { isTerminal } from "../control/found-sandbox.ts";

/** What restarting takes beside the time to stop. */
export interface RestartOptions extends Omit<StartOptions, "timeoutMs"> {
  /** Kill instead of stopping. */
  readonly force?: boolean;
  /** Grace of the stop, ms; by default 10000. */
  readonly timeoutMs?: number;
  /** Whether the sandbox goes on after this process; by default false. */
  readonly detached?: boolean;
}

/** What starting a sandbox again takes beside {@link StartObserver}. */
export interface StartOptions extends StartObserver {
  /**
   * What this program provides, by the path where it is mounted: for each mount that was made with `provider()`. Restarting takes what
   * the same object was created or started with, where another one is not given.
   */
  readonly providers?: Readonly<Record<string, FileProvider | GivenProvider>> | undefined;
}

/** What removing a sandbox that may run takes. */
export interface DestroyOptions {
  /** Kill instead of stopping. */
  readonly force?: boolean;
  /** Grace of the stop, ms; by default 10000. */
  readonly timeoutMs?: number;
  /** Aborted: the call fails with the signal's reason. A stop that was asked for goes on; nothing is removed any more. */
  readonly signal?: AbortSignal | undefined;
}

/** What a start is given, for the check of its options. */
export const startOptions = { ...observerCallbacks, providers: "any" } as const;

/** @throws InvalidConfigError */
export function checkRestartOptions(options: RestartOptions): void {
  checkCallOptions("restart", options, { ...startOptions, force: "boolean", detached: "boolean" });
}

/** @throws InvalidConfigError */
export function checkDestroyOptions(options: DestroyOptions): void {
  checkCallOptions("destroy", options, { force: "boolean" });
}

export interface StartedSandbox {
  readonly control: SandboxControl;
  readonly report: StartReport;
}

/**
 * Boots a stopped sandbox again with what it has on disk.
 *
 * @throws SandboxStillRunningError, SandboxNotFoundError, InvalidConfigError for an environment variable, UnsupportedOperationError for a cloud, and what creating throws for a VM that fails
 */
export async function startSandbox(
  operation: Operation,
  control: SandboxControl,
  attached: boolean,
  options: StartOptions,
): Promise<StartedSandbox> {
  checkStartEnvironment();
  const { providers: given, ...observer } = options;
  const providers = providersToStart(control, attached, given);
  const { home, name, id } = control;
  const found = await control.find();
  if (!isTerminal(found.status)) {
    throw new SandboxStillRunningError(`cannot start sandbox '${name}': already running`, {
      hint: `Use it as it is, or restart it ("msb restart ${name}").`,
    });
  }
  await prepareHome(home);
  operation.throwIfOver();
  const lock = await lockStoppedSandbox(home, name, id, "start");
  try {
    await requireFreeMounts(home, found.record.config);
    const { connection, report } = await launchSupervisor(
      home,
      found.record,
      lock,
      attached,
      observed(operation, observer),
      providers,
    );
    return { control: new SandboxControl(home, found.record, connection, true, providers), report };
  } finally {
    await lock.release();
  }
}

/** @throws InvalidConfigError for providers that are missing or of no mount; UnsupportedOperationError for a detached sandbox with any */
function providersToStart(
  { record, providers }: SandboxControl,
  attached: boolean,
  given: StartOptions["providers"] = {},
): Providers {
  if (typeof given !== "object" || (given as unknown) === null || Array.isArray(given)) {
    throw new InvalidConfigError("the option providers is no object", {
      hint: 'Give the providers by their paths: { "/data": files }.',
    });
  }
  const { mounts } = record.config;
  if (!attached) requireNoProviders(mounts, `sandbox ${record.name}`);
  return providersFor(mounts, given, providers);
}

/** Stops a sandbox if it runs and boots it again. @throws as {@link startSandbox} */
export async function restartSandbox(
  operation: Operation,
  control: SandboxControl,
  options: RestartOptions,
): Promise<StartedSandbox> {
  // Before it is stopped.
  checkStartEnvironment();
  checkMemory(control.record.config);
  const { onProgress, onNotice, onStarted, providers } = options;
  const attached = options.detached !== true;
  providersToStart(control, attached, providers);
  if (options.force === true) await control.kill(operation, killWaitMs);
  else await control.stop(operation, options.timeoutMs ?? defaultGraceMs);
  const observer = { onProgress, onNotice, onStarted, providers };
  return await startSandbox(operation, control, attached, observer);
}

/** Stops a sandbox if it runs and removes it. */
export async function destroySandbox(
  operation: Operation,
  control: SandboxControl,
  options: DestroyOptions,
): Promise<void> {
  if (options.force === true) await control.kill(operation, killWaitMs);
  else await control.stop(operation, options.timeoutMs ?? defaultGraceMs);
  operation.throwIfOver();
  await control.remove().catch((error: unknown) => {
    // An ephemeral sandbox has removed itself.
    if (error instanceof SandboxNotFoundError && control.record.config.ephemeral) return;
    throw error;
  });
}
