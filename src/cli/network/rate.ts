import { UsageError } from "../output/usage-error.ts";
import { parsePositiveDurationMs } from "../values/duration.ts";

/** So much in so many ms. */
export interface Rate {
  readonly amount: number;
  readonly refillMs: number;
}

const bytesOf: Readonly<Record<string, number>> = {
  "": 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
};

// What may not be 0, the builder refuses.

/**
 * Bytes: `1500`, `64K`, `1M`, `1.5G`.
 *
 * @throws UsageError
 */
export function parseBytes(text: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)(?:([KMG])(?:I?B)?)?$/.exec(text.trim().toUpperCase()) ?? [];
  const bytes = Number(digits) * (bytesOf[unit] ?? NaN);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new UsageError(`"${text}" is not a number of bytes.`, "Write 1500, 64K, 1M or 1G");
}

/** @throws UsageError */
export function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(count)) return count;
  throw new UsageError(`"${text}" is not a whole number.`);
}

/**
 * A parser for `AMOUNT[/DURATION]`; per second without a duration.
 *
 * @throws UsageError (the parser)
 */
export function rateOf(parseAmount: (text: string) => number): (text: string) => Rate {
  return (text) => {
    const slash = text.indexOf("/");
    if (slash === -1) return { amount: parseAmount(text), refillMs: 1000 };
    return {
      amount: parseAmount(text.slice(0, slash)),
      refillMs: parsePositiveDurationMs(text.slice(slash + 1)),
    };
  };
}
