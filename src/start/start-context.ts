import { RuntimeError } from "../errors/index.ts";
import type { AcceleratorChoice, AcceleratorProbe } from "../machine/accelerator/accelerator.ts";
import type { Machine } from "../machine/machine.ts";
import type { Subject, Surroundings } from "./inputs.ts";
import type { AgentLink } from "../agent-link/agent-link.ts";
import type { BegunQemu } from "./prelaunch/begun-qemu.ts";
import type { KernelLog } from "../supervisor/logs/kernel-log.ts";
import type { RuntimeLog } from "../supervisor/logs/runtime-log.ts";
import { unlessAborted } from "../host/unless-aborted.ts";

/** Whose machine is to be started, and who wants to hear of it. */
export interface StartContext extends Subject {
  readonly runtimeLog: RuntimeLog;
  readonly kernelLog: KernelLog;
  /** Aborted when the sandbox is to be ended before it runs. */
  readonly signal: AbortSignal;
  readonly progress: (stage: string) => void;
  readonly notice: (message: string) => void;
  /** Does something once the sandbox runs that nobody has to wait for. Its signal is aborted when the sandbox ends. */
  readonly afterwards: (work: (signal: AbortSignal) => Promise<void>) => void;
  /** A QEMU that was started before this process knew what for; null when there is none. */
  readonly begun: BegunQemu | null;
  /** The connection to the guest broke after it had become the sandbox. */
  readonly agentLost: (error: Error | null) => void;
}

/** Everything that had to be found out before there is a machine. */
export interface StartPlan extends Surroundings {
  readonly context: StartContext;
  readonly choice: AcceleratorChoice;
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

/** Waits for the guest, but not longer than the machine lives nor than any of the signals allows. */
export async function unlessOver<T>(step: Promise<T>, machine: Machine, signals: AbortSignal[]): Promise<T> {
  const ended = machine.exited.then((exit): never => {
    throw new RuntimeError(exit.detail);
  });
  ended.catch(() => undefined);
  return await unlessAborted(Promise.race([step, ended]), AbortSignal.any(signals));
}
