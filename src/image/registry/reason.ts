import { readBody } from "./body.ts";
import type { HttpResponse } from "./http.ts";

/** A page of a proxy is longer, and no reason. */
const maximumBytes = 1 << 16;
const maximumLength = 400;

/**
 * Why a registry or its token service refuses, in its own words; null when it does not say. Reads the answer's body, or
 * destroys it.
 */
export async function readReason(response: HttpResponse): Promise<string | null> {
  try {
    return reasonOf(await readBody(response, maximumBytes), response.header("content-type"));
  } catch {
    // The refusal itself is what is told then.
    return null;
  } finally {
    response.body.destroy();
  }
}

/**
 * The reason in a body: the `errors` of the distribution specification ("Error Codes"), the `error_description` of OAuth 2
 * (RFC 6749, 5.2), the `details` or `message` that others send, or a line of plain text.
 */
export function reasonOf(body: Buffer, contentType: string | undefined): string | null {
  let json: unknown;
  try {
    json = JSON.parse(body.toString());
  } catch {
    return /^text\/plain\b/i.test(contentType ?? "") ? asReason(body.toString()) : null;
  }
  if (!isObject(json)) return null;
  const { errors } = json;
  const entries = Array.isArray(errors) ? errors.filter(isObject) : [];
  const told = entries
    .map((entry) => texts(entry, ["message", "detail", "code"]))
    .filter((text) => text !== "");
  const found = told.length > 0 ? told.slice(0, 3).join("; ") : texts(json, other);
  return asReason(found);
}

const other = ["error_description", "details", "message", "error", "reason"];

/** The first of these fields that is a text. */
function texts(from: Readonly<Record<string, unknown>>, keys: readonly string[]): string {
  for (const key of keys) {
    const value = from[key];
    if (typeof value === "string" && value.trim() !== "") return value;
  }
  return "";
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** It is a stranger's text and becomes part of a message. */
function asReason(text: string): string | null {
  const line = text.replace(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim();
  if (line === "") return null;
  return line.length > maximumLength ? `${line.slice(0, maximumLength)}…` : line;
}

/** Behind the message of an error. */
export function withReason(message: string, reason: string | null): string {
  return reason === null ? message : `${message}: ${reason}`;
}

/** Whether a reason only says in other words that this user may not: what every registry says to who is not logged in. */
export function isAboutAccess(reason: string | null): boolean {
  return (
    reason === null ||
    /denied|unauthori[sz]ed|authenticat|forbidden|not allowed|permission|log ?in|credential|password/i.test(
      reason,
    )
  );
}
