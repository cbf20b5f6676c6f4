import { STATUS_CODES } from "node:http";
import { isFramingName } from "../../http/framing-names.ts";
import type { HttpField, RequestHead, ResponseHead } from "../../http/message.ts";
import { isMethod, isTarget, isToken } from "../../http/syntax.ts";
import type { Framing } from "./heads.ts";
import { Malformed } from "./malformed.ts";

const valueText = /^[\t\x20-\x7e\x80-\xff]*$/;

/** @throws Malformed when what somebody has put in would be read as something else */
export function writeRequestHead(head: RequestHead, framing: Framing): Buffer {
  if (!isMethod(head.method) || !isTarget(head.target)) throw new Malformed("a changed request line is none");
  const version = head.version === "1.0" ? "1.0" : "1.1";
  return written(`${head.method} ${head.target} HTTP/${version}\r\n`, withFraming(head.fields, framing));
}

/** @param framing null: as its fields have it @throws Malformed as {@link writeRequestHead} */
export function writeResponseHead(head: ResponseHead, framing: Framing | null): Buffer {
  if (!Number.isInteger(head.status) || head.status < 100 || head.status > 999)
    throw new Malformed("a changed status is none");
  const line = `HTTP/1.1 ${head.status} ${STATUS_CODES[head.status] ?? ""}\r\n`;
  return written(line, framing === null ? head.fields : withFraming(head.fields, framing));
}

/** @throws Malformed as {@link writeRequestHead}, or when the fields would be read as the length of the body */
export function writeTrailers(fields: readonly HttpField[]): Buffer {
  if (fields.some(([name]) => isFramingName(name)))
    throw new Malformed("a length of the body in changed trailers");
  return written("", fields);
}

/** The fields, with `Connection: close` in the place of what they say about it. */
export function withClose(fields: readonly HttpField[]): readonly HttpField[] {
  const others = fields.filter(([name]) => !["connection", "keep-alive"].includes(name.toLowerCase()));
  return [...others, ["Connection", "close"]];
}

function written(firstLine: string, fields: readonly HttpField[]): Buffer {
  let text = firstLine;
  for (const [name, value] of fields) {
    if (!isToken(name) || !valueText.test(value))
      throw new Malformed("a changed field would be read as something else");
    text += `${name}: ${value}\r\n`;
  }
  return Buffer.from(`${text}\r\n`, "latin1");
}

/** What says how long the body is comes from who writes the body, and stands where it stood. */
function withFraming(fields: readonly HttpField[], framing: Framing): readonly HttpField[] {
  const ours = framingField(framing);
  const at = fields.findIndex(([name]) => isFramingName(name));
  const others = fields.filter(([name]) => !isFramingName(name));
  // All before the first of them stay where they are.
  if (ours !== null) others.splice(at < 0 ? others.length : at, 0, ours);
  return others;
}

function framingField(framing: Framing): HttpField | null {
  if (framing.kind === "fixed") return ["Content-Length", String(framing.length)];
  return framing.kind === "chunked" ? ["Transfer-Encoding", "chunked"] : null;
}
