import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GuestEnd } from "../../../../test/support/network/guest-end.ts";
import { address } from "../../../../test/support/network/guest-peer.ts";
import type { IpPacket } from "../../ip/packet.ts";
import { protocolNumbers } from "../../ip/packet.ts";
import { readDatagram, sendDatagram } from "./datagram.ts";

/** A packet of either version, as the layer below hands it on; the fields of UDP are as said, or right. */
function packet(
  family: 4 | 6,
  payload: Buffer,
  {
    length = 8 + payload.length,
    checksum = null as number | null,
    ports = [4000, 9000] as readonly [number, number],
  } = {},
): IpPacket {
  const source = address(family === 4 ? "172.16.0.2" : "fd42:6d73:62::2").bytes;
  const destination = address(family === 4 ? "192.0.2.1" : "2001:db8::1").bytes;
  const header = Buffer.alloc(8);
  header.writeUInt16BE(ports[0], 0);
  header.writeUInt16BE(ports[1], 2);
  header.writeUInt16BE(length, 4);
  const words = Buffer.concat([source, destination, header, payload, Buffer.alloc(payload.length % 2)]);
  let sum = protocolNumbers.udp + length;
  for (let at = 0; at < words.length; at += 2) sum += words.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  header.writeUInt16BE(checksum ?? (~sum & 0xffff || 0xffff), 6);
  const before = Buffer.alloc(family === 4 ? 12 : 8);
  const buffer = Buffer.concat([before, source, destination, header, payload]);
  const payloadAt = before.length + source.length + destination.length;
  return {
    family,
    buffer,
    at: 0,
    sourceAt: before.length,
    destinationAt: before.length + source.length,
    protocol: protocolNumbers.udp,
    hopLimit: 64,
    payloadAt,
    end: buffer.length,
  };
}

describe("the header of a datagram", () => {
  for (const family of [4, 6] as const) {
    it(`is read from IPv${family}`, () => {
      for (const size of [0, 1, 2, 1471, 65_000]) {
        const read = packet(family, Buffer.alloc(size, 0xa5));
        assert.deepEqual(readDatagram(read), {
          guestPort: 4000,
          port: 9000,
          payloadAt: read.payloadAt + 8,
          end: read.end,
        });
      }
    });

    it(`that lies is dropped, of IPv${family}`, () => {
      const payload = Buffer.from("payload");
      for (const over of [
        { length: 0 },
        { length: 7 },
        { length: 16 },
        { length: 65_535 },
        { checksum: 0x1234 },
        { ports: [0, 9000] as const },
        { ports: [4000, 0] as const },
      ])
        assert.equal(readDatagram(packet(family, payload, over)), null, JSON.stringify(over));
      assert.equal(readDatagram({ ...packet(family, payload), end: 30 }), null);
    });

    it(`may be shorter than its packet, of IPv${family}`, () => {
      const read = packet(family, Buffer.from("payload"), { length: 10, checksum: family === 4 ? 0 : null });
      if (family === 4) assert.equal(readDatagram(read)?.end, read.payloadAt + 10);
      else assert.equal(readDatagram(read), null, "its checksum is over the other bytes too");
    });
  }

  it("may have no checksum, in IPv4 alone", () => {
    assert.notEqual(readDatagram(packet(4, Buffer.from("x"), { checksum: 0 })), null);
    assert.equal(readDatagram(packet(6, Buffer.from("x"), { checksum: 0 })), null);
  });
});

describe("a datagram for the guest", () => {
  // What sockets of the host take in (65,527 bytes of IPv6) is more than fits into fragments.
  for (const [from, most] of [
    ["192.0.2.1", 65_507],
    ["2001:db8::1", 65_519],
  ] as const)
    it(`has at most ${most} bytes from ${from}, and is dropped when it has more`, async () => {
      using guest = new GuestEnd();
      const { sender } = guest.interface;
      const source = { address: address(from), port: 53 };
      for (const size of [most + 1, most + 8]) {
        assert.equal(sendDatagram(sender, source, 4000, Buffer.alloc(size)), false);
        assert.deepEqual(await guest.ask(), []);
      }
      assert.equal(sendDatagram(sender, source, 4000, Buffer.alloc(most)), true);
      assert.equal((await guest.ask()).length, 2);
    });
});
