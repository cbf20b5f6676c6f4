import { checkMemory } from "../../config/sandbox/least-memory.ts";
import { settledAccelerator } from "../../machine/accelerator/accelerator.ts";
import { hostAccelerators } from "../../machine/accelerator/host-accelerators.ts";
import { measureTscKhz } from "../../machine/accelerator/tsc.ts";
import { resolveKernel } from "../../machine/kernel/kernel.ts";
import { findQemu } from "../../machine/qemu/qemu-binary.ts";
import { guestDirectory } from "../../host/package-files.ts";
import { readGlobalConfig } from "../../store/global-config.ts";
import type { Home } from "../../store/home.ts";
import type { SandboxPaths } from "../../store/sandboxes.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import { templateLimitBytes, whyNoTemplates } from "../../store/templates/template-settings.ts";
import type { StartInputs, TemplateUsage } from "../contract/handover.ts";
import { prepareMounts } from "./mounts.ts";
import { prepareNetwork } from "./network.ts";
import { prepareRoot } from "./root.ts";
import { templateKeys } from "./template-key.ts";

/** Whose machine it is. */
export interface Subject {
  readonly home: Home;
  readonly record: SandboxRecord;
  readonly paths: SandboxPaths;
}

/**
 * Finds out everything that has to be known before a sandbox's machine can be started. Tries nothing: where nobody knows yet
 * whether the hardware works, that stays open.
 *
 * @throws QemuNotFoundError, LibkrunfwNotFoundError, ImageError, InvalidConfigError, IoError; the first of these that is so
 */
export async function probeInputs(subject: Subject, signal: AbortSignal): Promise<StartInputs> {
  const { home, record, paths } = subject;
  // Again: one that was created with another version of this package may have less than today's kernel needs.
  checkMemory(record.config);
  // Side by side, because each of them is a wait for the disk.
  const usage = templateUsage(subject);
  const qemu = findQemu({ cacheDirectory: home.cache });
  const kernel = resolveKernel({
    path: record.config.kernelPath,
    guestDirectory: guestDirectory(),
    stagingDirectory: paths.directory,
  });
  const root = prepareRoot(record.config, paths, home, signal);
  const mounts = prepareMounts(record.config, home, paths);
  const network = prepareNetwork(record.config, home);
  const candidates = hostAccelerators();
  const tscKhz = kernel.then((found) => measureTscKhz(found, home.cache));
  await Promise.allSettled([usage, qemu, kernel, root, mounts, network, candidates, tscKhz]);
  const found = {
    qemu: await qemu,
    kernel: await kernel,
    root: await root,
    mounts: await mounts,
    network: await network,
    candidates: await candidates,
    tscKhz: await tscKhz,
    templates: await usage,
  };
  const settled = await settledAccelerator(
    { cacheDirectory: home.cache },
    found.qemu,
    found.kernel,
    found.candidates,
  );
  if (settled === null) return { ...found, accelerator: null, keys: null };
  const { accelerator, why } = settled;
  const keys =
    found.templates.kind === "barred" ? null : await templateKeys({ ...found, record, accelerator });
  return { ...found, accelerator: { accelerator, why }, keys };
}

async function templateUsage({ home, record }: Subject): Promise<TemplateUsage> {
  const settings = await readGlobalConfig(home);
  const barred = whyNoTemplates(process.env, settings, record.config.memoryMib);
  return barred === null
    ? { kind: "allowed", limitBytes: templateLimitBytes(settings) }
    : { kind: "barred", reason: barred.why };
}
