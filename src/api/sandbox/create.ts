import { access, constants } from "node:fs/promises";
import { resolve } from "node:path";
import {
  BootStartError,
  ImageError,
  InvalidConfigError,
  LibkrunfwNotFoundError,
  SandboxNotFoundError,
  SandboxReplacedError,
  SandboxStillRunningError,
} from "../../errors/index.ts";
import type { RegistryOptions } from "../../image/registry/settings.ts";
import { checkRecord, newRecord } from "../../store/sandbox-record.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import {
  createSandboxDirectory,
  findSandbox,
  nameExists,
  nameTaken,
  newSandboxId,
  removeSandbox,
  type SandboxPaths,
} from "../../store/sandboxes.ts";
import { locateHome, prepareHome, type Home } from "../../store/home.ts";
import type { FoundSnapshot } from "../../store/snapshots/snapshots.ts";
import { checkMounts } from "../../store/mounts/check-mounts.ts";
import { requireFreeMounts } from "../../store/mounts/hold-mounts.ts";
import { providersOf, requireNoProviders } from "../../config/mounts/provider-mounts.ts";
import type { VolumeMount } from "../../config/mounts/volume-mount.ts";
import type { VolumeConfig } from "../../config/volumes/volume-config.ts";
import { makeMissing } from "../volumes/missing-volumes.ts";
import { readGlobalConfig } from "../../store/global-config.ts";
import type { GlobalConfig } from "../../config/global/global-config.ts";
import { Operation } from "../../host/operation.ts";
import { checkStartEnvironment } from "../setup/backend.ts";
import { runtimeKernelPath } from "../setup/runtime-kernel.ts";
import { launchSupervisor } from "./launch.ts";
import { observed } from "./observed.ts";
import { beginWithMemory, copyOrigin, findOrigin, withOrigin } from "../snapshots/origin/origin.ts";
import { isFull, restoredConfig, restoredSecrets } from "../snapshots/origin/restored-config.ts";
import { checkGivenSecrets, type SecretsInput } from "../providers/given-secrets.ts";
import { observerCallbacks, tellNotice, type CreateObserver } from "./progress.ts";
import { checkRoot, registryOptions, resolveRoot, type ResolvedRoot } from "./create-root.ts";
import { checkInterception } from "../network/check-interception.ts";
import { Sandbox } from "./sandbox.ts";
import { refuseSettings } from "../../config/keys/refuse-settings.ts";
import { checkNetwork } from "../../config/network/check-network.ts";
import { networkNotices } from "../../config/network/network-notices.ts";
import { checkProxyCredentials } from "../../config/network/proxy/proxy-credentials.ts";
import { networkSettingsOf } from "../../config/network/network-settings.ts";
import { type GivenHooks, noHooks } from "../../config/network/interception/http-hooks.ts";
import { requireNoHooks, runHooks } from "../providers/run-hooks.ts";
import { keptSecrets, requireNoFunctions, runSecrets, type RunSecrets } from "../providers/run-secrets.ts";
import type { BesideConfig } from "../../config/sandbox/beside-config.ts";
import { effectiveConfig } from "../../config/sandbox/effective-config.ts";
import { checkPatchable } from "../../config/patches/check-patchable.ts";
import { checkPatchSources } from "../../config/patches/check-sources.ts";
import { checkMemory } from "../../config/sandbox/least-memory.ts";
import { checkHostShutdown } from "../../config/sandbox/suspendable.ts";
import { shortOfProcessors } from "../../config/sandbox/processors.ts";
import type { SandboxConfig } from "../../config/sandbox/sandbox-config.ts";
import { killWaitMs } from "../control/control-limits.ts";
import { SandboxControl } from "../control/sandbox-control.ts";

/** Between a pull and the sandbox that uses it, someone may remove the image; then it is pulled again, so many times. */
const pullTries = 3;

/** What a sandbox is to be, found valid; nothing of it exists yet. */
export interface Creation {
  readonly home: Home;
  readonly settings: GlobalConfig;
  readonly config: SandboxConfig;
  /** Values of secrets and functions, which are in neither configuration. */
  readonly beside: BesideConfig;
  /** The snapshot that it begins with. */
  readonly origin: FoundSnapshot | null;
  /** Whether it goes on with the memory of that. */
  readonly continues: boolean;
  readonly stored: StoredConfig;
  /** The volumes that are made for it. */
  readonly missing: readonly VolumeConfig[];
  readonly registry: RegistryOptions | undefined;
  readonly secrets: RunSecrets;
  readonly hooks: GivenHooks;
}

/** How a snapshot with memory is begun with. */
export interface Restoring {
  /** Its memory is left out: the sandbox boots. */
  readonly diskOnly: boolean;
  /** The values of its secrets. */
  readonly secrets: SecretsInput | undefined;
}

const asItIs: Restoring = { diskOnly: false, secrets: undefined };

/** Creates and boots a sandbox from a checked configuration. */
export async function createSandbox(
  config: SandboxConfig,
  beside: BesideConfig,
  attached: boolean,
  observer: CreateObserver,
  restoring: Restoring = asItIs,
): Promise<Sandbox> {
  return await Operation.run(
    `create sandbox ${config.name}`,
    observer,
    async (operation) => {
      operation.log("checking the configuration");
      const prepared = await operation.wait(prepareCreation(config, beside, restoring));
      return await carryOut(prepared, attached, operation, observer);
    },
    observerCallbacks,
  );
}

/**
 * Finds out everything that can be wrong before anything is fetched or made.
 *
 * @throws InvalidConfigError, UnsupportedOperationError, ImageError for a reference that is none,
 * LibkrunfwNotFoundError, SandboxAlreadyExistsError, SnapshotNotFoundError, SnapshotIntegrityError, IoError
 */
export async function prepareCreation(
  asked: SandboxConfig,
  beside: BesideConfig,
  restoring: Restoring = asItIs,
): Promise<Creation> {
  refuseSettings(beside.unsupported);
  checkStartEnvironment();
  const home = locateHome();
  const origin = await findOrigin(home, asked);
  const config = origin === null ? asked : withOrigin(asked, origin);
  const image = await checkRoot(config.image);
  // What is wrong with files and volumes matters only where there can be such a sandbox.
  const isThere = await nameExists(home, config.name);
  if (isThere && !config.replace) throw await nameTaken(home, config.name);
  const { mounts, missing, files } = await checkMounts(home, { image, mounts: config.mounts });
  const settings = await readGlobalConfig(home);
  const kernelPath = await chooseKernel(config, settings);
  const full = isFull(origin) ? origin : null;
  const continues = full !== null && !restoring.diskOnly;
  const stored =
    full === null
      ? effectiveConfig({ ...config, image, mounts }, settings, kernelPath)
      : restoredConfig({
          ...{ snapshot: full, globals: settings, kernelPath, continues },
          asked: { ...config, mounts },
        });
  checkMemory(stored);
  // A named volume may be a directory.
  checkHostShutdown(stored, files);
  if (stored.network !== null) await checkInterception(stored.network, process.env);
  // The profile may be one that config.json says.
  checkNetwork({ ...stored, network: networkSettingsOf(stored) });
  checkProxyCredentials(stored, process.env);
  // The root disk may be one that config.json says.
  checkPatchable(stored.image, stored.patches, stored.rootDisk);
  await checkPatchSources(stored.patches);
  const { rootDisk, memoryMib } = stored;
  if (rootDisk.kind === "tmpfs" && rootDisk.sizeMib !== null && rootDisk.sizeMib > memoryMib) {
    throw new InvalidConfigError(
      `the root disk in memory is ${rootDisk.sizeMib} MiB, but the memory only ${memoryMib} MiB`,
      { hint: "Make it smaller, or give the sandbox more memory." },
    );
  }
  const registry = config.registry === null ? undefined : await registryOptions(config.registry);
  // A snapshot without memory brings no secrets.
  if (full === null) checkGivenSecrets([], restoring.secrets);
  const secrets =
    full === null
      ? await runSecrets(stored.network?.secrets ?? [], beside.secrets, new Map(), new Map())
      : await restoredSecrets(stored, restoring.secrets);
  const hooks = runHooks(stored.network?.http ?? null, beside.hooks, noHooks);
  await prepareHome(home);
  // The one that is replaced may use them now.
  if (!isThere) await requireFreeMounts(home, { image, mounts: without(missing, mounts) });
  return { home, settings, config, beside, origin, continues, stored, missing, registry, secrets, hooks };
}

function without(missing: readonly VolumeConfig[], mounts: readonly VolumeMount[]): readonly VolumeMount[] {
  const names = missing.map(({ name }) => name);
  return mounts.filter((mount) => mount.kind !== "named" || !names.includes(mount.name));
}

/**
 * Fetches the image, then makes the sandbox and boots it. A sandbox that is to be replaced goes only when its successor has
 * its image.
 *
 * @throws UnsupportedOperationError for one that nobody is to own, with files that this program provides
 */
export async function carryOut(
  creation: Creation,
  attached: boolean,
  operation: Operation,
  callerObserver: CreateObserver,
): Promise<Sandbox> {
  const { config } = creation;
  if (!attached) {
    requireNoProviders(config.mounts, `sandbox ${config.name}`);
    requireNoFunctions(creation.secrets.material, `sandbox ${config.name}`);
    requireNoHooks(creation.hooks, `sandbox ${config.name}`);
  }
  const observer = observed(operation, callerObserver);
  const shortage = shortOfProcessors(creation.stored);
  if (shortage !== null) tellNotice(observer, shortage);
  for (const notice of networkNotices(creation.stored)) tellNotice(observer, notice);
  for (let tries = 1; tries <= pullTries; tries += 1) {
    const root = await resolveRoot(creation, observer);
    const sandbox = await makeAndBoot(creation, root, attached, operation, observer);
    if (sandbox !== null) return sandbox;
  }
  throw new ImageError("the image is removed each time it has been pulled", {
    hint: "Something prunes images all the time; stop it.",
  });
}

function isEnsured(volume: string, mounts: readonly VolumeMount[]): boolean {
  const modes = mounts.flatMap((mount) =>
    mount.kind === "named" && mount.name === volume ? [mount.namedMode] : [],
  );
  return modes.every((mode) => mode === "ensure-exists");
}

/** @returns null when the image was removed before the sandbox's record could hold it; nothing is left of the sandbox then */
async function makeAndBoot(
  { home, config, origin, continues, missing, secrets, hooks }: Creation,
  root: ResolvedRoot,
  attached: boolean,
  operation: Operation,
  observer: CreateObserver,
): Promise<Sandbox | null> {
  const { signal } = observer;
  const { name } = config;
  const createdAt = new Date().toISOString();
  const record = newRecord({ id: newSandboxId(), name, createdAt, config: root.stored });
  checkRecord(record);
  signal?.throwIfAborted();
  if (config.replace && (await nameExists(home, name))) await removeOld(operation, home, config);
  await requireFreeMounts(home, { ...root.stored, mounts: without(missing, root.stored.mounts) });
  const made = await makeMissing(home, missing, (volume) => isEnsured(volume, root.stored.mounts));
  const fill = (staging: SandboxPaths): Promise<void> =>
    continues && isFull(origin)
      ? beginWithMemory(origin, staging, signal)
      : copyOrigin(origin, staging.upper, signal);
  const lock = await createSandboxDirectory(home, record, secrets.stored, fill).catch(
    async (error: unknown) => {
      await made.undo();
      // Of a snapshot's disk that was not copied to its end.
      signal?.throwIfAborted();
      throw error;
    },
  );
  const discard = async (): Promise<void> => {
    await lock.release();
    await removeSandbox(home, name, record.id).catch(() => undefined);
    await made.undo();
  };
  try {
    if (!(await root.isStored(signal))) {
      await discard();
      return null;
    }
    signal?.throwIfAborted();
    const parts = { providers: providersOf(config.mounts), secrets, hooks };
    const { connection, report } = await launchSupervisor(home, record, lock, attached, observer, parts);
    const kept = { ...parts, secrets: keptSecrets(secrets) };
    return new Sandbox(new SandboxControl(home, record, connection, true, kept), attached, report);
  } catch (error) {
    // A VM that failed leaves its logs to be read; what failed before there was one leaves nothing worth keeping. One that was not
    // patched to the end cannot be started either, and one that did not go on from a snapshot is made again from that. Its volumes go with it, if they were made for it.
    const isUnfit = record.config.patches.length > 0 || missing.length > 0 || continues;
    if (!(error instanceof BootStartError) || isUnfit) await discard();
    throw error;
  } finally {
    await lock.release();
  }
}

/** The setting, then what the program has said, then the environment, then config.json, then the kernel that comes with this package. */
async function chooseKernel(config: SandboxConfig, settings: GlobalConfig): Promise<string | null> {
  const fromEnvironment = process.env["MSB_KERNEL"];
  const chosen =
    config.libkrunfwPath ??
    runtimeKernelPath() ??
    (fromEnvironment === "" ? undefined : fromEnvironment) ??
    settings.paths?.libkrunfw;
  if (chosen === undefined || chosen === null) return null;
  const path = resolve(chosen);
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    throw new LibkrunfwNotFoundError(`the guest kernel ${path} cannot be read`, {
      cause: error,
      hint: "Name a vmlinux or bzImage that this user can read (libkrunfwPath, MSB_KERNEL or config.json), or none.",
    });
  }
  return path;
}

/**
 * The old sandbox goes only after the new configuration was found valid. One that another program is starting at this
 * moment says so only a little later, so it may take more than one try.
 */
async function removeOld(operation: Operation, home: Home, config: SandboxConfig): Promise<void> {
  const giveUpAt = performance.now() + config.replaceWithTimeoutMs + 2 * killWaitMs;
  for (;;) {
    const old = await findSandbox(home, config.name).catch(() => null);
    const control = old === null ? null : new SandboxControl(home, old.record, null, false);
    try {
      await control?.stop(operation, config.replaceWithTimeoutMs);
      await removeSandbox(home, config.name, old?.record.id ?? null);
      return;
    } catch (error) {
      // An ephemeral one removes itself.
      if (error instanceof SandboxNotFoundError) return;
      const retry = error instanceof SandboxStillRunningError || error instanceof SandboxReplacedError;
      if (!retry || control === null || performance.now() > giveUpAt) throw error;
      await control.waitForChange(operation);
    }
  }
}
