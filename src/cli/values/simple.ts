import { UsageError } from "../output/usage-error.ts";

/** Any text, empty included. */
export function text(value: string): string {
  return value;
}

/**
 * A parser for any text but none: `-o "$FILE"` with a variable that is not set.
 *
 * @param what - `a file`
 * @throws UsageError (the parser)
 */
export function filled(what: string): (value: string) => string {
  return (value) => {
    if (value === "") throw new UsageError(`${what} is expected, not nothing.`);
    return value;
  };
}

/**
 * A parser for one of some words.
 *
 * @throws UsageError (the parser)
 */
export function oneOf<const T extends string>(words: readonly T[]): (value: string) => T {
  return (value) => {
    const found = words.find((word) => word === value);
    if (found === undefined) throw new UsageError(`"${value}" is not known.`, `Allowed: ${words.join(", ")}`);
    return found;
  };
}

/**
 * A parser for a whole number.
 *
 * @throws UsageError (the parser)
 */
export function wholeNumber(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : NaN;
    if (!(number >= least && number <= most)) {
      throw new UsageError(`"${value}" is not a whole number from ${String(least)} to ${String(most)}.`);
    }
    return number;
  };
}

/**
 * A regular expression as JavaScript writes them.
 *
 * @throws UsageError
 */
export function regularExpression(value: string): RegExp {
  try {
    return new RegExp(value, "u");
  } catch (error) {
    throw new UsageError(
      `"${value}" is not a regular expression.`,
      error instanceof Error ? error.message : "",
    );
  }
}
