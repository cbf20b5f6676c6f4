import type { HookBody, HookedField } from "../../../config/network/interception/http-hooks.ts";
import { RuntimeError } from "../../../errors/index.ts";
import type { HookDecidesMessage, HookedField as WireField } from "../../../protocol/generated/messages.ts";

/** What a function has answered, checked. */
export interface HookAnswer {
  readonly decision: HookDecidesMessage;
  /** null: the message has the body that it came with. */
  readonly body: HookBody | null;
}

const asItIs: HookDecidesMessage = {
  type: "HookDecides",
  isAnswer: false,
  method: null,
  url: null,
  status: null,
  fields: null,
  body: "kept",
  length: null,
};

const keysOf = {
  onRequest: ["method", "url", "headers", "body", "status"],
  onResponse: ["headers", "body", "status"],
} as const;

/** @throws RuntimeError for what is no answer; it says nothing of what is in it */
export function hookAnswer(hook: "onRequest" | "onResponse", given: unknown): HookAnswer {
  if (given === null || given === undefined) return { decision: asItIs, body: null };
  if (typeof given !== "object" || Array.isArray(given)) throw wrong(hook, "no object");
  const known: readonly string[] = keysOf[hook];
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw wrong(hook, `something with the key ${JSON.stringify(unknown.slice(0, 64))}`);
  const { method, url, headers, body, status } = given as Readonly<Record<string, unknown>>;
  const isAnswer = hook === "onRequest" && status !== undefined;
  if (isAnswer && (method !== undefined || url !== undefined))
    throw wrong(hook, "a status, which answers the request, and what is to be sent");
  const made = bodyOf(hook, body);
  return {
    decision: {
      ...asItIs,
      isAnswer,
      method: textOf(hook, "method", method),
      url: textOf(hook, "url", url),
      status: statusOf(hook, status),
      fields: headers === undefined ? null : fieldsOf(hook, headers),
      body: made === null ? "kept" : "made",
      length: lengthOf(made),
    },
    body: made,
  };
}

function bodyOf(hook: string, body: unknown): HookBody | null {
  if (body === undefined) return null;
  if (body === null) return "";
  if (typeof body === "string" || body instanceof Uint8Array) return body;
  if (typeof body === "object" && Symbol.asyncIterator in body) return body as AsyncIterable<Uint8Array>;
  throw wrong(hook, "a body that is neither a string nor bytes nor a stream of bytes");
}

function lengthOf(body: HookBody | null): number | null {
  if (typeof body === "string") return Buffer.byteLength(body);
  return body instanceof Uint8Array ? body.length : null;
}

function textOf(hook: string, key: string, value: unknown): string | null {
  if (value === undefined) return null;
  if (typeof value === "string") return value;
  throw wrong(hook, `a ${key} that is no string`);
}

function statusOf(hook: string, status: unknown): number | null {
  if (status === undefined) return null;
  if (typeof status === "number" && Number.isInteger(status) && status >= 101 && status <= 599) return status;
  throw wrong(hook, "a status that is no number from 200 to 599");
}

function fieldsOf(hook: string, headers: unknown): WireField[] {
  if (typeof headers !== "object" || headers === null) throw wrong(hook, "headers that are no object");
  const pairs: Iterable<unknown> =
    Symbol.iterator in headers ? (headers as Iterable<unknown>) : Object.entries(headers);
  return [...pairs].map((pair): WireField => {
    if (!Array.isArray(pair) || pair.length !== 2) throw wrong(hook, "headers that are no pairs");
    const [name, value] = pair as unknown as HookedField;
    if (typeof name !== "string" || typeof value !== "string")
      throw wrong(hook, "a header that is no string");
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      throw wrong(hook, "a header with characters that it cannot have");
    return { name, value };
  });
}

/** In words that the guest may read. */
function wrong(hook: string, what: string): RuntimeError {
  return new RuntimeError(`the function ${hook} has given ${what}`);
}
