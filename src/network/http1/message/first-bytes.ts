import { tokenCharacter } from "../../http/syntax.ts";

/** What a client's first bytes are the beginning of. `more`: that cannot be told yet. */
export type Protocol = "more" | "http1" | "http2" | "other";

/** RFC 9113, 3.4. */
export const http2Preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
/** A line that is longer and may be a request is taken for one: the reader says what is wrong with it. */
const maxLineBytes = 8192;
/** What servers read as a method, also in other letters. */
const knownMethods = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "DELETE",
  "CONNECT",
  "OPTIONS",
  "TRACE",
  "PATCH",
  "QUERY",
  "PRI",
  "PROPFIND",
  "PROPPATCH",
  "MKCOL",
  "COPY",
  "MOVE",
  "LOCK",
  "UNLOCK",
  "REPORT",
  "SEARCH",
];
const blanks = /^[\t-\r ]*/;
const word = new RegExp(`^${tokenCharacter}*`);
/** The version; the end of the line; and what no line of text has. Whichever comes first decides. */
const telling = /http\/|[\0-\x08\n\x0e-\x1f\x7f]/i;

/**
 * Tells HTTP from what is none. What some server could read as a request, however lenient it is with what stands before the method, with
 * its letters and with what is between the words, is HTTP, and is left to a reader that is not lenient at all. All else is other.
 *
 * @param bytes all that came
 * @param isLast no more comes, or nobody wants to wait for it
 */
export function protocolOf(bytes: Buffer, isLast: boolean): Protocol {
  const preface = bytes.subarray(0, http2Preface.length);
  if (bytes.length > 0 && preface.equals(http2Preface.subarray(0, preface.length)))
    return preface.length === http2Preface.length ? "http2" : isLast ? "http1" : "more";
  const text = bytes.toString("latin1", 0, maxLineBytes);
  const rest = text.slice(blanks.exec(text)?.[0].length);
  const isTooLong = text.length === maxLineBytes;
  if (rest === "") return isLast || isTooLong ? "http1" : "more";
  const method = word.exec(rest)?.[0].toUpperCase() ?? "";
  if (method === "") return "other";
  if (method.length < rest.length) {
    if (knownMethods.includes(method)) return "http1";
    const sign = telling.exec(rest)?.[0];
    if (sign !== undefined) return sign.length > 1 ? "http1" : "other";
  }
  if (isTooLong) return "http1";
  return isLast && !knownMethods.some((known) => known.startsWith(method)) ? "other" : "more";
}
