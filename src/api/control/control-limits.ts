import { InvalidConfigError } from "../../errors/index.ts";
import { longestTimerMs } from "../../host/timers.ts";

/** What a stop that nobody gave a grace for allows, ms. */
export const defaultGraceMs = 10_000;
/** A supervisor has this long to take down a sandbox that was killed, and to write down how it has ended, ms. */
export const killWaitMs = 5_000;
export const defaultConnectMs = 10_000;

/** @returns whole milliseconds that a timer can wait. @throws InvalidConfigError */
export function checkMs(name: string, ms: number): number {
  if (typeof ms !== "number" || Number.isNaN(ms) || ms < 0) {
    throw new InvalidConfigError(`${name} is ${String(ms)}, which is not a number of milliseconds`);
  }
  return Math.min(Math.ceil(ms), longestTimerMs - killWaitMs);
}
