import { IpAddress } from "../../../host/ip/address.ts";

const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
/** Version 2, command PROXY. */
const versionAndCommand = 0x21;

interface Ends {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/**
 * What tells a server who has connected, in place of the connection that it sees: the PROXY protocol, version 2
 * (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, section 2.2).
 *
 * @returns null when an end is not known (any more)
 */
export function proxyHeader({ remoteAddress, remotePort, localAddress, localPort }: Ends): Buffer | null {
  const peer = IpAddress.parse(withoutZone(remoteAddress));
  const own = IpAddress.parse(withoutZone(localAddress));
  if (peer === null || own?.family !== peer.family) return null;
  if (remotePort === undefined || localPort === undefined) return null;
  const addresses = [...peer.bytes, ...own.bytes];
  const rest = Buffer.alloc(8);
  rest[0] = versionAndCommand;
  // TCP over IPv4 or IPv6.
  rest[1] = peer.family === 4 ? 0x11 : 0x21;
  rest.writeUInt16BE(addresses.length + 4, 2);
  rest.writeUInt16BE(remotePort, 4);
  rest.writeUInt16BE(localPort, 6);
  return Buffer.concat([signature, rest.subarray(0, 4), Buffer.from(addresses), rest.subarray(4)]);
}

/** A link-local address has one (`fe80::1%eth0`). */
function withoutZone(address = ""): string {
  return address.replace(/%.*/, "");
}
