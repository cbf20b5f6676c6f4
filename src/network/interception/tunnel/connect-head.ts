import { IpAddress } from "../../../host/ip/address.ts";
import type { RequestHead } from "../../http/message.ts";
import { parseFields } from "../../http1/message/fields.ts";
import { Malformed } from "../../http1/message/malformed.ts";

/** A request for a tunnel (RFC 9110, 9.3.6). */
export interface ConnectRequest {
  readonly head: RequestHead;
  /** Whom the tunnel is to lead to: a name in lower case, without a dot at the end, or an address without brackets. */
  readonly host: string;
  readonly isAddress: boolean;
  readonly port: number;
}

const requestLine = /^CONNECT ([\x21-\x7e]+) HTTP\/1\.([01])\r\n/;
const hostAndPort = /^(?:([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)|\[([0-9a-f:.]+)\]):([0-9]{1,5})$/i;

/** @param text latin1, with the empty line at its end @throws Malformed */
export function parseConnect(text: string): ConnectRequest {
  const [line, target = "", minor] = requestLine.exec(text) ?? [];
  if (line === undefined) throw new Malformed("a request line that is none");
  const { host, isAddress, port } = parseTarget(target);
  const block = parseFields(text, line.length, "request");
  if (block.isChunked || (block.contentLength ?? 0) > 0) throw new Malformed("CONNECT with a body");
  const version = minor === "1" ? "1.1" : "1.0";
  return {
    head: { version, method: "CONNECT", target, authority: null, fields: block.fields },
    host,
    isAddress,
    port,
  };
}

/** @throws Malformed for anything but `host:port` */
export function parseTarget(target: string): Pick<ConnectRequest, "host" | "isAddress" | "port"> {
  const [, name, inBrackets, digits = ""] = hostAndPort.exec(target) ?? [];
  const port = Number(digits);
  const host = (name ?? inBrackets)?.toLowerCase().replace(/\.$/, "");
  if (host === undefined || port < 1 || port > 0xffff)
    throw new Malformed("a target that is no host and port");
  const address = IpAddress.parse(host);
  if ((inBrackets !== undefined) !== (address?.family === 6))
    throw new Malformed("a target that is no address");
  return { host, isAddress: address !== null, port };
}

/** What the other end says to it: `isOpen` for 2xx. */
export function parseConnectReply(text: string): { readonly isOpen: boolean } {
  const status = /^HTTP\/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r\n/.exec(text)?.[1];
  if (status === undefined) throw new Malformed("a status line that is none");
  if (status.startsWith("1")) throw new Malformed("an answer that only informs, to CONNECT");
  return { isOpen: status.startsWith("2") };
}

/** @returns where a head ends, with the empty line; null: it has not */
export function endOfHead(bytes: Buffer): number | null {
  const at = bytes.indexOf("\r\n\r\n");
  return at < 0 ? null : at + 4;
}
