import type { WaitOptions } from "../../host/operation.ts";
import type { PullProgress } from "../../image/pull/pull-progress.ts";

/**
 * A stage of starting a sandbox has begun: `prepare`, `boot` (its kernel), `guest` (its root file system), `restore` (from a
 * template). Which ones there are depends on what was there already. elapsedMs counts from the start of the supervisor.
 */
export interface StartProgressEvent {
  readonly stage: string;
  readonly elapsedMs: number;
}

/** How a run of a sandbox was started. */
export interface StartReport {
  /**
   * `prelaunched`: from a template, by a QEMU that came up beside the sandbox's own process; the quickest way. `restored`: from a
   * template, which may have been made for it. `cold`: its kernel was booted.
   */
  readonly route: "prelaunched" | "restored" | "cold" | "continued";
  /** One line for a person: from what, and why not in a quicker way. */
  readonly reason: string;
  /** `kvm`, `hvf` or `tcg`. */
  readonly accelerator: string;
  /** From the start of the sandbox's own process until commands could be run, ms. */
  readonly elapsedMs: number;
}

/** How the pull of an image goes on. Layers are counted from the bottom, from 0; sizes are in bytes. */
export type { PullProgress } from "../../image/pull/pull-progress.ts";

/**
 * What a start is watched and ended with. A start that is given up leaves nothing running; nor does one whose callback throws,
 * which fails with that error.
 */
export interface StartObserver extends WaitOptions {
  readonly onProgress?: ((event: StartProgressEvent) => void) | undefined;
  /** Something the user should know once, such as a fallback to software emulation. By default a process warning. */
  readonly onNotice?: ((message: string) => void) | undefined;
  /** The sandbox runs: is told how it was started, before the call returns. */
  readonly onStarted?: ((report: StartReport) => void) | undefined;
}

/** Tells whoever starts a sandbox what he should know. */
export function tellNotice({ onNotice }: StartObserver, message: string): void {
  if (onNotice === undefined) process.emitWarning(message, "MicrosandboxWarning");
  else onNotice(message);
}

/** What observers have beside {@link WaitOptions}. One that was made for creations may watch a start, which pulls nothing. */
export const observerCallbacks = {
  onProgress: "function",
  onNotice: "function",
  onStarted: "function",
  onPullProgress: "function",
} as const;

/** As for a start; of a creation that is given up nothing is left at all. */
export interface CreateObserver extends StartObserver {
  /** Is told how the pull of the image goes on. */
  readonly onPullProgress?: ((event: PullProgress) => void) | undefined;
}
