import * as v from "valibot";
import { ImageError } from "../errors/index.ts";

/** How deep arrays and objects may stand within each other: image documents need fewer than ten. */
const maximumDepth = 64;
/** How many values a document may have: a hundred times what the largest indexes have. */
const maximumValues = 100_000;
/** Smaller documents do no harm. */
const smallDocument = 1 << 16;

/** @throws ImageError unless the bytes are JSON in UTF-8 */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  if (bytes.length > smallDocument) checkStructure(bytes, what);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes), wellFormed);
  } catch (error) {
    throw new ImageError(`${what} is not JSON`, { cause: error });
  }
}

/** JSON can spell half a surrogate pair, which nothing else can hold; Go reads it as U+FFFD, and so do the other engines. */
function wellFormed(_key: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed() : value;
}

/** @throws ImageError unless the bytes are a JSON object */
export function parseObject(bytes: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  const json = parseJson(bytes, what);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ImageError(`${what} is not a JSON object`);
  }
  return json as Readonly<Record<string, unknown>>;
}

/** @throws ImageError that names the field */
export function check<const S extends v.GenericSchema>(
  schema: S,
  json: unknown,
  what: string,
): v.InferOutput<S> {
  const parsed = v.safeParse(schema, json);
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  throw new ImageError(`${what}: ${v.getDotPath(issue) ?? "the document"}: ${issue.message}`);
}

/**
 * Refuses a document that would take 50 times its length in memory when it is parsed: very many values, or deep ones.
 *
 * @throws ImageError
 */
function checkStructure(bytes: Uint8Array, what: string): void {
  let depth = 0;
  let values = 0;
  let isString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (isString) {
      if (byte === backslash) at++;
      else if (byte === quotationMark) isString = false;
    } else if (byte === quotationMark) isString = true;
    else if (byte === closeBracket || byte === closeBrace) depth--;
    else if (byte === comma) values++;
    else if (byte === openBracket || byte === openBrace) {
      values++;
      if (++depth > maximumDepth) throw new ImageError(`${what} is nested more than ${maximumDepth} deep`);
    }
    if (values > maximumValues) throw new ImageError(`${what} has more than ${maximumValues} values`);
  }
}

const comma = 0x2c;
const quotationMark = 0x22;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
