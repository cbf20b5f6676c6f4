import { SIGTERM, signalNumber } from "../../../protocol/signals.ts";
import { Deadline } from "../../../host/deadline.ts";
import type { RuntimeLog } from "../../logs/runtime-log.ts";
import type { StartedMachine } from "../../../start/common/context.ts";

/** The part of the grace that is kept for flushing and unmounting, ms. */
const flushMs = 2_000;

/** Asks a guest to shut down, and ends it when it does not in time. */
export class GuestShutdown {
  readonly #log: RuntimeLog;
  readonly #killer: Deadline;
  readonly #signal: number;
  /** When the guest is killed, as performance.now() says. */
  #killAtMs = Number.POSITIVE_INFINITY;

  /**
   * @param stopSignal what commands get first; null for SIGTERM
   * @param late the guest is to be killed
   */
  constructor(log: RuntimeLog, stopSignal: string | null, late: () => void) {
    this.#log = log;
    // What an image says may be no signal at all.
    this.#signal = signalNumber(stopSignal ?? "SIGTERM") ?? SIGTERM;
    this.#killer = new Deadline(() => {
      log.write("warn", "the guest did not stop in time: killing it");
      late();
    });
  }

  /**
   * Of several shutdowns the one counts that allows the least time from now on.
   *
   * @returns whether it was this one, so far
   */
  begin({ agent, machine }: StartedMachine, graceMs: number): boolean {
    const killAtMs = performance.now() + graceMs;
    if (killAtMs >= this.#killAtMs) return false;
    this.#killAtMs = killAtMs;
    if (graceMs <= 0) {
      machine.kill();
      return true;
    }
    this.#killer.cancel();
    this.#killer.set(graceMs);
    const forProcesses = Math.max(graceMs - flushMs, Math.floor(graceMs / 2));
    agent.shutdown(forProcesses, this.#signal).then(
      // Its disks are clean: what the kernel goes on to do to power off is of no use to anyone.
      () => machine.quit(),
      (error: unknown) => {
        this.#log.write("debug", `the guest did not confirm its shutdown: ${String(error)}`);
      },
    );
    return true;
  }

  /** The guest has ended. */
  over(): void {
    this.#killer.cancel();
  }
}
