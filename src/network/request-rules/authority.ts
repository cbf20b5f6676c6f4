import { fieldValues, type RequestHead } from "../http/message.ts";

/** Whom a request is for, or why nobody can tell. */
export type Authority =
  /** In lower case, without a port and a dot at the end. null: it does not say (HTTP/1.0). */
  { readonly host: string | null } | { readonly malformed: string };

/**
 * Reads whom a request is for, in such a way that no server can take it to be for somebody else: every place that says it has to say the
 * same (RFC 9112, 3.2 and 3.3; RFC 9113, 8.3.1).
 */
export function authorityOf(head: RequestHead): Authority {
  const places: string[] = [];
  if (head.version === "2") {
    if (head.method === "CONNECT") return { malformed: "CONNECT" };
    if (head.authority === null) return { malformed: "no :authority" };
    places.push(head.authority);
  } else {
    const ofTarget = targetAuthority(head);
    if ("malformed" in ofTarget) return ofTarget;
    if (ofTarget.text !== null) places.push(ofTarget.text);
  }
  const fields = fieldValues(head.fields, "host");
  if (fields.length > 1) return { malformed: "several Host fields" };
  if (fields.length === 0 && head.version === "1.1") return { malformed: "no Host field" };
  const hosts = [...places, ...fields].map(hostOf);
  const [host = null] = hosts;
  if (hosts.includes(null)) return { malformed: "a Host that is none" };
  if (hosts.some((other) => other !== host)) return { malformed: "several hosts at once" };
  return { host };
}

/** What a request target of HTTP/1 says of the host: only the absolute form does. */
function targetAuthority({
  method,
  target,
}: RequestHead): { readonly text: string | null } | { readonly malformed: string } {
  if (method === "CONNECT") return { malformed: "CONNECT" };
  if (target.startsWith("/")) return { text: null };
  if (target === "*") return method === "OPTIONS" ? { text: null } : { malformed: "a target of *" };
  const absolute = /^https?:\/\/([^/?#]*)/i.exec(target);
  const text = absolute?.[1];
  return text === undefined ? { malformed: "a target that is none" } : { text };
}

/**
 * The host of `host[:port]`.
 *
 * @returns null for what is not just that: user information, an address in no brackets, anything that is no name and no address
 */
export function hostOf(authority: string): string | null {
  const [, name, brackets] = /^(?:([a-z0-9_.-]+)|(\[[0-9a-f:.]+\]))(?::[0-9]{0,5})?$/i.exec(authority) ?? [];
  if (brackets !== undefined) return brackets.toLowerCase();
  const host = name?.toLowerCase().replace(/\.$/, "");
  return host === undefined || host === "" || host.startsWith(".") || host.endsWith(".") ? null : host;
}
