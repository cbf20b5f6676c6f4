import assert from "node:assert/strict";
import { test } from "node:test";
import {
  address,
  arp,
  broadcastMac,
  ethernet,
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
  linkLocal6,
  pseudoHeader,
  solicitation,
  udp,
} from "../../../test/support/network/frames.ts";
import { unixCable } from "../../../test/support/network/cable.ts";
import { GuestEnd } from "../../../test/support/network/guest-end.ts";
import type { Outcome } from "./outcomes.ts";
import { protocolNumbers } from "./packet.ts";
import { isUpperChecksumRight } from "./upper-checksum.ts";

const outside4 = address("93.184.216.34");
const outside6 = address("2606:4700::1111");
const data = Buffer.from("some bytes to send");

function udp4(change: Partial<Parameters<typeof ipv4>[0]> = {}, body = data): Buffer {
  const fields = { destination: outside4, protocol: 17, ...change };
  return ethernet(0x0800, ipv4(fields, udp(fields.source ?? guest4, fields.destination, [4000, 53], body)));
}

function udp6(change: Partial<Parameters<typeof ipv6>[0]> = {}, body = data): Buffer {
  const fields = { destination: outside6, nextHeader: 17, ...change };
  return ethernet(0x86dd, ipv6(fields, udp(fields.source ?? guest6, fields.destination, [4000, 53], body)));
}

/** Sends frames to a gateway that takes UDP, and says what became of them. */
async function outcome(
  ...frames: readonly Buffer[]
): Promise<{ outcome: Outcome; answers: Buffer[]; delivered: number }> {
  using guest = new GuestEnd();
  let delivered = 0;
  guest.interface.on(protocolNumbers.udp, () => delivered++);
  const answers = await guest.ask(...frames);
  const counts = Object.entries(guest.interface.outcomes).filter(
    ([name, count]) => count > (name === "answered" ? 1 : 0),
  );
  assert.equal(counts.length, 1, JSON.stringify(counts));
  return { outcome: (counts[0]?.[0] ?? "") as Outcome, answers, delivered };
}

test("a packet of either family is given to whoever takes its protocol", async () => {
  using guest = new GuestEnd();
  const seen: unknown[] = [];
  guest.interface.on(protocolNumbers.udp, (packet) => {
    const { buffer, family, payloadAt, end, sourceAt, destinationAt, hopLimit } = packet;
    const bytes = family === 4 ? 4 : 16;
    seen.push([
      family,
      buffer.toString("hex", sourceAt, sourceAt + bytes),
      buffer.toString("hex", destinationAt, destinationAt + bytes),
      hopLimit,
      buffer.toString("latin1", payloadAt + 8, end),
      isUpperChecksumRight(packet),
    ]);
  });
  // Small frames are padded by many drivers: what is behind the packet does not count.
  await guest.ask(Buffer.concat([udp4(), Buffer.alloc(20, 0xee)]), udp6());
  assert.deepEqual(seen, [
    [4, guest4.toString("hex"), outside4.toString("hex"), 64, data.toString(), true],
    [6, guest6.toString("hex"), outside6.toString("hex"), 64, data.toString(), true],
  ]);
});

test("a wrong upper checksum is found", async () => {
  using guest = new GuestEnd();
  const right: boolean[] = [];
  guest.interface.on(protocolNumbers.udp, (packet) => right.push(isUpperChecksumRight(packet)));
  const frames = [udp4(), udp6(), udp4(), udp6()];
  for (const frame of frames.slice(2)) frame[frame.length - 1] = 0;
  await guest.ask(...frames);
  assert.deepEqual(right, [true, true, false, false]);
});

const dropped: readonly (readonly [string, Buffer, Outcome])[] = [
  ["a MAC address that is not the guest's", reframed({ source: gatewayMac }), "source-mac"],
  [
    "another machine's MAC address",
    reframed({ destination: Buffer.from("026d73000105", "hex") }),
    "destination-mac",
  ],
  ["an address by broadcast", reframed({ destination: broadcastMac }), "destination-mac"],
  [
    "a VLAN tag",
    ethernet(0x8100, Buffer.concat([Buffer.from([0, 1, 8, 0]), udp4().subarray(14)])),
    "ethertype",
  ],
  ["another IPv4 source", udp4({ source: address("172.16.0.6") }), "source-address"],
  ["no IPv4 source", udp4({ source: address("0.0.0.0") }), "source-address"],
  ["the gateway's source", udp4({ source: gateway4 }), "source-address"],
  ["another IPv6 source", udp6({ source: address("fd42:6d73:62:1::2") }), "source-address"],
  ["no IPv6 source", udp6({ source: address("::") }), "source-address"],
  ["a source of the link for UDP", udp6({ source: linkLocal6 }), "source-address"],
  ["version 5", udp4({ version: 5 }), "ip-header"],
  ["version 4 as IPv6", udp6({ version: 4 }), "ip-header"],
  ["a header of 16 bytes", udp4({ headerWords: 4 }), "ip-header"],
  ["a header longer than the packet", udp4({ headerWords: 15 }), "ip-header"],
  ["a total length below the header's", udp4({ totalLength: 19 }), "ip-header"],
  ["a total length behind the frame", udp4({ totalLength: 20 + 8 + data.length + 1 }), "ip-header"],
  ["a payload length behind the frame", udp6({ payloadLength: 8 + data.length + 1 }), "ip-header"],
  ["a header that is cut off", udp4().subarray(0, 14 + 19), "ip-header"],
  ["a header of IPv6 that is cut off", udp6().subarray(0, 14 + 39), "ip-header"],
  ["no header at all", ethernet(0x0800, Buffer.alloc(0)), "ip-header"],
  ["a wrong header checksum", udp4({ checksum: 0 }), "ip-checksum"],
  ["the reserved flag", udp4({ fragmentation: 0x8000 }), "ip-header"],
  ["an option without a length", udp4({ options: Buffer.from([7, 0, 0, 0]) }), "ip-option"],
  ["an option behind the header", udp4({ options: Buffer.from([7, 5, 0, 0]) }), "ip-option"],
  ["an option cut off", udp4({ options: Buffer.from([1, 1, 1, 7]) }), "ip-option"],
  ["a hop limit of 0", udp4({ ttl: 0 }), "hop-limit"],
  ["a hop limit of 0 to the gateway", udp4({ ttl: 0, destination: gateway4 }), "hop-limit"],
  ["IPv6 with a hop limit of 0", udp6({ hopLimit: 0 }), "hop-limit"],
  ["multicast", udp4({ destination: address("224.0.0.251") }), "ignored"],
  ["IPv6 multicast", udp6({ destination: address("ff02::fb") }), "ignored"],
  ["broadcast", udp4({ destination: address("255.255.255.255") }), "ignored"],
  ["the broadcast address of the network", udp4({ destination: address("172.16.0.3") }), "ignored"],
  ["RARP", ethernet(0x8035, Buffer.alloc(28), { destination: broadcastMac }), "ignored"],
];

function reframed(change: Parameters<typeof ethernet>[2]): Buffer {
  return ethernet(0x0800, udp4().subarray(14), change);
}

for (const [what, frame, expected] of dropped)
  test(`${what}: ${expected}, without a word`, async () => {
    assert.deepEqual(await outcome(frame), { outcome: expected, answers: [], delivered: 0 });
  });

const nowhere = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.1.2.3", "240.0.0.1", "172.16.0.2"];
const nowhere6 = ["::", "::1", "::ffff:a9fe:a9fe", "::ffff:7f00:1", "fe80::1", "fd42:6d73:62::2"];

for (const destination of [...nowhere, ...nowhere6])
  test(`a packet for ${destination} goes nowhere, and the guest is told`, async () => {
    const bytes = address(destination);
    const frame = bytes.length === 4 ? udp4({ destination: bytes }) : udp6({ destination: bytes });
    const { outcome: became, answers, delivered } = await outcome(frame);
    assert.equal(became, "destination-address");
    assert.equal(delivered, 0);
    const [answer] = answers;
    assert.ok(answer !== undefined);
    const typeAt = bytes.length === 4 ? 34 : 54;
    assert.deepEqual([...answer.subarray(typeAt, typeAt + 2)], bytes.length === 4 ? [3, 13] : [1, 1]);
  });

test("options that say nothing are skipped", async () => {
  const frame = udp4({ options: Buffer.from([1, 0x94, 4, 0, 0, 0, 99, 99]) });
  assert.equal((await outcome(frame)).delivered, 1);
});

test("ARP: every address but the guest's own is at the gateway", async () => {
  using guest = new GuestEnd();
  const ask = (target: Buffer, sender = guest4): Buffer =>
    ethernet(0x0806, arp(1, [guestMac, sender], [Buffer.alloc(6), target]), { destination: broadcastMac });
  const none = Buffer.alloc(4);
  for (const target of [outside4, address("172.16.0.9"), address("169.254.169.254")]) {
    const [answer] = await guest.ask(ask(target));
    assert.deepEqual(
      answer,
      ethernet(0x0806, arp(2, [gatewayMac, target], [guestMac, guest4]), {
        source: gatewayMac,
        destination: guestMac,
      }),
    );
  }
  // Nobody else has what nobody can have, and what the guest asks whether it may take is free.
  for (const frame of [
    ask(guest4),
    ask(guest4, none),
    ask(address("10.0.0.1"), none),
    ask(address("127.0.0.1")),
    ask(address("224.0.0.1")),
    ask(none),
  ])
    assert.deepEqual(await guest.ask(frame), []);
  const [conflict] = await guest.ask(ask(gateway4, none), ask(outside4));
  assert.deepEqual(conflict?.subarray(28, 32), gateway4);
});

test("ARP: lies, answers that nobody asked for and malformed packets change nothing", async () => {
  const packet = (...args: Parameters<typeof arp>): Buffer =>
    ethernet(0x0806, arp(...args), { destination: broadcastMac });
  const gratuitous = packet(2, [guestMac, gateway4], [guestMac, gateway4]);
  assert.equal((await outcome(...new Array<Buffer>(500).fill(gratuitous))).outcome, "ignored");
  for (const frame of [
    packet(1, [guestMac, gateway4], [Buffer.alloc(6), outside4]),
    packet(1, [gatewayMac, guest4], [Buffer.alloc(6), outside4]),
    packet(3, [guestMac, guest4], [Buffer.alloc(6), outside4]),
    ethernet(0x0806, arp(1, [guestMac, guest4], [Buffer.alloc(6), outside4]).subarray(0, 27)),
    ethernet(0x0806, Buffer.alloc(28, 1)),
  ])
    assert.deepEqual(await outcome(frame), { outcome: "arp", answers: [], delivered: 0 });
});

test("neighbour discovery: every address but the guest's own is at the gateway", async () => {
  using guest = new GuestEnd();
  for (const [target, source, flags] of [
    [gateway6, guest6, 0xe0],
    [gateway6, linkLocal6, 0xe0],
    [outside6, guest6, 0x40],
  ] as const) {
    const [answer] = await guest.ask(solicitation(target, source));
    const rest = Buffer.concat([Buffer.from([flags, 0, 0, 0]), target, Buffer.from([2, 1]), gatewayMac]);
    const body = icmp(136, 0, rest, [target, source]);
    assert.deepEqual(
      answer,
      ethernet(0x86dd, ipv6({ source: target, destination: source, nextHeader: 58, hopLimit: 255 }, body), {
        source: gatewayMac,
        destination: guestMac,
      }),
    );
  }
  const none = Buffer.alloc(16);
  for (const [target, source] of [
    [guest6, guest6],
    [guest6, none],
    [linkLocal6, none],
    [address("fd00::5"), none],
    [address("fe80::1"), linkLocal6],
  ] as const)
    assert.deepEqual(await guest.ask(solicitation(target, source)), []);
  const [conflict] = await guest.ask(solicitation(gateway6, none));
  assert.ok(conflict !== undefined);
  assert.deepEqual(conflict.subarray(0, 6), Buffer.from("333300000001", "hex"));
  assert.deepEqual(conflict.subarray(38, 54), address("ff02::1"));
  assert.deepEqual([conflict[54], conflict[58]], [136, 0xa0]);
});

test("neighbour discovery: what is malformed, from afar or in vain", async () => {
  const group = address("ff02::1:ff00:1");
  const message = (type: number, rest: Buffer, change: Partial<Parameters<typeof ipv6>[0]> = {}): Buffer => {
    const fields = { destination: group, nextHeader: 58, hopLimit: 255, ...change };
    const body = icmp(type, 0, rest, [fields.source ?? guest6, fields.destination]);
    return ethernet(0x86dd, ipv6(fields, body), { destination: Buffer.from("3333ff000001", "hex") });
  };
  const asked = Buffer.concat([Buffer.alloc(4), gateway6]);
  const damaged = message(135, asked);
  damaged[damaged.length - 1] = 0xee;
  const advertisement = message(136, Buffer.concat([Buffer.from([0x20, 0, 0, 0]), gateway6]));
  const cases: readonly (readonly [Buffer, Outcome])[] = [
    [message(135, asked, { hopLimit: 254 }), "ndp"],
    [message(135, asked.subarray(0, 19)), "ndp"],
    [message(135, Buffer.concat([asked, Buffer.alloc(8)])), "ndp"],
    [message(135, Buffer.concat([asked, Buffer.from([1, 2, 0, 0, 0, 0, 0, 0])])), "ndp"],
    [message(135, asked, { destination: address("ff02::1:ff00:2") }), "answered"],
    [message(135, asked, { destination: address("ff02::1") }), "ndp"],
    [message(135, asked, { source: address("2001:db8::5") }), "source-address"],
    [damaged, "ndp"],
    [advertisement, "ignored"],
    [message(133, Buffer.alloc(4)), "ignored"],
    [message(134, Buffer.alloc(12)), "ignored"],
    [message(143, Buffer.alloc(4), { source: linkLocal6, hopLimit: 1 }), "ignored"],
  ];
  for (const [index, [frame, expected]] of cases.entries()) {
    const { outcome: became, answers } = await outcome(frame, ...(expected === "answered" ? [frame] : []));
    assert.equal(became, expected, `${index}`);
    assert.equal(answers.length, expected === "answered" ? 2 : 0);
  }
  assert.equal((await outcome(...new Array<Buffer>(500).fill(advertisement))).outcome, "ignored");
});

test("echo to the gateway is answered when that is allowed, with what came", async () => {
  let isAllowed = true;
  using guest = new GuestEnd({ answersEcho: () => isAllowed });
  const others: number[] = [];
  guest.interface.on(protocolNumbers.icmpv4, ({ buffer, payloadAt }) => others.push(buffer[payloadAt] ?? -1));
  const rest = Buffer.concat([Buffer.from([1, 2, 3, 4]), Buffer.alloc(5001, 7)]);
  const ping4 = (destination: Buffer): Buffer =>
    ethernet(0x0800, ipv4({ destination, protocol: 1, ttl: 1 }, icmp(8, 0, rest)));
  const ping6 = ethernet(
    0x86dd,
    ipv6({ destination: gateway6, nextHeader: 58 }, icmp(128, 0, rest, [guest6, gateway6])),
  );
  const [pong4, pong6] = await guest.ask(ping4(gateway4), ping6);
  assert.deepEqual(pong4?.subarray(34), icmp(0, 0, rest));
  assert.deepEqual(pong4.subarray(26, 34), Buffer.concat([gateway4, guest4]));
  assert.deepEqual(pong6?.subarray(54), icmp(129, 0, rest, [gateway6, guest6]));
  isAllowed = false;
  assert.deepEqual(await guest.ask(ping4(gateway4), ping6), []);
  assert.deepEqual(others, []);
});

test("ICMP with a wrong checksum reaches nobody; of what is right, answers do", async () => {
  using guest = new GuestEnd();
  const seen: number[] = [];
  guest.interface.on(protocolNumbers.icmpv4, ({ buffer, payloadAt }) => seen.push(buffer[payloadAt] ?? -1));
  const right = icmp(3, 3, Buffer.alloc(32));
  const wrong = Buffer.from(right);
  wrong[1] = 1;
  const frame = (body: Buffer): Buffer =>
    ethernet(0x0800, ipv4({ destination: outside4, protocol: 1 }, body));
  await guest.ask(
    frame(wrong),
    frame(right.subarray(0, 7)),
    frame(icmp(8, 0, Buffer.alloc(4))),
    frame(right),
  );
  assert.deepEqual(seen, [8, 3]);
  assert.equal(guest.interface.outcomes.icmp, 2);
});

test("what is sent has right headers, lengths and checksums, whatever the sizes", async () => {
  using guest = new GuestEnd();
  const sizes = [0, 1, 2, 1023, 1024, 1025, 30_001, 65_520 - 28];
  for (const length of sizes) {
    const payload = Buffer.from(Uint8Array.from({ length }, (_, at) => (at * 7 + 3) & 255));
    const header = Buffer.from([0, 53, 0x0f, 0xa0, (length + 8) >> 8, (length + 8) & 255, 0, 0]);
    const send = (family: 4 | 6, source: Buffer, bytes: Uint8Array): void =>
      guest.interface.sender.send({
        family,
        source,
        protocol: 17,
        header,
        checksumAt: 6,
        pseudoHeader: true,
        payload: inPieces(bytes),
      });
    send(4, outside4, payload);
    send(6, outside6, payload.subarray(0, Math.min(length, 65_520 - 48)));
    const [first, second] = await guest.ask();
    assert.ok(first !== undefined && second !== undefined);
    assert.deepEqual(first.subarray(0, 14), Buffer.concat([guestMac, gatewayMac, Buffer.from([8, 0])]));
    assert.equal(internetChecksum(first.subarray(14, 34)), 0);
    assert.equal(first.readUInt16BE(16), first.length - 14);
    const datagram = udp(outside4, guest4, [53, 4000], payload);
    assert.deepEqual(first.subarray(34), datagram);
    assert.deepEqual(first.subarray(26, 34), Buffer.concat([outside4, guest4]));
    assert.equal(second.readUInt16BE(18), second.length - 54);
    assert.deepEqual(second.subarray(22, 54), Buffer.concat([outside6, guest6]));
    const pseudo = pseudoHeader(outside6, guest6, 17, second.length - 54);
    assert.equal(internetChecksum(pseudo, second.subarray(54)), 0);
  }
});

/** Cut at odd places, too: what follows is summed with its words' halves the other way round. */
function inPieces(bytes: Uint8Array): Uint8Array[] {
  const cuts = [0, 0, 1, 602, 603, 904, 20_001, 40_000, bytes.length];
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
}

test("a UDP checksum that comes out as 0 is sent as 0xffff", async () => {
  using guest = new GuestEnd();
  const header = Buffer.from([0, 53, 0x0f, 0xa0, 0, 10, 0, 0]);
  const sum = internetChecksum(pseudoHeader(outside4, guest4, 17, 10), header);
  const payload = Buffer.from([sum >> 8, sum & 255]);
  guest.interface.sender.send({
    family: 4,
    source: outside4,
    protocol: 17,
    header,
    checksumAt: 6,
    pseudoHeader: true,
    payload: [payload],
  });
  const [frame] = await guest.ask();
  assert.equal(frame?.readUInt16BE(14 + 20 + 6), 0xffff);
});

test("a family that the guest does not have is not spoken", async () => {
  using guest = new GuestEnd({ addresses: { ipv6: null } });
  let delivered = 0;
  guest.interface.on(protocolNumbers.udp, () => delivered++);
  guest.interface.sender.send({
    family: 6,
    source: outside6,
    protocol: 17,
    header: Buffer.alloc(8),
    checksumAt: 6,
    pseudoHeader: true,
    payload: [],
  });
  assert.deepEqual(await guest.ask(udp6(), solicitation(gateway6)), []);
  assert.equal(delivered, 0);
});

test("a guest that asks and does not read costs bounded memory, and is answered again when it does", async () => {
  using guest = new GuestEnd({ cable: await unixCable() });
  guest.cable.pause();
  const ping = ethernet(
    0x0800,
    ipv4({ destination: gateway4, protocol: 1 }, icmp(8, 0, Buffer.alloc(20_000))),
  );
  const unknown = ethernet(0x0800, ipv4({ destination: outside4, protocol: 99 }, data));
  const question = ethernet(0x0806, arp(1, [guestMac, guest4], [Buffer.alloc(6), outside4]));
  const all = 500;
  for (let count = 0; count < all; count++) guest.send(ping, unknown, question, solicitation(outside6));
  while (guest.link.fromGuest.frames < 4 * all) await new Promise(setImmediate);
  assert.ok(guest.link.isCongested);
  assert.ok(guest.link.toGuest.bytes < 1024 * 1024);
  assert.deepEqual(guest.link.dropped, { tooShort: 0, tooLong: 0, overflowed: 0 });
  guest.checkCounts();
  const relieved = Promise.withResolvers<void>();
  guest.link.onDrain(relieved.resolve);
  guest.cable.resume();
  await relieved.promise;
  const answers = await guest.ask(question, ping);
  assert.ok(answers.length >= 2);
});
