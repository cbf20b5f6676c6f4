/** Bytes of an Ethernet header: destination, source, type (IEEE 802.3; the type as of RFC 894). */
export const ethernetBytes = 14;

export const etherTypes = { ipv4: 0x0800, arp: 0x0806, rarp: 0x8035, ipv6: 0x86dd } as const;

export function writeEthernet(
  head: Buffer,
  at: number,
  destination: Uint8Array,
  source: Uint8Array,
  type: number,
): void {
  head.set(destination, at);
  head.set(source, at + 6);
  head.writeUInt16BE(type, at + 12);
}

/** The lowest bit of the first byte says so. */
export function isGroupMac(bytes: Uint8Array, at: number): boolean {
  return ((bytes[at] ?? 0) & 1) === 1;
}

/** Whether these bytes are at that place. */
export function isAt(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let index = 0; index < expected.length; index++)
    if (bytes[at + index] !== expected[index]) return false;
  return true;
}
