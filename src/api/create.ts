import { access, constants } from "node:fs/promises";
import { resolve } from "node:path";
import {
  BootStartError,
  LibkrunfwNotFoundError,
  SandboxNotFoundError,
  SandboxReplacedError,
  SandboxStillRunningError,
  UnsupportedOperationError,
} from "../errors/index.ts";
import { embeddedImage, isEmbeddedImage } from "../image/index.ts";
import {
  createSandbox as createOnDisk,
  findSandbox,
  locateHome,
  nameExists,
  nameTaken,
  newSandboxId,
  prepareHome,
  readGlobalConfig,
  removeSandbox,
  type GlobalConfig,
  type Home,
  type SandboxRecord,
} from "../store/index.ts";
import { launchSupervisor } from "./launch.ts";
import type { StartObserver } from "./progress.ts";
import { Sandbox } from "./sandbox.ts";
import { refuseSettings } from "./sandbox-draft.ts";
import { effectiveConfig, type SandboxConfig } from "./sandbox-config.ts";
import { killWaitMs, SandboxControl } from "./sandbox-control.ts";

/** Creates and boots a sandbox from a checked configuration. */
export async function createSandbox(
  config: SandboxConfig,
  unsupported: readonly string[],
  attached: boolean,
  observer: StartObserver,
): Promise<Sandbox> {
  refuseUnsupported(config, unsupported);
  const home = locateHome();
  const settings = await readGlobalConfig(home);
  const kernelPath = await chooseKernel(config, settings);
  const record: SandboxRecord = {
    format: 1,
    id: newSandboxId(),
    name: config.name,
    createdAt: new Date().toISOString(),
    config: effectiveConfig(config, settings, kernelPath),
  };
  await prepareHome(home);
  if (await nameExists(home, config.name)) {
    if (!config.replace) throw await nameTaken(home, config.name);
    await removeOld(home, config);
  }
  const lock = await createOnDisk(home, record);
  try {
    const connection = await launchSupervisor(home, config.name, lock, attached, observer);
    return new Sandbox(new SandboxControl(home, record, connection, true), attached);
  } catch (error) {
    // A VM that failed leaves its logs to be read; what failed before there was one leaves nothing worth keeping.
    if (!(error instanceof BootStartError)) {
      await lock.release();
      await removeSandbox(home, config.name, record.id).catch(() => undefined);
    }
    throw error;
  } finally {
    await lock.release();
  }
}

function refuseUnsupported(config: SandboxConfig, unsupported: readonly string[]): void {
  refuseSettings(unsupported);
  const { image } = config;
  if (image.kind === "oci" && isEmbeddedImage(image.reference)) return;
  const wanted = image.kind === "oci" ? image.reference : `a ${image.kind} root (${image.path})`;
  throw new UnsupportedOperationError(`this version of microsandbox does not have the image ${wanted} yet`, {
    hint: `Use the embedded image: image("${embeddedImage}").`,
  });
}

/** The setting, then the environment, then config.json, then the kernel that comes with this package. */
async function chooseKernel(config: SandboxConfig, settings: GlobalConfig): Promise<string | null> {
  const fromEnvironment = process.env["MSB_KERNEL"];
  const chosen =
    config.libkrunfwPath ??
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
async function removeOld(home: Home, config: SandboxConfig): Promise<void> {
  const giveUpAt = performance.now() + config.replaceWithTimeoutMs + 2 * killWaitMs;
  for (;;) {
    const old = await findSandbox(home, config.name).catch(() => null);
    const control = old === null ? null : new SandboxControl(home, old.record, null, false);
    try {
      await control?.stop(config.replaceWithTimeoutMs);
      await removeSandbox(home, config.name, old?.record.id ?? null);
      return;
    } catch (error) {
      // An ephemeral one removes itself.
      if (error instanceof SandboxNotFoundError) return;
      const retry = error instanceof SandboxStillRunningError || error instanceof SandboxReplacedError;
      if (!retry || control === null || performance.now() > giveUpAt) throw error;
      await control.waitForChange();
    }
  }
}
