import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import {
  chunks,
  mutate,
  pick,
  randomBytes,
  rounds,
  seeded,
  type Random,
} from "../../../test/support/fuzz.ts";
import {
  address,
  arp,
  ethernet,
  extension,
  fragment6,
  fragmentation,
  gateway4,
  gateway6,
  gatewayMac,
  guest4,
  guest6,
  guestMac,
  icmp,
  internetChecksum,
  ipv4,
  ipv6,
  prefixed,
  solicitation,
  udp,
} from "../../../test/support/network/frames.ts";
import { GuestEnd } from "../../../test/support/network/guest-end.ts";
import { FrameLink } from "../link/frame-link.ts";
import { quoteOf } from "./icmp-errors.ts";
import { protocolNumbers } from "./packet.ts";
import { isUpperChecksumRight } from "./upper-checksum.ts";

const outside4 = address("93.184.216.34");
const outside6 = address("2606:4700::1111");
const datagram4 = udp(guest4, outside4, [4000, 53], Buffer.alloc(100, 3));
const datagram6 = udp(guest6, outside6, [4000, 53], Buffer.alloc(100, 3));

/** Frames that an honest guest could send, one of each kind. */
function honest(random: Random): Buffer {
  const id = random(5);
  const offset = random(20) * 8;
  const more = random(2) === 0;
  return pick(random, [
    () => ethernet(0x0806, arp(1, [guestMac, guest4], [Buffer.alloc(6), gateway4])),
    () => solicitation(gateway6),
    () => solicitation(outside6, Buffer.alloc(16)),
    () => ethernet(0x0800, ipv4({ destination: outside4, protocol: 17 }, datagram4)),
    () =>
      ethernet(
        0x0800,
        ipv4(
          { destination: outside4, protocol: 17, options: Buffer.from([1, 0x94, 4, 0, 0, 7, 3, 0]) },
          datagram4,
        ),
      ),
    () => ethernet(0x0800, ipv4({ destination: gateway4, protocol: 1 }, icmp(8, 0, randomBytes(random, 30)))),
    () =>
      ethernet(
        0x0800,
        ipv4(
          { destination: outside4, protocol: 17, id, fragmentation: fragmentation(offset, more) },
          randomBytes(random, 8 * random(12)),
        ),
      ),
    () => ethernet(0x86dd, ipv6({ destination: outside6, nextHeader: 17 }, datagram6)),
    () =>
      ethernet(
        0x0800,
        ipv4({ destination: outside4, protocol: 17, options: Buffer.from([131, 4, 4, 0]) }, datagram4),
      ),
    () => ethernet(0x86dd, ipv6({ destination: outside6, nextHeader: 43 }, Buffer.alloc(24, 17))),
    () =>
      ethernet(
        0x86dd,
        ipv6(
          { destination: outside6, nextHeader: 0 },
          Buffer.concat([
            extension(60, Buffer.from([5, 2, 0, 0])),
            extension(17, Buffer.alloc(9)),
            datagram6,
          ]),
        ),
      ),
    () =>
      ethernet(
        0x86dd,
        ipv6(
          { destination: outside6, nextHeader: 44 },
          fragment6(pick(random, [17, 60, 44]), { offset, more, id }, randomBytes(random, 8 * random(12))),
        ),
      ),
    () =>
      ethernet(
        0x86dd,
        ipv6({ destination: gateway6, nextHeader: 58 }, icmp(128, 0, Buffer.alloc(12), [guest6, gateway6])),
      ),
  ])();
}

/** What is behind the addresses and the checksum is not looked at unless both are right. */
function repair(frame: Buffer): Buffer {
  if (frame.length < 34) return frame;
  gatewayMac.copy(frame, 0);
  guestMac.copy(frame, 6);
  if (frame.readUInt16BE(12) === 0x0800) {
    guest4.copy(frame, 26);
    const end = 14 + ((frame[14] ?? 0) & 15) * 4;
    if (end <= frame.length && end >= 34) {
      frame.writeUInt16BE(0, 24);
      frame.writeUInt16BE(internetChecksum(frame.subarray(14, end)), 24);
    }
  } else if (frame.length >= 54) guest6.copy(frame, 22);
  return frame;
}

/** Looks at a packet as its handlers do. */
function listen(guest: GuestEnd): void {
  for (const protocol of [...Object.values(protocolNumbers), 0, 43, 44, 59, 60, 255])
    guest.interface.on(protocol, (packet) => {
      const { buffer, at, payloadAt, end, family, sourceAt } = packet;
      assert.ok(at < payloadAt && payloadAt <= end && end <= buffer.length);
      assert.ok(end - at <= 65_535 + 40);
      const source = family === 4 ? guest4 : guest6;
      assert.deepEqual(buffer.subarray(sourceAt, sourceAt + source.length), source);
      isUpperChecksumRight(packet);
      const quote = quoteOf(packet);
      if (quote !== null) guest.interface.errors.unreachable(quote, "port");
      guest.interface.errors.packetTooBig(packet, 1280);
    });
}

test("mutated and random frames: nothing throws, memory is bounded, every frame is counted once", async (context) => {
  const random = seeded(context);
  using guest = new GuestEnd({ answersEcho: () => random(2) === 0 });
  listen(guest);
  for (let round = rounds(40); round > 0; round--) {
    const frames = Array.from({ length: 250 }, () => {
      const kind = random(10);
      if (kind === 0) return randomBytes(random, random(200));
      if (kind === 1)
        return repair(ethernet(pick(random, [0x0800, 0x86dd, 0x0806]), randomBytes(random, random(120))));
      const frame = honest(random);
      if (kind === 2) return frame;
      const mutated = mutate(random, frame);
      return kind < 8 ? repair(mutated) : mutated;
    });
    await guest.ask(...frames);
    const { bytes, sets } = guest.interface.heldFragments;
    assert.ok(bytes < 2.1 * 1024 * 1024 && sets <= 64);
  }
  // The generator reaches what it is meant to.
  const never = Object.entries(guest.interface.outcomes).filter(([, count]) => count === 0);
  assert.deepEqual(never, []);
});

test("lengths that lie: nothing throws, and what is no frame is not one", async (context) => {
  const random = seeded(context);
  let frames = 0;
  let dropped = 0;
  for (let round = rounds(60); round > 0; round--) {
    // Once a length is not true, those behind it are not either.
    const [gateway, guest] = duplexPair();
    const closed = Promise.withResolvers<void>();
    const link = new FrameLink({
      stream: gateway,
      rateLimiter: null,
      failed: (error) => assert.fail(String(error)),
      closed: () => {
        closed.resolve();
      },
    });
    link.start((bytes, at, end) => {
      frames++;
      assert.ok(end - at >= 14 && end - at <= 65_549 && end <= bytes.length);
    });
    guest.resume();
    const parts = Array.from({ length: 5 }, () => {
      const length = pick(random, [0, 13, 14, 1000, 65_549, 65_550, 300_000]);
      return mutate(random, prefixed(Buffer.alloc(length, random(256)), randomBytes(random, random(40))));
    });
    for (const chunk of chunks(random, Buffer.concat(parts))) guest.write(chunk);
    guest.end();
    await closed.promise;
    dropped += link.dropped.tooShort + link.dropped.tooLong;
  }
  assert.ok(frames > 0 && dropped > 0);
});
