import { sensitiveHeaders, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { isFalseFramingName, isFramingName } from "../http/framing-names.ts";
import type { MadeBody } from "../http/inspector.ts";
import type { HttpField, RequestHead, ResponseHead } from "../http/message.ts";
import { isMethod, isOfServer, isTarget } from "../http/syntax.ts";

/** Fields as they came, in order, without those of the protocol. @param raw names and values in turn */
export function fieldsOf(raw: readonly string[]): HttpField[] {
  const fields: HttpField[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const [name = "", value = ""] = raw.slice(at, at + 2);
    if (!name.startsWith(":")) fields.push([name, value]);
  }
  return fields;
}

/** Of a connection, as requests on it have to name it. */
export type Scheme = "http" | "https";

/**
 * What a request asks for, by the same rules as in HTTP/1: whoever writes it as such for another server must not write something else.
 *
 * @param scheme that of the connection. With any other, the path may be whatever the guest likes (RFC 9113, 8.3.1)
 * @returns in words, why this relay does not pass it on
 */
export function requestHeadOf(
  headers: IncomingHttpHeaders & { readonly [name: string]: unknown },
  raw: readonly string[],
  scheme: Scheme,
): RequestHead | { readonly malformed: string } {
  const [method, target, authority] = [headers[":method"], headers[":path"], headers[":authority"]];
  if (typeof method !== "string" || typeof target !== "string" || method === "CONNECT")
    return { malformed: "a request of HTTP/2 without a path" };
  if (headers[":scheme"] !== scheme) return { malformed: "a :scheme that is not the connection's" };
  if (!isMethod(method)) return { malformed: "a :method that is none" };
  if (!isTarget(target) || !isOfServer(target, method)) return { malformed: "a :path that is none" };
  const fields = fieldsOf(raw);
  const malformed = refusedIn(fields);
  if (malformed !== null) return { malformed };
  return {
    version: "2",
    method,
    target,
    authority: typeof authority === "string" ? authority : null,
    fields,
  };
}

/** @returns in words, why fields of a head are not passed on */
export function refusedIn(fields: readonly HttpField[]): string | null {
  return fields.some(([name]) => isFalseFramingName(name))
    ? "a field that could be taken for the length of the body"
    : null;
}

/** @returns in words, why fields after a body are not passed on */
export function refusedAfterBody(fields: readonly HttpField[]): string | null {
  return fields.some(([name]) => isFramingName(name) || name.toLowerCase() === "host")
    ? "a length of the body, or a host, after the body"
    : null;
}

/** What is sent for a request. */
export function outgoingRequest(head: RequestHead, scheme: Scheme): OutgoingHttpHeaders {
  return {
    ":method": head.method,
    ":scheme": scheme,
    ...(head.authority === null ? {} : { ":authority": head.authority }),
    ":path": head.target,
    ...outgoingFields(head.fields),
  };
}

export function outgoingResponse({ status, fields }: ResponseHead): OutgoingHttpHeaders {
  return { ":status": status, ...outgoingFields(fields) };
}

/** The head without what it says of the length of the body. */
export function withoutLength<Head extends RequestHead | ResponseHead>(head: Head): Head {
  return { ...head, fields: head.fields.filter(([name]) => name.toLowerCase() !== "content-length") };
}

/** The head of a message whose body somebody makes. */
export function withLength<Head extends RequestHead | ResponseHead>(head: Head, { length }: MadeBody): Head {
  const bare = withoutLength(head);
  return typeof length === "number"
    ? { ...bare, fields: [...bare.fields, ["content-length", String(length)] as const] }
    : bare;
}

/** Whatever its fields say (RFC 9110, 6.4.1). */
export function hasNoBody(status: number, method: string | undefined): boolean {
  return method === "HEAD" || status === 204 || status === 304;
}

/**
 * Node refuses to send these twice, and takes them when they come: two programs of a server may each add one. In one field they mean the
 * same (RFC 9110, 5.3).
 */
const singleFields = new Set([
  ...["access-control-allow-credentials", "access-control-max-age", "access-control-request-method", "age"],
  ...["authorization", "content-encoding", "content-language", "content-length", "content-location"],
  ...["content-md5", "content-range", "content-type", "date", "dnt", "etag", "expires", "from", "host"],
  ...["if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified"],
  ...["location", "max-forwards", "proxy-authorization", "range", "referer", "retry-after", "tk"],
  ...["upgrade-insecure-requests", "user-agent", "x-content-type-options"],
]);

/** Fields of a name go together, in order. None enters a table that others could be compared with (RFC 7541, 7.1). */
export function outgoingFields(fields: readonly HttpField[]): OutgoingHttpHeaders {
  const values = new Map<string, string[]>();
  for (const [name, value] of fields) {
    const lower = name.toLowerCase();
    const others = values.get(lower);
    if (others === undefined) values.set(lower, [value]);
    else others.push(value);
  }
  const sent: OutgoingHttpHeaders = Object.fromEntries(
    [...values].map(([name, all]) => [name, singleFields.has(name) ? together(all) : all]),
  );
  return { ...sent, [sensitiveHeaders]: [...values.keys()] };
}

function together(values: readonly string[]): string {
  return [...new Set(values)].join(", ");
}
