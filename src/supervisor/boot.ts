import { randomBytes } from "node:crypto";
import { BootStartError, InvalidConfigError, RuntimeError, type BootStage } from "../errors/index.ts";
import {
  blamesAccelerator,
  chooseAccelerator,
  findQemu,
  isDiskInUse,
  Machine,
  measureTscKhz,
  resolveKernel,
  type AcceleratorChoice,
  type AcceleratorProbe,
  type GuestKernel,
  type MachineExit,
  type MachineSpec,
  type QemuBinary,
} from "../machine/index.ts";
import { PROTOCOL_VERSION, type BootMessage } from "../protocol/messages.generated.ts";
import { guestDirectory, type Home, type SandboxPaths, type SandboxRecord } from "../store/index.ts";
import { AgentLink } from "./agent-link.ts";
import { GuestBootError } from "./guest-boot-error.ts";
import { prepareRoot, type PreparedRoot } from "./root.ts";
import { unlessAborted } from "./unless-aborted.ts";
import type { KernelLog } from "./kernel-log.ts";
import type { RuntimeLog } from "./runtime-log.ts";

export interface BootOptions {
  readonly home: Home;
  readonly record: SandboxRecord;
  readonly paths: SandboxPaths;
  readonly runtimeLog: RuntimeLog;
  readonly kernelLog: KernelLog;
  /** Aborted when the sandbox is to be ended before it runs. */
  readonly signal: AbortSignal;
  readonly progress: (stage: string) => void;
  readonly notice: (message: string) => void;
  /** The connection to the guest broke after it had booted. */
  readonly agentLost: (error: Error | null) => void;
}

export interface BootedGuest {
  readonly machine: Machine;
  readonly agent: AgentLink;
  /** When the machine was started, as performance.now() says. */
  readonly startedAtMs: number;
}

/** From the start of QEMU to the guest's readiness; generous, for software emulation on a loaded machine. */
const defaultBootDeadlineMs = 180_000;
const consoleLines = 20;

/**
 * Boots the sandbox's VM and waits until commands can be run in it.
 *
 * @throws BootStartError when the VM fails; InvalidConfigError for a workdir that is none; QemuNotFoundError,
 * LibkrunfwNotFoundError, ImageError, IoError before there is a VM
 */
export async function bootGuest(options: BootOptions): Promise<BootedGuest> {
  const { home, record, paths, runtimeLog } = options;
  options.progress("prepare");
  const [qemu, kernel, root] = await Promise.all([
    findQemu({ cacheDirectory: home.cache }),
    resolveKernel({
      path: record.config.kernelPath,
      guestDirectory: guestDirectory(),
      stagingDirectory: paths.directory,
    }),
    prepareRoot(record.config, paths, home, options.signal),
  ]);
  const spec = machineSpec(record, kernel, root);
  // It may wait for another start that is finding out what works here.
  let choice = await unlessAborted(
    chooseAccelerator({ cacheDirectory: home.cache }, qemu, kernel),
    options.signal,
  );
  for (;;) {
    runtimeLog.write("info", `booting with ${choice.accelerator}: ${choice.why}`);
    const attempt = await startMachine(options, spec, root, qemu, kernel, choice);
    if ("guest" in attempt) return attempt.guest;
    runtimeLog.write("warn", `${choice.accelerator} does not work here: ${attempt.failure}`);
    choice = await attempt.probe.failed(attempt.failure);
    options.notice(`${attempt.failure}; using ${choice.accelerator} instead`);
  }
}

/** One try. A probe of an accelerator that fails before the guest's first sign of life is no error: the next one is tried. */
async function startMachine(
  options: BootOptions,
  spec: MachineSpec,
  root: PreparedRoot,
  qemu: QemuBinary,
  kernel: GuestKernel,
  choice: AcceleratorChoice,
): Promise<{ guest: BootedGuest } | { failure: string; probe: AcceleratorProbe }> {
  const { record, kernelLog, signal } = options;
  const { accelerator, probe } = choice;
  const tscKhz = accelerator === "tcg" ? await measureTscKhz(kernel, options.home.cache) : null;
  signal.throwIfAborted();
  options.progress("boot");
  const startedAtMs = performance.now();
  const machine = Machine.start(spec, accelerator, { qemu, tscKhz });
  kernelLog.follow(machine.console);
  let booted = false;
  const agent = new AgentLink(machine.agentPort, {
    lost: (error) => {
      if (booted) options.agentLost(error);
    },
  });
  const deadline = AbortSignal.timeout(bootDeadlineMs());
  const fail = async (stage: BootStage, error: unknown): Promise<never> => {
    machine.kill();
    const exit = await machine.exited;
    signal.throwIfAborted();
    if (record.config.image.kind === "disk" && isDiskInUse(exit.qemuOutput)) {
      throw diskInUse(record.config.image.path);
    }
    throw bootError(record.name, stage, error, exit, kernelLog.lastLines(consoleLines));
  };
  try {
    const firstDeadline = probe === null ? deadline : AbortSignal.timeout(probe.deadlineMs);
    await unlessOver(agent.hello, machine, [signal, firstDeadline]);
    await probe?.succeeded();
  } catch (error) {
    machine.kill();
    const exit = await machine.exited;
    const telling = !signal.aborted && blamesAccelerator(accelerator, exit);
    if (!telling) await probe?.abandoned();
    if (probe === null || !telling) return await fail("build_vm", error);
    return { failure: probeFailure(accelerator, probe, exit), probe };
  }
  try {
    options.progress("guest");
    await unlessOver(agent.boot(bootMessage(record, root)), machine, [signal, deadline]);
    booted = true;
    return { guest: { machine, agent, startedAtMs } };
  } catch (error) {
    if (error instanceof GuestBootError && error.step === "workdir") {
      machine.kill();
      await machine.exited;
      throw new InvalidConfigError(
        `the workdir ${record.config.workdir ?? ""} is not a directory in the guest`,
        {
          hint: "Choose a directory that exists in the image.",
        },
      );
    }
    return await fail(
      error instanceof GuestBootError && error.step === "mount" ? "mount" : "build_vm",
      error,
    );
  }
}

function bootDeadlineMs(): number {
  const configured = Number(process.env["MSB_BOOT_TIMEOUT_MS"]);
  return Number.isInteger(configured) && configured > 0 ? configured : defaultBootDeadlineMs;
}

/** Waits for the guest, but not longer than the machine lives nor than any of the signals allows. */
async function unlessOver<T>(step: Promise<T>, machine: Machine, signals: AbortSignal[]): Promise<T> {
  const ended = machine.exited.then((exit): never => {
    throw new RuntimeError(exit.detail);
  });
  ended.catch(() => undefined);
  return await unlessAborted(Promise.race([step, ended]), AbortSignal.any(signals));
}

function bootError(
  sandboxName: string,
  stage: BootStage,
  error: unknown,
  exit: MachineExit,
  consoleTail: string,
): BootStartError {
  const timedOut = error instanceof Error && error.name === "TimeoutError";
  const panicked = exit.reason === "panic";
  const message = timedOut
    ? `the guest was not ready within ${bootDeadlineMs()} ms`
    : panicked
      ? "the guest kernel panicked"
      : exit.reason === "error"
        ? // What became of the connection says less than why QEMU ended.
          exit.detail
        : error instanceof Error
          ? error.message
          : String(error);
  const errno = error instanceof GuestBootError ? error.errno : null;
  const hint = timedOut
    ? "The host may be overloaded; MSB_BOOT_TIMEOUT_MS raises the limit."
    : `See the guest's console with "msb logs --source system ${sandboxName}", and "msb doctor" for the host.`;
  return new BootStartError(
    message,
    { sandboxName, stage, errno, consoleTail, qemuOutput: exit.qemuOutput },
    { cause: error, hint },
  );
}

function diskInUse(path: string): InvalidConfigError {
  return new InvalidConfigError(`the disk image ${path} is in use`, {
    hint: "One sandbox at a time can write it: stop the other one, or give this one a copy.",
  });
}

function probeFailure(accelerator: string, probe: AcceleratorProbe, exit: MachineExit): string {
  if (exit.reason === "error") return `${accelerator} failed: ${exit.qemuOutput.trim() || exit.detail}`;
  return `a kernel did not boot under ${accelerator} within ${probe.deadlineMs / 1000} s`;
}

function machineSpec(record: SandboxRecord, kernel: GuestKernel, root: PreparedRoot): MachineSpec {
  const { cpus, memoryMib, thp } = record.config;
  return {
    name: `msb-${record.name}`,
    cpus,
    memoryMib,
    kernel,
    disks: root.disks,
    shares: root.shares,
    kernelArguments: [`transparent_hugepage=${thp}`],
  };
}

function bootMessage(record: SandboxRecord, root: PreparedRoot): BootMessage {
  const { config } = record;
  const now = Date.now();
  return {
    type: "Boot",
    protocolVersion: PROTOCOL_VERSION,
    entropy: randomBytes(64),
    wallClockSeconds: Math.floor(now / 1000),
    wallClockNanoseconds: (now % 1000) * 1_000_000,
    hostname: config.hostname,
    root: root.description,
    tmpSizeMib: Math.min(512, Math.max(1, Math.floor(config.memoryMib / 4))),
    workdir: config.workdir ?? "",
    scripts: config.scripts.map(([name, content]) => ({ name, content: Buffer.from(content) })),
  };
}
