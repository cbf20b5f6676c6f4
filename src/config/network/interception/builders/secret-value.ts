import { isUtf8 } from "node:buffer";
import { isText } from "../../../guest-text.ts";
import type { SecretInjection } from "../secret-type.ts";

/** Bytes: no head of a request may have more. */
const longestValue = 65_536;
/** RFC 9110, 5.5: a value with a newline would be a field, or a request, of its own. */
export const notInField = /[\0-\x08\x0a-\x1f\x7f]/;
/** What is left of visible characters (RFC 3986, 3.4) without `#`, which ends a query. */
export const notInQuery = /[^\x21\x22\x24-\x7e]/;

/** What is wrong with a value, in words that do not tell it, and what to do. */
export interface ValueProblem {
  /** As the end of a sentence: `is empty`. */
  readonly problem: string;
  readonly hint: string;
}

/**
 * What keeps a text from being put in as the value of a secret, wherever it comes from: an empty one would be no credential, a line
 * break would end a header field and begin another one, and a space would end a query.
 *
 * @returns null when it can be
 */
export function valueProblem(value: unknown, injection: SecretInjection): ValueProblem | null {
  if (!isText(value))
    return { problem: "is no text, or holds a NUL", hint: "Encode it as text, such as base64." };
  if (value === "") {
    return {
      problem: "is empty",
      hint: "Where it is read from may have nothing: look at the program's own environment.",
    };
  }
  const bytes = Buffer.byteLength(value);
  if (bytes > longestValue) {
    return {
      problem: `has ${bytes} bytes; ${longestValue} are the most`,
      hint: "It has to fit into a request's header.",
    };
  }
  if ((hasHeaders(injection) || injection.basicAuth) && notInField.test(value)) {
    return {
      problem: "has a control character, such as a line break, which no header field can hold",
      hint: "Take it off when it is at the end; or put it into bodies alone: substituteInHeaders(false).injectBody(true).",
    };
  }
  if (!injection.queryParams || !notInQuery.test(value)) return null;
  return {
    problem: "has a character that no query can hold as it is, such as a space",
    hint: "Leave injectQuery() out, or give the value with its escapes.",
  };
}

/**
 * The value in a secret's file: all of it, without the newline at its end.
 *
 * @returns null when it is no UTF-8: read as text it would be another value
 */
export function valueInFile(content: Buffer): string | null {
  return isUtf8(content) ? content.toString("utf8").replace(/\r?\n$/, "") : null;
}

/** Whether a value is put into header fields as it is. */
export function hasHeaders({ headers }: SecretInjection): boolean {
  return typeof headers === "boolean" ? headers : headers.length > 0;
}
