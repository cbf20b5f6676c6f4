import { UsageError } from "../output/usage-error.ts";

const mebibytes: Readonly<Record<string, number>> = { "": 1, K: 1 / 1024, M: 1, G: 1024, T: 1024 * 1024 };

/**
 * A size such as `512M`, `1G`, `1.5g` or `2GiB`; a bare number is MiB. A number of bytes (`512b`) is none: docker takes it for
 * 512 bytes, and no memory or disk is that small.
 *
 * @returns MiB, a whole number above 0
 * @throws UsageError
 */
export function parseSizeMib(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(?:([KMGT])(?:I?B)?)?$/.exec(text.trim().toUpperCase());
  const [, digits, unit] = match ?? [];
  const size = Number(digits) * (mebibytes[unit ?? ""] ?? NaN);
  if (match === null || !Number.isFinite(size)) {
    throw new UsageError(
      `"${text}" is not a size.`,
      "Sizes are written 512M, 1G or 1.5G; a bare number is MiB",
    );
  }
  if (!Number.isInteger(size) || size < 1) {
    throw new UsageError(`"${text}" is not a whole number of MiB, at least 1.`, "For example 512M or 1.5G");
  }
  if (!Number.isSafeInteger(size * 1024 * 1024)) throw new UsageError(`"${text}" is too large.`);
  return size;
}
