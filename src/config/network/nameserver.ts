import { isIPv6 } from "node:net";
import { InvalidConfigError } from "../../errors/index.ts";
import { IpAddress } from "../../host/ip/address.ts";

/** The port of DNS over UDP and TCP (RFC 1035, 4.2). */
export const dnsPort = 53;

/** A DNS server that queries are sent to. */
export interface Nameserver {
  /** An IP address, an IPv6 one without brackets and maybe with a zone; or a name, which the host's own resolver has to find. */
  readonly host: string;
  readonly isAddress: boolean;
  readonly port: number;
}

/**
 * Reads `IP`, `IP:PORT`, `[v6]`, `[v6]:PORT`, an IPv6 address alone, `HOST` or `HOST:PORT`. Blanks around it are left out.
 *
 * `[2606:4700:4700::1111]:5353` is `{ host: "2606:4700:4700::1111", isAddress: true, port: 5353 }`.
 *
 * @throws InvalidConfigError when it is none of them
 */
export function parseNameserver(text: string): Nameserver {
  const trimmed = text.trim();
  if (isIPv6(trimmed)) return { host: trimmed, isAddress: true, port: dnsPort };
  const parts = /^(?:\[(?<v6>[^[\]]*)\]|(?<host>[^:[\]]*))(?::(?<port>\d{1,5}))?$/.exec(trimmed)?.groups;
  if (parts === undefined) throw invalid(text);
  const port = parts["port"] === undefined ? dnsPort : Number(parts["port"]);
  const host = parts["v6"] ?? parts["host"] ?? "";
  const isAddress = parts["v6"] === undefined ? IpAddress.parse(host)?.family === 4 : isIPv6(host);
  // Nothing can be sent to port 0.
  if (port < 1 || port > 65535 || !(isAddress || (parts["v6"] === undefined && isHostName(host))))
    throw invalid(text);
  return { host, isAddress, port };
}

/** The text that {@link parseNameserver} reads as the same one. */
export function nameserverText({ host, port }: Nameserver): string {
  const shown = host.includes(":") ? `[${host}]` : host;
  return port === dnsPort && shown === host ? host : `${shown}:${port}`;
}

/** Letters, digits, `-` and `_` in labels (RFC 1123, 2.1). A number at the end is a broken address, not a name. */
function isHostName(text: string): boolean {
  const name = text.replace(/\.$/, "");
  const labels = name.split(".");
  return (
    name.length <= 253 &&
    labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label)) &&
    !/^(?:\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? "")
  );
}

function invalid(text: string): InvalidConfigError {
  return new InvalidConfigError(
    `invalid nameserver ${JSON.stringify(text)}; expected IP, IP:PORT, HOST, or HOST:PORT`,
    { hint: "Write an IPv6 address with a port as [v6]:PORT; ports go from 1 to 65535." },
  );
}
