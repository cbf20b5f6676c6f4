import type { RequestHead, ResponseHead } from "../../http/message.ts";
import { isOfServer, methodText, targetText } from "../../http/syntax.ts";
import { type FieldBlock, parseFields } from "./fields.ts";
import { Malformed } from "./malformed.ts";

/** How long a body is (RFC 9112, 6.3). */
export type Framing =
  { readonly kind: "none" | "chunked" | "until-close" } | { readonly kind: "fixed"; readonly length: number };

export interface ParsedRequest {
  readonly head: RequestHead;
  readonly block: FieldBlock;
  readonly framing: Framing;
  /** The client wants no other response on this connection (RFC 9112, 9.3). */
  readonly closes: boolean;
}

export interface ParsedResponse {
  readonly head: ResponseHead;
  readonly version: "1.0" | "1.1";
  readonly block: FieldBlock;
  readonly framing: Framing;
  readonly closes: boolean;
}

const requestLine = new RegExp(`^(${methodText}) (${targetText}) HTTP/1\\.([01])\r\n`);
const statusLine = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?\r\n/;
const absoluteForm = /^https?:\/\//i;

/** Before all of the head is there: nobody is let wait for the end of what is wrong already. @throws Malformed */
export function checkRequestLine(line: string): void {
  if (!requestLine.test(line)) throw new Malformed("a request line that is none");
}

/** @param text latin1, from the request line to the empty line after the fields @throws Malformed */
export function parseRequest(text: string): ParsedRequest {
  const match = requestLine.exec(text);
  if (match === null) throw new Malformed("a request line that is none");
  const [line, method = "", target = "", minor] = match;
  const version = minor === "1" ? "1.1" : "1.0";
  // The proxy's form of CONNECT is read before there is a relay: nothing may build a tunnel inside of what is looked at.
  if (method === "CONNECT") throw new Malformed("CONNECT to a server that is no proxy");
  // With it, HTTP/2 begins (RFC 9113, 3.4): some servers would go on with that.
  if (method === "PRI") throw new Malformed("a preface of HTTP/2 that is none");
  if (!isOfServer(target, method) && !absoluteForm.test(target))
    throw new Malformed("a request target that is none");
  const block = parseFields(text, line.length, "request");
  if (block.isChunked && version === "1.0") throw new Malformed("Transfer-Encoding in HTTP/1.0");
  return {
    head: { version, method, target, authority: null, fields: block.fields },
    block,
    framing: framingOf(block) ?? { kind: "none" },
    closes: closes(version, block),
  };
}

/**
 * @param text latin1, from the status line to the empty line after the fields
 * @param method of the request that it answers
 * @throws Malformed
 */
export function parseResponse(text: string, method: string): ParsedResponse {
  const match = statusLine.exec(text);
  if (match === null) throw new Malformed("a status line that is none");
  const [line, minor, digits] = match;
  const version = minor === "1" ? "1.1" : "1.0";
  const status = Number(digits);
  const block = parseFields(text, line.length, "response");
  const hasNoBody = neverHasBody(status) || method === "HEAD";
  return {
    head: { status, fields: block.fields },
    version,
    block,
    framing: hasNoBody ? { kind: "none" } : (framingOf(block) ?? { kind: "until-close" }),
    closes: closes(version, block),
  };
}

/** Whatever its fields say (RFC 9112, 6.3). */
export function neverHasBody(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}

function framingOf({ isChunked, contentLength }: FieldBlock): Framing | null {
  if (isChunked) return { kind: "chunked" };
  return contentLength === null ? null : { kind: "fixed", length: contentLength };
}

function closes(version: "1.0" | "1.1", { connection }: FieldBlock): boolean {
  return connection.includes("close") || (version === "1.0" && !connection.includes("keep-alive"));
}
