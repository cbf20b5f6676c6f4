import { align, alphabets, matchAligned, sextets } from "./base64-patterns.ts";
import type { Form } from "./hit.ts";

/**
 * Something in the form that something else is written in, to take its place.
 *
 * @param written where `pattern` was found in that form
 */
export function rewrite(form: Form, written: Buffer, pattern: Buffer, instead: Buffer): Buffer {
  switch (form) {
    case "raw":
      return instead;
    case "percent":
      return Buffer.from(percentEncoded(instead.toString("latin1")));
    case "json":
      return Buffer.from(JSON.stringify(instead.toString()).slice(1, -1));
    case "utf-16":
      // From the first byte that is not 0 to the last one: the same in both orders.
      return Buffer.from(instead.toString("latin1"), "utf16le").subarray(0, -1);
    case "base64":
      return rewriteBase64(written, pattern, instead);
  }
}

/** All but unreserved characters (RFC 3986, 2.3). @param bytes one code unit each */
export function percentEncoded(bytes: string): string {
  return bytes.replace(
    /[^A-Za-z0-9._~-]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/**
 * What is behind it is not moved: up to two `_` fill what takes its place, so that all that follows has the bits that it had. The bits of
 * neighbours in the first and in the last character stay.
 */
function rewriteBase64(written: Buffer, pattern: Buffer, instead: Buffer): Buffer {
  const aligned = ([0, 1, 2] as const)
    .map((alignment) => align(0, pattern, alignment))
    .find((one) => one.values.length === written.length && matchAligned(written, 0, one) === "whole");
  if (aligned === undefined) return instead;
  const { alignment, lastMask } = aligned;
  const fill = "_".repeat((((pattern.length - instead.length) % 3) + 3) % 3);
  // Bytes before it that are not known in full are 0, and written over with the bits that were there.
  const bytes = Buffer.concat([Buffer.alloc(alignment), instead, Buffer.from(fill), Buffer.alloc(2)]);
  const characters = Math.ceil((8 * (bytes.length - 2)) / 6);
  const values = Array.from(
    bytes.toString("base64").slice(alignment, characters),
    (letter) => sextets[letter.charCodeAt(0)] ?? 0,
  );
  const sextetAt = (index: number): number => sextets[written[index] ?? 0] ?? 0;
  const last = values.length - 1;
  values[0] = (values[0] ?? 0) | (sextetAt(0) & ~aligned.firstMask);
  values[last] = (values[last] ?? 0) | (sextetAt(written.length - 1) & ~lastMask);
  const letters = alphabets[/[-_]/.test(written.toString("latin1")) ? 1 : 0];
  return Buffer.from(values.map((value) => letters[value] ?? "").join(""));
}
