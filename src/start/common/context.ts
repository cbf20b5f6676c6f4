import type { Readable } from "node:stream";
import { RuntimeError } from "../../errors/index.ts";
import type { AcceleratorChoice, AcceleratorProbe } from "../../machine/accelerator/accelerator.ts";
import type { Machine } from "../../machine/machine.ts";
import type { GuestFill } from "../../guest-setup/guest-fill.ts";
import type { AgentLink } from "../../agent-link/agent-link.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import { noSpaceLeft } from "../../host/system-error.ts";
import type { Operation } from "../../host/operation.ts";
import type { PreparedNetwork, StartInputs } from "../contract/handover.ts";
import type { Subject } from "../inputs/probe.ts";

/** Where a start notes what it does. */
export interface StartLog {
  write(level: "debug" | "info" | "warn", message: string): void;
}

/** What the guest writes to its console. */
export interface ConsoleLog {
  /** Keeps what one boot writes. */
  follow(console: Readable): void;
  /** For an error message. */
  lastLines(count: number): string;
}

/** Something that nobody has to wait for. Its signal is aborted when the sandbox ends. */
export type BackgroundJob = (signal: AbortSignal) => Promise<void>;

/** The way to the program that owns the sandbox, for mounts that it provides. */
export interface ProgramFiles {
  /** A stream for what is mounted at a path of the guest. Where the program is gone, the stream is lost soon after. */
  open(path: string, handler: StreamHandler): Stream;
  /** A machine has such mounts from now on; one that was told before has ended. */
  served(mounts: HurriedMounts): void;
}

export interface HurriedMounts {
  /** The guest is to end: no request of it is waited for longer than so many ms from now on. */
  hurry(ms: number): void;
}

/** Whose machine is to be started, and who wants to hear of it. */
export interface StartRequest extends Subject {
  readonly runtimeLog: StartLog;
  readonly kernelLog: ConsoleLog;
  /** Aborted when the sandbox is to be ended before it runs. */
  readonly signal: AbortSignal;
  readonly progress: (stage: string) => void;
  readonly notice: (message: string) => void;
  /** Takes what is to be done once the sandbox runs. */
  readonly background: (job: BackgroundJob) => void;
  readonly programFiles: ProgramFiles;
  /** The connection to the guest broke after it had become the sandbox. */
  readonly agentLost: (error: Error | null) => void;
}

/** What is put into a guest's root, and whether it has been begun: a guest whose root was changed is not begun anew. */
export interface FillUnderWay {
  readonly fill: GuestFill;
  begun: boolean;
}

/** A start that is under way. */
export interface StartContext extends StartRequest {
  /** What is put into the guest's root before it boots; null for nothing. */
  readonly fill: FillUnderWay | null;
  /** All of it: aborted with the request's signal, and when the time for the start is over. */
  readonly operation: Operation;
}

/** Everything that had to be found out before there is a machine. */
export interface StartPlan extends Omit<StartInputs, "accelerator"> {
  readonly context: StartContext;
  readonly choice: AcceleratorChoice;
  /** Of the counter that the guest sees, in kHz; null when it need not know. */
  readonly tscKhz: number | null;
  /** Set while nobody knows whether the accelerator works: the first machine that is booted tells. */
  readonly trial: { probe: AcceleratorProbe | null };
}

/** A machine whose agent listens. It is no sandbox yet. */
export interface StartedMachine {
  readonly machine: Machine;
  readonly agent: AgentLink;
  /** When the machine was started, as performance.now() says. */
  readonly startedAtMs: number;
  /** null: its guest has no network. */
  readonly network: PreparedNetwork | null;
  /** Called once it is a sandbox: from then on its loss is the supervisor's business. */
  readonly live: () => void;
}

/** Waits for the guest, but not longer than the machine lives nor than the operation may last. */
export async function unlessOver<T>(
  step: Promise<T>,
  { exited, outOfSpace }: Machine,
  operation: Operation,
): Promise<T> {
  const ended = exited.then((exit): never => {
    throw new RuntimeError(exit.detail);
  });
  ended.catch(() => undefined);
  // A guest that is held until there is space would only be waited for until the time is over.
  const full = outOfSpace.then((): never => {
    throw noSpaceLeft("write the sandbox's disk");
  });
  full.catch(() => undefined);
  return await operation.wait(Promise.race([step, ended, full]));
}
