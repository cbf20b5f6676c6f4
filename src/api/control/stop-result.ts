import type { SandboxStatus } from "../../config/enums.ts";
import type { EndedMessage } from "../../protocol/generated/messages.ts";
import type { FoundSandbox } from "../../store/sandboxes.ts";

/** How a sandbox ended, as a waiter sees it. */
export interface SandboxStopResult {
  readonly name: string;
  readonly status: SandboxStatus;
  /** QEMU's exit code; null when a signal ended it or it is not known. */
  readonly exitCode: number | null;
  /** The signal that ended QEMU, such as `SIGKILL`. */
  readonly signal: string | null;
  readonly observedAt: Date;
  /** Why it ended, in a few words; null when it is not known. */
  readonly source: string | null;
}

/** Of what is on disk. */
export function resultOf(found: FoundSandbox): SandboxStopResult {
  const { exitCode, signal, detail } = found.state;
  return {
    name: found.record.name,
    status: found.status,
    exitCode,
    signal,
    observedAt: new Date(),
    source: detail === "" ? null : detail,
  };
}

/** Of what its supervisor has told. */
export function resultOfEnded(name: string, ended: EndedMessage): SandboxStopResult {
  const { state, exitCode, signal, reason } = ended;
  return { name, status: state, exitCode, signal, observedAt: new Date(), source: reason };
}

/** Of one that is not there any more. */
export function resultOfGone(name: string): SandboxStopResult {
  const source = "the sandbox was removed";
  return { name, status: "stopped", exitCode: null, signal: null, observedAt: new Date(), source };
}
