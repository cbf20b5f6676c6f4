import { RuntimeError } from "../errors/index.ts";
import type {
  AcceleratorChoice,
  AcceleratorProbe,
  GuestKernel,
  Machine,
  MachineSpec,
  QemuBinary,
  TemplateUse,
} from "../machine/index.ts";
import type { BootMessage, MountMessage } from "../protocol/messages.generated.ts";
import type { Home, SandboxPaths, SandboxRecord } from "../store/index.ts";
import type { AgentLink } from "./agent-link.ts";
import type { KernelLog } from "./kernel-log.ts";
import type { PreparedRoot } from "./root.ts";
import type { RuntimeLog } from "./runtime-log.ts";
import { unlessAborted } from "./unless-aborted.ts";

/** Whose machine is to be started, and who wants to hear of it. */
export interface StartContext {
  readonly home: Home;
  readonly record: SandboxRecord;
  readonly paths: SandboxPaths;
  readonly runtimeLog: RuntimeLog;
  readonly kernelLog: KernelLog;
  /** Aborted when the sandbox is to be ended before it runs. */
  readonly signal: AbortSignal;
  readonly progress: (stage: string) => void;
  readonly notice: (message: string) => void;
  /** Does something once the sandbox runs that nobody has to wait for. Its signal is aborted when the sandbox ends. */
  readonly afterwards: (work: (signal: AbortSignal) => Promise<void>) => void;
  /** The connection to the guest broke after it had become the sandbox. */
  readonly agentLost: (error: Error | null) => void;
}

/** Everything that had to be found out before there is a machine. */
export interface StartPlan {
  readonly context: StartContext;
  readonly qemu: QemuBinary;
  readonly kernel: GuestKernel;
  readonly root: PreparedRoot;
  readonly choice: AcceleratorChoice;
  /** See {@link Machine}'s options. */
  readonly tscKhz: number | null;
  /** Set while nobody knows whether the accelerator works: the first machine that is booted tells. */
  readonly trial: { probe: AcceleratorProbe | null };
  /** All of the start must be over by then. */
  readonly deadline: AbortSignal;
}

/** A machine whose agent listens. It is no sandbox yet. */
export interface StartedMachine {
  readonly machine: Machine;
  readonly agent: AgentLink;
  /** When the machine was started, as performance.now() says. */
  readonly startedAtMs: number;
  /** Called once it is a sandbox: from then on its loss is the supervisor's business. */
  readonly live: () => void;
}

export function machineSpec(
  {
    context,
    kernel,
    root,
  }: Pick<StartPlan, "context" | "kernel"> & { readonly root: Pick<PreparedRoot, "disks" | "shares"> },
  template?: TemplateUse,
): MachineSpec {
  const { cpus, memoryMib, thp } = context.record.config;
  return {
    name: `msb-${context.record.name}`,
    cpus,
    memoryMib,
    kernel,
    disks: root.disks,
    shares: root.shares,
    kernelArguments: [`transparent_hugepage=${thp}`],
    ...(template === undefined ? {} : { template }),
  };
}

export function mountMessage({ context, root }: StartPlan): MountMessage {
  const tmpSizeMib = Math.min(512, Math.max(1, Math.floor(context.record.config.memoryMib / 4)));
  const programs = root.template?.programs ?? [];
  return { type: "Mount", root: root.description, tmpSizeMib, programs: [...programs] };
}

export function bootMessage({ context }: StartPlan): BootMessage {
  const { hostname, workdir, scripts } = context.record.config;
  return {
    type: "Boot",
    hostname,
    workdir: workdir ?? "",
    scripts: scripts.map(([name, content]) => ({ name, content: Buffer.from(content) })),
  };
}

/** Waits for the guest, but not longer than the machine lives nor than any of the signals allows. */
export async function unlessOver<T>(step: Promise<T>, machine: Machine, signals: AbortSignal[]): Promise<T> {
  const ended = machine.exited.then((exit): never => {
    throw new RuntimeError(exit.detail);
  });
  ended.catch(() => undefined);
  return await unlessAborted(Promise.race([step, ended]), AbortSignal.any(signals));
}
