import { UsageError } from "../output/usage-error.ts";

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  "": 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * A duration such as `250ms`, `30s`, `1.5m`, `2h` or `1d`; a bare number is seconds.
 *
 * @returns milliseconds, a whole number, 0 included
 * @throws UsageError
 */
export function parseDurationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|[smhd]?)$/.exec(text.trim().toLowerCase());
  const [, digits, unit] = match ?? [];
  const duration = Math.round(Number(digits) * (unitMs[unit ?? ""] ?? NaN));
  if (match === null || !Number.isSafeInteger(duration)) {
    throw new UsageError(
      `"${text}" is not a duration.`,
      "Durations are written 250ms, 30s, 5m or 2h; a bare number is seconds",
    );
  }
  return duration;
}

/**
 * A duration that is counted in whole seconds.
 *
 * @returns seconds, at least 1
 * @throws UsageError
 */
export function parseDurationSecs(text: string): number {
  const seconds = parseDurationMs(text) / 1000;
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw new UsageError(
      `"${text}" is not a whole number of seconds, at least 1.`,
      "For example 30s, 5m or 2h",
    );
  }
  return seconds;
}

/**
 * A duration above 0.
 *
 * @returns milliseconds
 * @throws UsageError
 */
export function parsePositiveDurationMs(text: string): number {
  const duration = parseDurationMs(text);
  if (duration === 0) throw new UsageError(`"${text}" is no time at all.`, "For example 30s or 5m");
  return duration;
}

/** How often samples can be taken at most. */
const minimumIntervalMs = 100;

/**
 * The time between two samples, at least 100 ms.
 *
 * @returns milliseconds
 * @throws UsageError
 */
export function parseIntervalMs(text: string): number {
  const interval = parseDurationMs(text);
  if (interval < minimumIntervalMs)
    throw new UsageError(`"${text}" is less than 100ms.`, "For example 500ms or 2s");
  return interval;
}
