import { UsageError } from "../output/usage-error.ts";
import { parseDurationMs } from "./duration.ts";

/** RFC 3339, section 5.6: date, time and offset; seconds may have a fraction. */
const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/**
 * A moment: RFC 3339 such as `2026-05-01T13:37:00Z`, or how long ago, such as `5m` or `1d`.
 *
 * @param now - milliseconds since 1970, what durations are counted back from
 * @throws UsageError
 */
export function parseTime(text: string, now: number = Date.now()): Date {
  const trimmed = text.trim();
  if (rfc3339.test(trimmed)) {
    const time = new Date(trimmed.replace(" ", "T").toUpperCase());
    if (!Number.isNaN(time.getTime()) && isDay(trimmed.slice(0, 10))) return time;
  }
  try {
    return before(now, parseDurationMs(trimmed));
  } catch {
    throw new UsageError(
      `"${text}" is not a time.`,
      "Times are written 2026-05-01T13:37:00Z, or as an age: 30s, 5m, 2h, 1d",
    );
  }
}

/** JavaScript takes the 30th of February for a day in March. */
function isDay(date: string): boolean {
  return new Date(`${date}T00:00:00Z`).toISOString().startsWith(date);
}

/** @throws RangeError for what is before the times that a Date has */
function before(now: number, duration: number): Date {
  const time = new Date(now - duration);
  if (Number.isNaN(time.getTime())) throw new RangeError("too long ago");
  return time;
}
