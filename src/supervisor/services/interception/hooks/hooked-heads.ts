import {
  fieldValues,
  type HttpField,
  type RequestHead,
  type ResponseHead,
} from "../../../../network/http/message.ts";
import { HookFailed, type RequestContext } from "../../../../network/interception/interception.ts";
import type {
  HookDecidesMessage,
  HookedField,
  HookedRequestHead,
} from "../../../../protocol/generated/messages.ts";

/** Of all fields that a function gives, as of those that a peer does. */
const mostFieldBytes = 64 * 1024;
const methodText = /^[A-Z][A-Z0-9_-]{0,31}$/;
const nameText = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const valueText = /^[\t\x20-\x7e\x80-\xff]*$/;

/** What is about the connection, or about how long the body is: a function sees it, and has no say in it (RFC 9110, 7.6.1). */
const ofConnection: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** What a function is told of a request. */
export function hookedRequestHead(head: RequestHead, about: RequestContext): HookedRequestHead {
  return { method: head.method, url: urlOf(head, about), fields: hookedFields(head.fields) };
}

export function hookedFields(fields: readonly HttpField[]): HookedField[] {
  return fields.map(([name, value]) => ({ name, value }));
}

/** @throws HookFailed for what cannot be sent in the place of a request */
export function changedRequest(
  head: RequestHead,
  about: RequestContext,
  { method, url, fields, body, length }: HookDecidesMessage,
): RequestHead {
  const changed = {
    ...head,
    method: method === null ? head.method : methodOf(head.method, method),
    target: url === null ? head.target : targetOf(head, about, url),
    fields: fields === null ? head.fields : changedFields("onRequest", head.fields, fields),
  };
  if (body === "made")
    return { ...changed, fields: withLength(changed.fields, length, head.version === "2") };
  const isSame =
    changed.method === head.method && changed.target === head.target && changed.fields === head.fields;
  // The same object passes it on byte for byte.
  return isSame ? head : changed;
}

/** @throws HookFailed for what cannot be passed on in the place of a response */
export function changedResponse(
  head: ResponseHead,
  { status, fields, body }: HookDecidesMessage,
): ResponseHead {
  if (status === null && fields === null && body === "kept") return head;
  const isOther = status !== null && status !== head.status;
  if (isOther && head.status === 101)
    throw refused("onResponse", "has changed the status of a change of protocols");
  const changed = fields === null ? head.fields : changedFields("onResponse", head.fields, fields);
  return {
    status: isOther ? statusOf("onResponse", status) : head.status,
    fields: body === "made" ? changed.filter(([name]) => !isLength(name)) : changed,
  };
}

/** The head of an answer that a function makes. @throws HookFailed */
export function answerHead({ status, fields }: HookDecidesMessage): ResponseHead {
  return {
    status: statusOf("onRequest", status ?? 200),
    fields: checked("onRequest", fields ?? []).filter(([name]) => !ofConnection.has(name.toLowerCase())),
  };
}

/** How long a message says its body is; null: it does not. */
export function lengthOf({ fields }: RequestHead | ResponseHead): number | null {
  const [length] = fieldValues(fields, "content-length");
  return length !== undefined && /^[0-9]{1,15}$/.test(length) ? Number(length) : null;
}

function changedFields(
  hook: string,
  before: readonly HttpField[],
  given: readonly HookedField[],
): readonly HttpField[] {
  const fields = checked(hook, given);
  const hosts = fieldValues(before, "host");
  if (fieldValues(fields, "host").some((host) => !hosts.includes(host)))
    throw refused(hook, "has changed the host");
  const isKept = ([name]: HttpField): boolean => ofConnection.has(name.toLowerCase());
  const kept = before.filter(isKept);
  const isHost = ([name]: HttpField): boolean => name.toLowerCase() === "host";
  return [
    ...kept.filter(isHost),
    ...fields.filter((field) => !isKept(field)),
    ...kept.filter((field) => !isHost(field)),
  ];
}

function checked(hook: string, given: readonly HookedField[]): HttpField[] {
  let bytes = 0;
  const fields = given.map(({ name, value }): HttpField => {
    bytes += name.length + value.length + 4;
    if (!nameText.test(name) || !valueText.test(value))
      throw refused(hook, "has given a header that is none");
    return [name, value];
  });
  if (bytes > mostFieldBytes) throw refused(hook, `has given headers of more than ${mostFieldBytes} bytes`);
  return fields;
}

/** Secrets are looked for in what says that it has a body. */
function withLength(
  fields: readonly HttpField[],
  length: number | null,
  isHttp2: boolean,
): readonly HttpField[] {
  const others = fields.filter(([name]) => !isLength(name));
  if (length !== null) return [...others, ["content-length", String(length)]];
  return isHttp2 ? others : [...others, ["transfer-encoding", "chunked"]];
}

function isLength(name: string): boolean {
  return /^(?:content-length|transfer-encoding)$/i.test(name);
}

function methodOf(before: string, method: string): string {
  if (!methodText.test(method) || method === "CONNECT" || method === "PRI")
    throw refused("onRequest", "has given a method that is none");
  // Whoever has sent the one does not read the answer to the other.
  if (method !== before && (method === "HEAD" || before === "HEAD"))
    throw refused("onRequest", "has changed a method to or from HEAD");
  return method;
}

function statusOf(hook: string, status: number): number {
  if (status >= 200 && status <= 599) return status;
  throw refused(hook, "has given a status that is none");
}

function urlOf(head: RequestHead, about: RequestContext): string {
  const { target } = head;
  if (/^https?:/i.test(target)) return target;
  return `${originOf(head, about)}${target === "*" ? "" : target}`;
}

function originOf(head: RequestHead, { isTls, address, port }: RequestContext): string {
  const bare = address.includes(":") ? `[${address}]` : address;
  const authority = head.authority ?? fieldValues(head.fields, "host")[0] ?? `${bare}:${port}`;
  return `${isTls ? "https" : "http"}://${authority}`;
}

/** @throws HookFailed for a URL of another host */
function targetOf(head: RequestHead, about: RequestContext, url: string): string {
  const before = urlOf(head, about);
  if (url === before) return head.target;
  const [was, is] = [parsed(before), parsed(url)];
  if (is === null) throw refused("onRequest", "has given a url that is none");
  if (was === null || is.origin !== was.origin || is.username !== "" || is.password !== "")
    throw refused("onRequest", "has changed the host");
  const path = `${is.pathname}${is.search}`;
  const [, origin = ""] = /^(https?:\/\/[^/?#]*)/i.exec(head.target) ?? [];
  return `${origin}${path}`;
}

function parsed(url: string): URL | null {
  return URL.canParse(url) ? new URL(url) : null;
}

function refused(hook: string, what: string): HookFailed {
  return new HookFailed(502, `the function ${hook} ${what}`);
}
