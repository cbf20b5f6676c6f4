import { SandboxNotRunningError, UnsupportedOperationError } from "../errors/index.ts";
import { whyUnsuspendable } from "../config/sandbox/suspendable.ts";
import type { MachineFacts } from "../start/inputs/machine-facts.ts";
import { pathsIn, type FoundSandbox } from "../store/sandboxes.ts";
import { pathsOfCapture } from "../store/suspension.ts";
import type { SandboxRecord } from "../store/sandbox-record.ts";
import type { RuntimeLog } from "./logs/runtime-log.ts";
import type { RunningSandbox } from "./running-sandbox.ts";
import type { CaptureCost } from "./services/guest/capture-guest.ts";

/** Suspends a sandbox once, however many ask for it. */
export class Suspending {
  readonly #sandbox: FoundSandbox;
  #underWay: Promise<void> | null = null;

  constructor(sandbox: FoundSandbox) {
    this.#sandbox = sandbox;
  }

  get isUnderWay(): boolean {
    return this.#underWay !== null;
  }

  /** Resolves when it is known what came of it, and whoever asked for it has heard that. */
  async settled(): Promise<void> {
    await this.#underWay?.catch(() => undefined);
    await new Promise(setImmediate);
  }

  /**
   * Resolves when the guest is on the disk: its machine is to end then.
   *
   * @throws UnsupportedOperationError; as {@link RunningSandbox.suspend}
   */
  suspend(running: RunningSandbox, facts: () => Promise<MachineFacts>): Promise<void> {
    this.#underWay ??= this.#suspend(running, facts).finally(() => (this.#underWay = null));
    return this.#underWay;
  }

  async #suspend(running: RunningSandbox, facts: () => Promise<MachineFacts>): Promise<void> {
    const { paths, record } = this.#sandbox;
    const found = await facts();
    requireSuspendable(record, found);
    await running.suspend(found, paths.directory, record.config.memoryMib);
  }
}

/**
 * Files of the host, and of programs, that a guest has open cannot be opened again as they were.
 *
 * @throws UnsupportedOperationError that names what is in the way
 */
function requireSuspendable({ name, config }: SandboxRecord, { files }: MachineFacts): void {
  const what = whyUnsuspendable(config.ephemeral, files);
  if (what === null) return;
  throw new UnsupportedOperationError(`sandbox ${name} cannot be suspended: ${what}`, {
    hint: "Copy the files in, mount a disk instead, or pause it.",
  });
}

export interface HostShutdownOptions {
  /** Whether its end was decided on, and is another one than this. */
  readonly isEnding: () => boolean;
  /** Suspends it. @throws what keeps it from being suspended */
  readonly suspend: () => Promise<void>;
  /** Stops it in order. */
  readonly stop: (detail: string) => void;
  readonly log: RuntimeLog;
}

/**
 * What a supervisor does at a SIGTERM, which a host that shuts down sends to all. Where its sandbox is to be suspended then, a further one
 * while that is done changes nothing; where it cannot be, at least its disk is in order.
 */
export class HostShutdown {
  readonly #sandbox: FoundSandbox;
  readonly #options: HostShutdownOptions;
  #isUnderWay = false;

  constructor(sandbox: FoundSandbox, options: HostShutdownOptions) {
    this.#sandbox = sandbox;
    this.#options = options;
  }

  /** Whether it is being suspended, or will be as soon as it runs. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** @param hasRun whether it was running before, and is starting again */
  begin(isRunning: boolean, hasRun = false): void {
    if (this.#isUnderWay) return;
    const { record, state } = this.#sandbox;
    const { isEnding, stop } = this.#options;
    // Nothing has run yet in one that starts, but in one that goes on where it was: its memory may be used up by now.
    const isKept = isRunning || hasRun || state.status === "suspended";
    if (record.config.onHostShutdown !== "suspend" || isEnding() || !isKept) {
      stop("its supervisor got SIGTERM");
      return;
    }
    this.#isUnderWay = true;
    if (isRunning) this.running();
  }

  /** It runs: now it can be suspended. */
  running(): void {
    if (this.#isUnderWay) void this.#suspend();
  }

  async #suspend(): Promise<void> {
    const { suspend, stop, log } = this.#options;
    try {
      await suspend();
    } catch (error) {
      this.#isUnderWay = false;
      const why = error instanceof Error ? error.message : String(error);
      log.write("error", `stopped instead of suspended: ${why}`);
      stop(`its supervisor got SIGTERM, and it was not suspended: ${why}`);
    }
  }
}

/**
 * Copies a sandbox that runs into a directory of somebody who waits for it: its memory and devices, and the disk of its own.
 *
 * @throws UnsupportedOperationError when it has what cannot be copied; as {@link RunningSandbox.copy}
 */
export async function copySandbox(
  { paths, record }: FoundSandbox,
  running: RunningSandbox,
  facts: MachineFacts,
  { directory, flush }: { readonly directory: string; readonly flush: boolean },
): Promise<CaptureCost> {
  const { name, config } = record;
  const others = facts.disks.filter((path) => path !== paths.upper);
  const what =
    whyUnsuspendable(false, facts.files) ??
    (others.length === 0 ? null : `it writes to the disk ${others.join(", ")}, which is not its own`);
  if (what !== null) {
    throw new UnsupportedOperationError(`sandbox ${name} cannot be copied while it runs: ${what}`, {
      hint: "Copy the files in, or mount the disk read-only.",
    });
  }
  const hasDisk = facts.disks.includes(paths.upper);
  return await running.copy(facts, config.memoryMib, {
    ...{ source: name, flush },
    paths: pathsOfCapture(directory),
    disk: hasDisk ? { from: paths.upper, to: pathsIn(directory).upper } : null,
  });
}

export function ending(name: string): SandboxNotRunningError {
  return new SandboxNotRunningError(`sandbox ${name} is about to end`, {
    hint: `Start it again when it has stopped ("msb start ${name}").`,
  });
}
