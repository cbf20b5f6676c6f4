import { isFalseFramingName } from "../../http/framing-names.ts";
import type { HttpField } from "../../http/message.ts";
import { isProtocol, isToken, membersOf, tokenCharacter, trim } from "../../http/syntax.ts";
import { Malformed } from "./malformed.ts";

/** A block of fields, and what it says about the message and its connection. */
export interface FieldBlock {
  readonly fields: readonly HttpField[];
  /** null: there is no `Content-Length`. */
  readonly contentLength: number | null;
  readonly isChunked: boolean;
  /** Options of `Connection`, in lower case. */
  readonly connection: readonly string[];
  /** Protocols of `Upgrade`, in lower case. */
  readonly upgrade: readonly string[];
  readonly expectsContinue: boolean;
}

export type FieldOwner = "request" | "response" | "trailers";

/** RFC 9110, 5.1 and 5.5: no space before the colon, no line folding, no control character but the tab. */
const fieldLine = new RegExp(`(${tokenCharacter}+):([\\t\\x20-\\x7e\\x80-\\xff]*)\\r\\n`, "y");
/** Short enough to be exact, and without the zeros in front that some take for octal. */
const wholeNumber = /^(?:0|[1-9][0-9]{0,14})$/;
/** Lengths of the names that are looked at, and no others. */
const tellingLengths = new Set(
  ["content-length", "transfer-encoding", "connection", "upgrade", "expect", "host"].map(
    (name) => name.length,
  ),
);
/** Who comes after us would take these out, and so read another message than we did. */
const neverHopByHop = new Set(["content-length", "transfer-encoding", "host"]);

/**
 * Reads fields up to the empty line that ends them.
 *
 * @param text latin1, with that line, and nothing after it
 * @throws Malformed also when the body's length could be understood in two ways (RFC 9112, 6.3)
 */
export function parseFields(text: string, start: number, owner: FieldOwner): FieldBlock {
  const fields: HttpField[] = [];
  let contentLength: number | null = null;
  let isChunked = false;
  const connection: string[] = [];
  const upgrade: string[] = [];
  let expectsContinue = false;
  const end = text.length - 2;
  for (let at = start; at < end; at = fieldLine.lastIndex) {
    fieldLine.lastIndex = at;
    const match = fieldLine.exec(text);
    if (match === null) throw new Malformed(`a line that is no field, in the ${owner}`);
    const [, name = "", written = ""] = match;
    const value = trim(written);
    fields.push([name, value]);
    if (!tellingLengths.has(name.length)) continue;
    if (isFalseFramingName(name))
      throw new Malformed("a field that could be taken for the length of the body");
    switch (name.toLowerCase()) {
      case "content-length":
        if (owner === "trailers") throw new Malformed("Content-Length after the body");
        if (contentLength !== null) throw new Malformed("Content-Length twice");
        if (!wholeNumber.test(value)) throw new Malformed("Content-Length is no number");
        contentLength = Number(value);
        break;
      case "transfer-encoding":
        if (owner === "trailers") throw new Malformed("Transfer-Encoding after the body");
        if (isChunked) throw new Malformed("Transfer-Encoding twice");
        if (!isChunkedCoding(written, owner))
          throw new Malformed("Transfer-Encoding is not exactly `chunked`");
        isChunked = true;
        break;
      case "connection":
        for (const option of optionsIn(value, owner)) connection.push(option);
        break;
      case "upgrade":
        for (const protocol of protocolsIn(value, owner)) upgrade.push(protocol);
        break;
      case "expect":
        expectsContinue ||= value.toLowerCase() === "100-continue";
        break;
      case "host":
        if (owner === "trailers") throw new Malformed("Host after the body");
    }
  }
  if (isChunked && contentLength !== null) throw new Malformed("both Content-Length and Transfer-Encoding");
  return { fields, contentLength, isChunked, connection, upgrade, expectsContinue };
}

/** Clients write it in one way; what else means the same is there to be read differently. Servers are more free. */
function isChunkedCoding(written: string, owner: FieldOwner): boolean {
  return owner === "request"
    ? written === " chunked" || written === "chunked"
    : trim(written).toLowerCase() === "chunked";
}

function optionsIn(value: string, owner: FieldOwner): string[] {
  const options = membersOf(value);
  if (options.some((option) => neverHopByHop.has(option)))
    throw new Malformed("Connection names a field that everybody needs");
  if (owner === "request" && !options.every(isToken))
    throw new Malformed("an option of Connection that is none");
  return options;
}

/** A server that is more lenient could read another protocol in it than we do. */
function protocolsIn(value: string, owner: FieldOwner): string[] {
  const protocols = membersOf(value);
  if (owner === "request" && !protocols.every(isProtocol))
    throw new Malformed("a protocol of Upgrade that is none");
  return protocols;
}
