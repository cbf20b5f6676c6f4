import { checkCallOptions } from "../../host/call-options.ts";
import type { GivenProvider } from "../../config/mounts/given-provider.ts";
import { providersFor, requireNoProviders, type Providers } from "../../config/mounts/provider-mounts.ts";
import { checkMemory } from "../../config/sandbox/least-memory.ts";
import { checkProxyCredentials } from "../../config/network/proxy/proxy-credentials.ts";
import { checkStartEnvironment } from "../setup/backend.ts";
import type { Operation } from "../../host/operation.ts";
import { observed } from "./observed.ts";
import { InvalidConfigError, SandboxNotFoundError, SandboxStillRunningError } from "../../errors/index.ts";
import { lockStoppedSandbox, type FoundSandbox } from "../../store/sandboxes.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import { readSecretFile, writeSecretFile } from "../../store/secret-file.ts";
import type { GivenHooks } from "../../config/network/interception/http-hooks.ts";
import { checkGivenHooks, type HooksInput, requireNoHooks, runHooks } from "../providers/run-hooks.ts";
import { checkGivenSecrets, type SecretsInput } from "../providers/given-secrets.ts";
import {
  keptSecrets,
  noRunSecrets,
  requireNoFunctions,
  runSecrets,
  type RunSecrets,
} from "../providers/run-secrets.ts";
import { prepareHome } from "../../store/home.ts";
import { requireFreeMounts } from "../../store/mounts/hold-mounts.ts";
import type { FileProvider } from "../../provider/file-provider.ts";
import { launchSupervisor } from "./launch.ts";
import { observerCallbacks, type StartObserver, type StartReport } from "./progress.ts";
import { defaultGraceMs, killWaitMs } from "../control/control-limits.ts";
import { SandboxControl } from "../control/sandbox-control.ts";
import { removeSuspensions } from "../../store/suspension.ts";
import { isTerminal } from "../../config/enums.ts";

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
  /**
   * Values of secrets, by their variables in the guest, or functions that fetch them where they were made with `provider()`. One that is
   * stored has this value from now on; others have it for this run. Restarting takes what the same object was created or started with,
   * where another one is not given.
   */
  readonly secrets?: SecretsInput | undefined;
  /**
   * Functions that look at requests and answers, for a sandbox that was made with them. Restarting takes what the same object was created
   * or started with, where another one is not given.
   */
  readonly hooks?: HooksInput | undefined;
  /** A suspended sandbox is started without its memory: as after a loss of power. */
  readonly fresh?: boolean | undefined;
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
export const startOptions = {
  ...observerCallbacks,
  providers: "any",
  secrets: "any",
  hooks: "any",
  fresh: "boolean",
} as const;

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
 * @param prepare called when nobody else can start it any more
 * @throws SandboxStillRunningError, SandboxNotFoundError, InvalidConfigError for an environment variable, UnsupportedOperationError for a cloud, and what creating throws for a VM that fails
 */
export async function startSandbox(
  operation: Operation,
  control: SandboxControl,
  attached: boolean,
  options: StartOptions,
  prepare: (found: FoundSandbox) => Promise<void> = () => Promise.resolve(),
): Promise<StartedSandbox> {
  checkStartEnvironment();
  const { providers: given, secrets: givenSecrets, hooks: givenHooks, fresh = false, ...observer } = options;
  const providers = providersToStart(control, attached, given);
  const hooks = hooksToStart(control, attached, givenHooks);
  const { home, name, id } = control;
  const found = await control.find();
  if (!isTerminal(found.status)) {
    throw new SandboxStillRunningError(`cannot start sandbox '${name}': already running`, {
      hint: `Use it as it is, or restart it ("msb restart ${name}").`,
    });
  }
  checkProxyCredentials(found.record.config, process.env);
  await prepareHome(home);
  operation.throwIfOver();
  const lock = await lockStoppedSandbox(home, name, id, "start");
  try {
    await requireFreeMounts(home, found.record.config);
    await prepare(found);
    await removeSuspensions(found.paths.directory, { fresh });
    const secrets = await secretsToStart(control, found, attached, givenSecrets);
    const parts = { providers, secrets, hooks };
    const { connection, report } = await launchSupervisor(
      home,
      found.record,
      lock,
      attached,
      observed(operation, observer),
      parts,
    );
    const kept = { providers, hooks, secrets: keptSecrets(secrets) };
    return { control: new SandboxControl(home, found.record, connection, true, kept), report };
  } finally {
    await lock.release();
  }
}

/** @throws InvalidConfigError for providers that are missing or of no mount; UnsupportedOperationError for a detached sandbox with any */
function providersToStart(
  { record, parts: { providers } }: SandboxControl,
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

/** @throws InvalidConfigError for one that is missing, or none of the sandbox's; UnsupportedOperationError for a detached sandbox with any */
function hooksToStart(
  { record, parts }: SandboxControl,
  attached: boolean,
  given: StartOptions["hooks"],
): GivenHooks {
  const hooks = runHooks(record.config.network?.http ?? null, checkGivenHooks(given), parts.hooks);
  if (!attached) requireNoHooks(hooks, `sandbox ${record.name}`);
  return hooks;
}

/**
 * Finds the values of secrets, and stores those that are to be stored. The caller has the sandbox's lock.
 *
 * @throws InvalidConfigError for one that is missing, or none of the sandbox's; UnsupportedOperationError for a detached sandbox with a
 *   function; IoError, JsonError
 */
async function secretsToStart(
  control: SandboxControl,
  found: FoundSandbox,
  attached: boolean,
  input: StartOptions["secrets"],
): Promise<RunSecrets> {
  const secrets = await findSecrets(control, found, attached, input);
  const { paths } = found;
  if (secrets.stored.size > 0) {
    const stored = await readSecretFile(paths.secrets);
    await writeSecretFile(paths.secrets, new Map([...stored, ...secrets.stored]));
  }
  return secrets;
}

function secretsOf({ config }: SandboxRecord): readonly SecretConfig[] {
  return config.network?.secrets ?? [];
}

async function findSecrets(
  { parts }: SandboxControl,
  { record, paths }: FoundSandbox,
  attached: boolean,
  input: StartOptions["secrets"],
): Promise<RunSecrets> {
  const secrets = secretsOf(record);
  const given = checkGivenSecrets(secrets, input);
  if (secrets.length === 0) return noRunSecrets;
  const stored = await readSecretFile(paths.secrets);
  const found = await runSecrets(secrets, given, parts.secrets.material, stored);
  if (!attached) requireNoFunctions(found.material, `sandbox ${record.name}`);
  return found;
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
  checkProxyCredentials(control.record.config, process.env);
  const { onProgress, onNotice, onStarted, providers, secrets, hooks } = options;
  const attached = options.detached !== true;
  providersToStart(control, attached, providers);
  hooksToStart(control, attached, hooks);
  checkGivenSecrets(secretsOf(control.record), secrets);
  if (secretsOf(control.record).length > 0)
    await findSecrets(control, await control.find(), attached, secrets);
  if (options.force === true) await control.kill(operation, killWaitMs);
  else await control.stop(operation, options.timeoutMs ?? defaultGraceMs);
  // One that is suspended is none that goes on.
  const observer = { onProgress, onNotice, onStarted, providers, secrets, hooks, fresh: true };
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
