import assert from "node:assert/strict";
import { test } from "node:test";
import {
  address,
  ethernet,
  extension,
  fragment6,
  gateway4,
  gateway6,
  guest4,
  guest6,
  icmp,
  internetChecksum,
  ipv4,
  ipv6,
  pseudoHeader,
  udp,
} from "../../../test/support/network/frames.ts";
import { GuestEnd } from "../../../test/support/network/guest-end.ts";
import { quoteOf, type Quote } from "./icmp-errors.ts";
import type { Outcome } from "./outcomes.ts";
import { protocolNumbers, type IpPacket } from "./packet.ts";

const outside4 = address("93.184.216.34");
const outside6 = address("2606:4700::1111");

function packet4(change: Partial<Parameters<typeof ipv4>[0]> = {}, length = 20): Buffer {
  return ipv4(
    { destination: outside4, protocol: 17, ...change },
    udp(guest4, outside4, [4000, 53], Buffer.alloc(length, 5)),
  );
}

function packet6(change: Partial<Parameters<typeof ipv6>[0]> = {}, before: Buffer = Buffer.alloc(0)): Buffer {
  return ipv6(
    { destination: outside6, nextHeader: 17, ...change },
    Buffer.concat([before, udp(guest6, outside6, [4000, 53], Buffer.alloc(20, 5))]),
  );
}

function framed(packet: Buffer): Buffer {
  return ethernet((packet[0] ?? 0) >> 4 === 4 ? 0x0800 : 0x86dd, packet);
}

/** An error as it came, its headers and checksums found right. */
function parsed(frame: Buffer | undefined): {
  source: string;
  type: number;
  code: number;
  rest: number;
  quote: Buffer;
} {
  assert.ok(frame !== undefined);
  const isIpv4 = frame.readUInt16BE(12) === 0x0800;
  const [from, to] = isIpv4 ? [26, 30] : [22, 38];
  const at = isIpv4 ? 34 : 54;
  const body = frame.subarray(at);
  const source = frame.subarray(from, to);
  assert.deepEqual(frame.subarray(to, at), isIpv4 ? guest4 : guest6);
  const pseudo = isIpv4 ? Buffer.alloc(0) : pseudoHeader(source, guest6, 58, body.length);
  assert.equal(internetChecksum(pseudo, body), 0);
  if (isIpv4) assert.equal(internetChecksum(frame.subarray(14, 34)), 0);
  return {
    source: source.toString("hex"),
    type: body[0] ?? -1,
    code: body[1] ?? -1,
    rest: body.readUInt32BE(4),
    quote: body.subarray(8),
  };
}

const names = { 4: { gateway: gateway4, outside: outside4 }, 6: { gateway: gateway6, outside: outside6 } };

type Tell = (guest: GuestEnd, about: IpPacket | Quote) => boolean;

/** From whom, then type, code and the 32 bits behind the checksum: of ICMP, of ICMPv6. */
const errors: readonly (readonly [
  string,
  Tell,
  "gateway" | "outside",
  readonly number[],
  readonly number[],
])[] = [
  [
    "network",
    (guest, about) => guest.interface.errors.unreachable(about, "network"),
    "gateway",
    [3, 0, 0],
    [1, 0, 0],
  ],
  [
    "host",
    (guest, about) => guest.interface.errors.unreachable(about, "host"),
    "gateway",
    [3, 1, 0],
    [1, 3, 0],
  ],
  [
    "port",
    (guest, about) => guest.interface.errors.unreachable(about, "port"),
    "outside",
    [3, 3, 0],
    [1, 4, 0],
  ],
  [
    "prohibited",
    (guest, about) => guest.interface.errors.unreachable(about, "prohibited"),
    "gateway",
    [3, 13, 0],
    [1, 1, 0],
  ],
  [
    "too big",
    (guest, about) => guest.interface.errors.packetTooBig(about, 1400),
    "gateway",
    [3, 4, 1400],
    [2, 0, 1400],
  ],
  [
    "hops",
    (guest, about) => guest.interface.errors.timeExceeded(about, "hops"),
    "gateway",
    [11, 0, 0],
    [3, 0, 0],
  ],
  [
    "fragments",
    (guest, about) => guest.interface.errors.timeExceeded(about, "fragments"),
    "gateway",
    [11, 1, 0],
    [3, 1, 0],
  ],
];

for (const [what, tell, from, four, six] of errors)
  test(`${what}: as ICMP and ICMPv6 tell it, at once and later`, async () => {
    for (const [family, packet, expected] of [
      [4, packet4({}, 1300), four],
      [6, packet6(), six],
    ] as const) {
      using guest = new GuestEnd();
      const quotes: Quote[] = [];
      guest.interface.on(protocolNumbers.udp, (received) => {
        tell(guest, received);
        quotes.push(quoteOf(received) ?? assert.fail());
      });
      const now = parsed((await guest.ask(framed(packet)))[0]);
      const headerBytes = family === 4 ? 20 : 40;
      const [quote] = quotes;
      assert.ok(quote !== undefined);
      assert.equal(quote.bytes.length, headerBytes + 8);
      tell(guest, quote);
      const later = parsed((await guest.ask())[0]);
      for (const error of [now, later]) {
        assert.deepEqual([error.type, error.code, error.rest], expected);
        assert.equal(error.source, names[family][from].toString("hex"));
        assert.deepEqual(error.quote, packet.subarray(0, error.quote.length));
      }
      // As much as fits into 576 bytes, and into 1280.
      assert.equal(now.quote.length, Math.min(packet.length, family === 4 ? 548 : 1232));
    }
  });

test("a guest whose last hop is the gateway is told so: traceroute sees it first", async () => {
  using guest = new GuestEnd();
  let delivered = 0;
  for (const protocol of [protocolNumbers.udp, protocolNumbers.icmpv4])
    guest.interface.on(protocol, () => delivered++);
  const ping = ipv4({ destination: outside4, protocol: 1, ttl: 1 }, icmp(8, 0, Buffer.alloc(8)));
  const fragment = packet4({ ttl: 1, fragmentation: 0x2003 });
  const answers = await guest.ask(
    ...[packet4({ ttl: 1 }), ping, packet6({ hopLimit: 1 }), fragment].map(framed),
  );
  assert.deepEqual(
    answers.map(parsed).map(({ source, type, code }) => [source, type, code]),
    [
      [gateway4.toString("hex"), 11, 0],
      [gateway4.toString("hex"), 11, 0],
      [gateway6.toString("hex"), 3, 0],
    ],
  );
  assert.equal(delivered, 0);
  assert.equal(guest.interface.outcomes["hop-limit"], 4);
  await guest.ask(framed(packet4({ ttl: 1, destination: gateway4 })), framed(packet4({ ttl: 2 })));
  assert.equal(delivered, 2);
});

test("a protocol that nobody takes", async () => {
  using guest = new GuestEnd();
  const sctp = ipv4({ destination: outside4, protocol: 132 }, Buffer.alloc(20));
  const behind = ipv6(
    { destination: outside6, nextHeader: 60 },
    Buffer.concat([extension(132, Buffer.alloc(0)), Buffer.alloc(20)]),
  );
  const wrongFamily = ipv6({ destination: outside6, nextHeader: 1 }, Buffer.alloc(20));
  const [first, second, third] = (await guest.ask(framed(sctp), framed(behind), framed(wrongFamily))).map(
    parsed,
  );
  assert.deepEqual([first?.type, first?.code, first?.source], [3, 2, outside4.toString("hex")]);
  // The number is the first byte of the extension header.
  assert.deepEqual([second?.type, second?.code, second?.rest], [4, 1, 40]);
  assert.deepEqual([third?.type, third?.code, third?.rest], [4, 1, 6]);
  assert.equal(guest.interface.outcomes.protocol, 3);
});

const routed = ipv6(
  { destination: outside6, nextHeader: 43 },
  Buffer.concat([
    Buffer.from([17, 2, 0, 1, 0, 0, 0, 0]),
    outside6,
    udp(guest6, outside6, [1, 2], Buffer.alloc(8)),
  ]),
);

/** Type, code and pointer; null: nothing is said. */
const refused: readonly (readonly [string, Buffer, Outcome, readonly number[] | null])[] = [
  [
    "loose source routing",
    packet4({ options: Buffer.from([1, 131, 7, 4, ...outside4, 0, 0, 0, 0]) }),
    "source-route",
    [3, 5, 0],
  ],
  [
    "strict source routing",
    packet4({ options: Buffer.from([137, 7, 4, ...outside4, 0]) }),
    "source-route",
    [3, 5, 0],
  ],
  ["a routing header", routed, "source-route", [4, 0, 42]],
  [
    "a routing header with no segment left",
    Buffer.concat([routed.subarray(0, 43), Buffer.alloc(1), routed.subarray(44)]),
    "source-route",
    [4, 0, 42],
  ],
  [
    "an option to skip",
    packet6({ nextHeader: 60 }, extension(17, Buffer.from([0x1e, 2, 0, 0]))),
    "delivered",
    null,
  ],
  [
    "an option to drop for",
    packet6({ nextHeader: 60 }, extension(17, Buffer.from([0x5e, 0]))),
    "ip-option",
    null,
  ],
  [
    "an option to tell of",
    packet6({ nextHeader: 0 }, extension(17, Buffer.from([0, 0x9e, 1, 0]))),
    "ip-option",
    [4, 2, 43],
  ],
  [
    "a jumbogram",
    packet6({ nextHeader: 0, payloadLength: 0 }, extension(17, Buffer.from([0xc2, 4, 0, 1, 0, 0]))),
    "extension-header",
    null,
  ],
  [
    "a jumbo payload option",
    packet6({ nextHeader: 0 }, extension(17, Buffer.from([0xc2, 4, 0, 1, 0, 0]))),
    "ip-option",
    [4, 2, 42],
  ],
  [
    "an option behind its header",
    packet6({ nextHeader: 60 }, Buffer.from([17, 0, 5, 5, 0, 0, 0, 0])),
    "ip-option",
    null,
  ],
  [
    "an extension header behind the packet",
    packet6({ nextHeader: 60 }, Buffer.from([17, 200])),
    "extension-header",
    null,
  ],
  [
    "a hop-by-hop header that is not the first",
    packet6(
      { nextHeader: 60 },
      Buffer.concat([extension(0, Buffer.alloc(0)), extension(17, Buffer.alloc(0))]),
    ),
    "extension-header",
    null,
  ],
  ["a chain of headers", packet6({ nextHeader: 60 }, Buffer.concat(chain(20))), "extension-header", null],
  ["a chain as long as it may be", packet6({ nextHeader: 60 }, Buffer.concat(chain(8))), "delivered", null],
  [
    "two fragment headers",
    packet6(
      { nextHeader: 44 },
      Buffer.concat([
        fragment6(44, { offset: 0, more: false }, Buffer.alloc(0)),
        fragment6(17, { offset: 8, more: false }, Buffer.alloc(0)),
      ]),
    ),
    "kept",
    null,
  ],
  ["no next header", packet6({ nextHeader: 59 }), "ignored", null],
  ["an encrypted payload", packet6({ nextHeader: 50 }), "protocol", [4, 1, 6]],
];

function chain(length: number): Buffer[] {
  return Array.from({ length }, (_, index) => extension(index === length - 1 ? 17 : 60, Buffer.alloc(0)));
}

for (const [what, packet, expected, error] of refused)
  test(`${what}: ${expected}`, async () => {
    using guest = new GuestEnd();
    guest.interface.on(protocolNumbers.udp, () => undefined);
    const [answer, ...others] = await guest.ask(framed(packet));
    assert.equal(guest.interface.outcomes[expected], 1);
    assert.deepEqual(others, []);
    if (error === null) assert.equal(answer, undefined);
    else {
      const { type, code, rest } = parsed(answer);
      assert.deepEqual([type, code, rest], error);
    }
  });

test("there is no error about an error, nor about what goes to several", async () => {
  using guest = new GuestEnd();
  let answered = 0;
  let asked = 0;
  for (const protocol of [protocolNumbers.icmpv4, protocolNumbers.icmpv6])
    guest.interface.on(protocol, (packet) => {
      asked++;
      assert.equal(quoteOf(packet), null);
      if (guest.interface.errors.unreachable(packet, "prohibited")) answered++;
    });
  const quoted = Buffer.concat([Buffer.alloc(4), packet4().subarray(0, 28)]);
  const six = [guest6, outside6] as const;
  const packets = [
    ...[3, 4, 5, 11, 12].map((type) => ipv4({ destination: outside4, protocol: 1 }, icmp(type, 0, quoted))),
    ...[1, 2, 3, 4].map((type) =>
      ipv6({ destination: outside6, nextHeader: 58 }, icmp(type, 0, quoted, six)),
    ),
  ];
  assert.deepEqual(await guest.ask(...packets.map(framed)), []);
  assert.deepEqual([asked, answered], [9, 0]);
  const hops = ipv4({ destination: outside4, protocol: 1, ttl: 1 }, icmp(3, 3, quoted));
  const group = ethernet(0x0800, ipv4({ destination: address("224.0.0.5"), protocol: 89, ttl: 1 }, quoted));
  assert.deepEqual(await guest.ask(framed(hops), group), []);
});

test("errors are limited in rate", async () => {
  using guest = new GuestEnd();
  const flood = new Array<Buffer>(3000).fill(framed(packet4({ protocol: 99 })));
  const start = performance.now();
  const answers = await guest.ask(...flood);
  // 100 at once, and 1,000 a second.
  const most = 100 + (performance.now() - start) + 1;
  assert.ok(answers.length >= 100 && answers.length <= most, `${answers.length} of ${most}`);
  assert.equal(answers.length + guest.interface.errors.suppressed, 3000);
});
