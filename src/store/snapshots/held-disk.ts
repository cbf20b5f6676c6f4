import type { GuestFlush } from "../../config/enums.ts";
import type { FoundSandbox } from "../sandboxes.ts";

/** The disk of a sandbox that is up, to which nothing is written. */
export interface HeldDisk extends Disposable {
  /** Aborted when it is not held any more, with why. */
  readonly signal: AbortSignal;
  /** It was copied. @throws when something was written to it since it is held: the copy is of no use then */
  release(): Promise<void>;
}

/**
 * Has nothing written to the disk of a sandbox that runs or is paused, until it is released or disposed of.
 *
 * @throws SandboxNotRunningError when it has ended; UnsupportedOperationError when nothing can be flushed as `required`; RuntimeError when
 *   its guest cannot freeze its disk; the signal's reason
 */
export type HoldDisk = (sandbox: FoundSandbox, flush: GuestFlush, signal: AbortSignal) => Promise<HeldDisk>;
