import {
  BootStartError,
  InvalidConfigError,
  IoError,
  OperationTimeoutError,
  PatchFailedError,
  type BootStage,
} from "../../errors/index.ts";
import type { Operation } from "../../host/operation.ts";
import { numberFromEnvironment } from "../../host/process/environment-settings.ts";
import { diskInUse, isDiskInUse } from "../../machine/disks/disk-lock.ts";
import type { AcceleratorChoice, AcceleratorProbe } from "../../machine/accelerator/accelerator.ts";
import type { MachineExit } from "../../machine/types.ts";
import { comfortableMemoryMib } from "../../config/sandbox/least-memory.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { GuestBootError } from "../../agent-link/guest-boot-error.ts";
import type { StartContext } from "./context.ts";

const consoleLines = 20;
export const bootTimeoutHint = "The host may be overloaded; MSB_BOOT_TIMEOUT_MS raises the limit.";

/** From the start of QEMU to the guest's readiness. */
export function bootDeadlineMs(): number {
  return numberFromEnvironment("MSB_BOOT_TIMEOUT_MS");
}

/** A restored guest answers within a tenth of a second; on a host that is very busy it may take a hundred times that. */
const longestRestoreMs = 30_000;

/** For a restore, and for a save. Leaves most of the time for a boot in its stead. */
export function restoreDeadlineMs(): number {
  return Math.min(longestRestoreMs, Math.ceil(bootDeadlineMs() / 3));
}

/** What a guest was waited for, at the longest. */
export interface WaitLimit {
  readonly ms: number;
  /** What it is that has not happened by then. */
  readonly missed: string;
}

/** Of a whole start, whatever it consists of. */
export function bootLimit(): WaitLimit {
  return { ms: bootDeadlineMs(), missed: "the guest was not ready" };
}

/** Of a guest that goes on from a template. */
export function restoreLimit(): WaitLimit {
  return { ms: restoreDeadlineMs(), missed: "the restored guest did not answer" };
}

/** Of a step on the way to a template: of what is left of the start, enough has to stay for a boot in its stead. */
export function makingLimit({ leftMs }: Pick<Operation, "leftMs">): WaitLimit {
  return {
    ms: Math.ceil(Math.min(leftMs, bootDeadlineMs()) / 3),
    missed: "the guest to be saved was not ready",
  };
}

/** The accelerator that was on trial does not work here: the next one is to be tried. */
export class AcceleratorFailedError extends Error {
  readonly #probe: AcceleratorProbe;

  constructor(accelerator: string, probe: AcceleratorProbe, exit: MachineExit) {
    super(
      exit.reason === "error"
        ? `${accelerator} failed: ${exit.qemuOutput.trim() || exit.detail}`
        : `a kernel did not boot under ${accelerator} within ${probe.deadlineMs / 1000} s`,
    );
    this.#probe = probe;
  }

  /** Remembers the verdict. @returns what to use instead */
  next(): Promise<AcceleratorChoice> {
    return this.#probe.failed(this.message);
  }
}

/**
 * What the user is told when a machine could not become his sandbox. The machine has ended.
 *
 * @param limit how long it was waited for: told when `error` is that this was over
 */
export function startError(
  { record, kernelLog }: Pick<StartContext, "record" | "kernelLog">,
  stage: BootStage,
  error: unknown,
  exit: MachineExit,
  limit: WaitLimit,
): Error {
  // What the host could not do is told as it is everywhere else.
  if (error instanceof IoError || error instanceof PatchFailedError) return error;
  return (
    configError(record.config, error, exit) ??
    bootError(
      { sandboxName: record.name, stage: stageOf(error, stage), memoryMib: record.config.memoryMib },
      { error, exit, limit },
      kernelLog.lastLines(consoleLines),
    )
  );
}

/** The fault is in what was asked for, not in the machine. */
function configError(
  { workdir, image, mounts }: StoredConfig,
  error: unknown,
  exit: MachineExit,
): Error | null {
  if (error instanceof GuestBootError && error.step === "workdir") {
    const what = isNoDirectory(error)
      ? "is not a directory in the guest: a file is in its place, or in its path"
      : `is not in the guest and cannot be made there (${error.message})`;
    return new InvalidConfigError(`the workdir ${workdir ?? ""} ${what}`, {
      hint: "Choose a directory of the image, or one that can be made in it.",
    });
  }
  if (error instanceof GuestBootError && error.step === "mount point" && image.kind !== "oci") {
    const root = image.path;
    return new InvalidConfigError(`the root ${root} has no directory to mount on: ${error.message}`, {
      hint: "Make it there, empty, or make the root writable for this user.",
    });
  }
  const isOnDisks = image.kind === "disk" || mounts.some(({ kind }) => kind === "disk" || kind === "named");
  if (isOnDisks && isDiskInUse(exit.qemuOutput)) {
    const named = diskInUse(exit.qemuOutput) ?? (image.kind === "disk" ? image.path : null);
    return new InvalidConfigError(`the disk image ${named ?? "of one of its mounts"} is in use`, {
      hint: "One sandbox at a time can write it, or several read it: stop the other one, or give this one a copy.",
    });
  }
  return null;
}

/** ENOTDIR and EEXIST of Linux, whatever the host is. */
function isNoDirectory({ errno }: GuestBootError): boolean {
  return errno === 20 || errno === 17;
}

function stageOf(error: unknown, stage: BootStage): BootStage {
  return error instanceof GuestBootError && error.step === "mount" ? "mount" : stage;
}

interface Attempt {
  readonly sandboxName: string;
  readonly stage: BootStage;
  readonly memoryMib: number;
}

interface Ending {
  readonly error: unknown;
  readonly exit: MachineExit;
  readonly limit: WaitLimit;
}

function bootError(
  { sandboxName, stage, memoryMib }: Attempt,
  { error, exit, limit }: Ending,
  consoleTail: string,
): BootStartError {
  const timedOut = error instanceof OperationTimeoutError;
  const panicked = exit.reason === "panic";
  const message = timedOut
    ? `${limit.missed} within ${limit.ms} ms`
    : panicked
      ? "the guest kernel panicked"
      : exit.reason === "error"
        ? // What became of the connection says less than why QEMU ended.
          exit.detail
        : error instanceof Error
          ? error.message
          : String(error);
  const errno = error instanceof GuestBootError ? error.errno : null;
  // How a kernel fails that has too little is different each time, and hardly ever says so.
  const little = memoryMib < comfortableMemoryMib && !(error instanceof GuestBootError);
  const hint = little
    ? `It has ${memoryMib} MiB of memory, which may be too little: try with ${comfortableMemoryMib} or more.`
    : timedOut
      ? bootTimeoutHint
      : `See the guest's console with "msb logs --source system ${sandboxName}", and "msb doctor" for the host.`;
  return new BootStartError(
    message,
    { sandboxName, stage, errno, consoleTail, qemuOutput: exit.qemuOutput },
    { cause: error, hint },
  );
}
