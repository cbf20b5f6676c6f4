/** Frames as a guest makes them, written by the RFCs and not with the gateway's code: right by default, wrong where a test says so. */

export const guestMac = Buffer.from("026d73000002", "hex");
export const gatewayMac = Buffer.from("026d73000001", "hex");
export const broadcastMac = Buffer.from("ffffffffffff", "hex");

export function address(text: string): Buffer {
  if (!text.includes(":")) return Buffer.from(text.split(".").map(Number));
  const [head = "", tail] = text.split("::");
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const all = [...before, ...new Array<string>(8 - before.length - after.length).fill("0"), ...after];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}

export const guest4 = address("172.16.0.2");
export const gateway4 = address("172.16.0.1");
export const guest6 = address("fd42:6d73:62::2");
export const gateway6 = address("fd42:6d73:62::1");
export const linkLocal6 = address("fe80::6d:73ff:fe00:2");

/** RFC 1071, word by word. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return ~sum & 0xffff;
}

export function ethernet(
  type: number,
  body: Uint8Array,
  { source = guestMac, destination = gatewayMac }: { source?: Uint8Array; destination?: Uint8Array } = {},
): Buffer {
  return Buffer.concat([destination, source, Buffer.from([type >> 8, type & 255]), body]);
}

export interface Ipv4Fields {
  source?: Uint8Array;
  destination: Uint8Array;
  protocol: number;
  ttl?: number;
  id?: number;
  /** The word with flags and offset. */
  fragmentation?: number;
  options?: Uint8Array;
  version?: number;
  headerWords?: number;
  totalLength?: number;
  checksum?: number;
}

export function ipv4(fields: Ipv4Fields, payload: Uint8Array): Buffer {
  const options = fields.options ?? new Uint8Array(0);
  const header = Buffer.alloc(20 + options.length);
  header[0] = ((fields.version ?? 4) << 4) | (fields.headerWords ?? header.length / 4);
  header.writeUInt16BE(fields.totalLength ?? header.length + payload.length, 2);
  header.writeUInt16BE(fields.id ?? 7, 4);
  header.writeUInt16BE(fields.fragmentation ?? 0, 6);
  header[8] = fields.ttl ?? 64;
  header[9] = fields.protocol;
  header.set(fields.source ?? guest4, 12);
  header.set(fields.destination, 16);
  header.set(options, 20);
  header.writeUInt16BE(fields.checksum ?? internetChecksum(header), 10);
  return Buffer.concat([header, payload]);
}

export interface Ipv6Fields {
  source?: Uint8Array;
  destination: Uint8Array;
  nextHeader: number;
  hopLimit?: number;
  version?: number;
  payloadLength?: number;
}

export function ipv6(fields: Ipv6Fields, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(40);
  header[0] = (fields.version ?? 6) << 4;
  header.writeUInt16BE(fields.payloadLength ?? payload.length, 4);
  header[6] = fields.nextHeader;
  header[7] = fields.hopLimit ?? 64;
  header.set(fields.source ?? guest6, 8);
  header.set(fields.destination, 24);
  return Buffer.concat([header, payload]);
}

/** RFC 8200, 8.1; RFC 768 over IPv4. */
export function pseudoHeader(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  length: number,
): Buffer {
  const end =
    source.length === 4
      ? Buffer.from([0, protocol, length >> 8, length & 255])
      : Buffer.from([0, 0, length >> 8, length & 255, 0, 0, 0, protocol]);
  return Buffer.concat([source, destination, end]);
}

export function udp(
  source: Uint8Array,
  destination: Uint8Array,
  ports: readonly [number, number],
  data: Uint8Array,
): Buffer {
  const datagram = Buffer.concat([Buffer.alloc(8), data]);
  datagram.writeUInt16BE(ports[0], 0);
  datagram.writeUInt16BE(ports[1], 2);
  datagram.writeUInt16BE(datagram.length, 4);
  const pseudo = pseudoHeader(source, destination, 17, datagram.length);
  datagram.writeUInt16BE(internetChecksum(pseudo, datagram) || 0xffff, 6);
  return datagram;
}

/** An ICMP message, with its checksum; for IPv6 with the addresses that it counts. */
export function icmp(
  type: number,
  code: number,
  rest: Uint8Array,
  addresses?: readonly [source: Uint8Array, destination: Uint8Array],
): Buffer {
  const message = Buffer.concat([Buffer.from([type, code, 0, 0]), rest]);
  const pseudo = addresses === undefined ? Buffer.alloc(0) : pseudoHeader(...addresses, 58, message.length);
  message.writeUInt16BE(internetChecksum(pseudo, message), 2);
  return message;
}

export function arp(
  operation: number,
  sender: readonly [Uint8Array, Uint8Array],
  target: readonly [Uint8Array, Uint8Array],
): Buffer {
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]);
  return Buffer.concat([head, ...sender, ...target]);
}

/** ff02::1:ffXX:XXXX for an address. */
export function solicitedNode(target: Uint8Array): Buffer {
  return Buffer.concat([address("ff02::1:ff00:0").subarray(0, 13), target.subarray(13)]);
}

export function groupMac(group: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0x33, 0x33]), group.subarray(12)]);
}

/** A neighbour solicitation in its frame. */
export function solicitation(target: Uint8Array, source: Uint8Array = guest6): Buffer {
  const group = solicitedNode(target);
  const isProbe = source.every((byte) => byte === 0);
  const option = isProbe ? Buffer.alloc(0) : Buffer.concat([Buffer.from([1, 1]), guestMac]);
  const body = icmp(135, 0, Buffer.concat([Buffer.alloc(4), target, option]), [source, group]);
  return ethernet(0x86dd, ipv6({ source, destination: group, nextHeader: 58, hopLimit: 255 }, body), {
    destination: groupMac(group),
  });
}

/** As they are on the cable. */
export function prefixed(...frames: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    frames.flatMap((frame) => {
      const prefix = Buffer.alloc(4);
      prefix.writeUInt32BE(frame.length);
      return [prefix, frame];
    }),
  );
}

/** An IPv6 fragment's header and its part of the payload (RFC 8200, 4.5). @param offset bytes */
export function fragment6(
  nextHeader: number,
  { offset, more, id = 77, reserved = 0 }: { offset: number; more: boolean; id?: number; reserved?: number },
  part: Uint8Array,
): Buffer {
  const header = Buffer.alloc(8);
  header[0] = nextHeader;
  header[1] = reserved >> 2;
  header.writeUInt16BE((offset & 0xfff8) | ((reserved & 3) << 1) | (more ? 1 : 0), 2);
  header.writeUInt32BE(id, 4);
  return Buffer.concat([header, part]);
}

/** The word of an IPv4 header. @param offset bytes */
export function fragmentation(offset: number, more: boolean): number {
  return (more ? 0x2000 : 0) | (offset / 8);
}

/** An extension header with options, or anything else of that form, filled up with PadN. */
export function extension(nextHeader: number, options: Uint8Array): Buffer {
  const length = Math.ceil((2 + options.length) / 8) * 8;
  const padding = length - 2 - options.length;
  const pad =
    padding === 0 ? [] : padding === 1 ? [0] : [1, padding - 2, ...new Array<number>(padding - 2).fill(0)];
  return Buffer.from([nextHeader, length / 8 - 1, ...options, ...pad]);
}
