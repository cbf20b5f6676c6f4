import { InvalidConfigError } from "../../errors/index.ts";

/** From the start of QEMU to the guest's readiness; generous, for software emulation on a loaded machine. */
const defaultBootTimeoutMs = 180_000;
/** A day: far below what timers can wait. */
const longestBootTimeoutMs = 24 * 60 * 60 * 1000;

/**
 * How long a guest may take to become ready, ms: `MSB_BOOT_TIMEOUT_MS`.
 *
 * @throws InvalidConfigError when that is no such time
 */
export function bootTimeoutMs(environment: NodeJS.ProcessEnv): number {
  const asked = environment["MSB_BOOT_TIMEOUT_MS"] ?? "";
  if (asked === "") return defaultBootTimeoutMs;
  const ms = /^\d+$/.test(asked) ? Number(asked) : NaN;
  if (ms >= 1 && ms <= longestBootTimeoutMs) return ms;
  throw new InvalidConfigError(`MSB_BOOT_TIMEOUT_MS is ${JSON.stringify(asked)}`, {
    hint: `Set it to 1 to ${longestBootTimeoutMs} milliseconds, or unset it for ${defaultBootTimeoutMs}.`,
  });
}
