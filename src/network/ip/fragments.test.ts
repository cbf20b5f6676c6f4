import assert from "node:assert/strict";
import { mock, test } from "node:test";
import {
  address,
  ethernet,
  extension,
  fragment6,
  fragmentation,
  guest4,
  guest6,
  icmp,
  ipv4,
  ipv6,
  solicitation,
  udp,
} from "../../../test/support/network/frames.ts";
import { GuestEnd } from "../../../test/support/network/guest-end.ts";
import { protocolNumbers } from "./packet.ts";
import { isUpperChecksumRight } from "./upper-checksum.ts";

const outside4 = address("93.184.216.34");
const outside6 = address("2606:4700::1111");

interface Part {
  readonly offset: number;
  readonly more: boolean;
  readonly bytes: Uint8Array;
}

/** A fragment in its frame, for each family. */
type Framed = (part: Part, id?: number) => Buffer;

const families: readonly (readonly [4 | 6, Framed])[] = [
  [
    4,
    ({ offset, more, bytes }, id = 77): Buffer =>
      ethernet(
        0x0800,
        ipv4({ destination: outside4, protocol: 17, id, fragmentation: fragmentation(offset, more) }, bytes),
      ),
  ],
  [
    6,
    ({ offset, more, bytes }, id = 77): Buffer =>
      ethernet(
        0x86dd,
        ipv6({ destination: outside6, nextHeader: 44 }, fragment6(17, { offset, more, id }, bytes)),
      ),
  ],
];

function datagram(family: 4 | 6, length: number): Buffer {
  const data = Buffer.from(Uint8Array.from({ length }, (_, at) => (at * 13) & 255));
  return family === 4 ? udp(guest4, outside4, [4000, 53], data) : udp(guest6, outside6, [4000, 53], data);
}

/** @param size bytes of a part, a multiple of 8 */
function parts(bytes: Buffer, size: number): Part[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, index) => ({
    offset: index * size,
    more: index < count - 1,
    bytes: bytes.subarray(index * size, (index + 1) * size),
  }));
}

class Receiver implements Disposable {
  readonly guest = new GuestEnd();
  readonly datagrams: Buffer[] = [];

  constructor() {
    this.guest.interface.on(protocolNumbers.udp, (packet) => {
      assert.ok(isUpperChecksumRight(packet));
      this.datagrams.push(Buffer.from(packet.buffer.subarray(packet.payloadAt, packet.end)));
    });
  }

  [Symbol.dispose](): void {
    this.guest[Symbol.dispose]();
  }
}

for (const [family, framed] of families) {
  const name = `IPv${family}`;

  test(`${name}: fragments in every order make the packet`, async () => {
    using receiver = new Receiver();
    const whole = datagram(family, 3000);
    const all = parts(whole, 1024);
    const orders = [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
      [0, 2, 1],
    ];
    for (const [id, order] of orders.entries())
      await receiver.guest.ask(...order.map((index) => framed(all[index] ?? assert.fail(), id)));
    assert.deepEqual(receiver.datagrams, [whole, whole, whole, whole]);
    assert.deepEqual(receiver.guest.interface.heldFragments, { bytes: 0, sets: 0 });
    assert.equal(receiver.guest.interface.outcomes.kept, 8);
  });

  test(`${name}: the largest datagram, in 1500 bytes each, and one byte more than there can be`, async () => {
    using receiver = new Receiver();
    const most = 65_535 - 20 - 8;
    const whole = datagram(family, most);
    await receiver.guest.ask(...parts(whole, 1480).map((part) => framed(part)));
    assert.deepEqual(receiver.datagrams, [whole]);
    // The last fragment ends behind what a header can count.
    const rest = parts(Buffer.alloc(65_528), 1480).map((part) => ({ ...part, more: true }));
    const end = { offset: 65_528, more: false, bytes: Buffer.alloc(8) };
    await receiver.guest.ask(...[...rest, end].map((part) => framed(part, 9)));
    assert.equal(receiver.datagrams.length, 1);
    assert.ok(receiver.guest.interface.outcomes.fragment > 0);
  });

  test(`${name}: a missing fragment, and one that is not wanted`, async () => {
    using receiver = new Receiver();
    const [first, , last] = parts(datagram(family, 3000), 1024);
    assert.ok(first !== undefined && last !== undefined);
    await receiver.guest.ask(framed(first), framed(last));
    assert.equal(receiver.datagrams.length, 0);
    assert.equal(receiver.guest.interface.heldFragments.sets, 1);
  });

  const eight = Buffer.alloc(8, 1);
  const contradictory: readonly (readonly [string, readonly Part[]])[] = [
    ["the same twice", [part(0, 16), part(0, 16), part(16, 8, false)]],
    ["one that begins in another", [part(0, 16), part(8, 16), part(24, 8, false)]],
    ["one that ends in another", [part(16, 16), part(8, 16), part(32, 8, false), part(0, 8)]],
    ["one around another", [part(8, 8), part(0, 24), part(24, 8, false)]],
    ["two ends", [part(24, 8, false), part(32, 8, false), part(0, 24)]],
    ["one behind the end", [part(8, 8, false), part(16, 8), part(0, 8)]],
    ["an end before another one", [part(16, 8), part(8, 8, false), part(0, 8)]],
    ["a length that is no multiple of 8", [part(0, 12), part(16, 8, false)]],
    ["no bytes", [part(0, 0), part(0, 8), part(8, 8, false)]],
  ];

  function part(offset: number, length: number, more = true): Part {
    return { offset, more, bytes: Buffer.alloc(length, offset) };
  }

  for (const [what, sent] of contradictory)
    test(`${name}: ${what}: all of it is dropped, what comes later as well`, async () => {
      using receiver = new Receiver();
      const whole = datagram(family, 8);
      await receiver.guest.ask(...sent.map((each) => framed(each)));
      await receiver.guest.ask(...parts(whole, 8).map((each) => framed(each)));
      assert.equal(receiver.datagrams.length, 0);
      assert.deepEqual(receiver.guest.interface.heldFragments.bytes, 0);
      assert.ok(receiver.guest.interface.outcomes.fragment >= 3);
      // Another packet is not concerned.
      await receiver.guest.ask(...parts(whole, 8).map((each) => framed(each, 78)));
      assert.deepEqual(receiver.datagrams, [whole]);
    });

  test(`${name}: packets that never become whole hold bounded memory, and the newest is put together`, async () => {
    using receiver = new Receiver();
    const { guest } = receiver;
    const most = 2 * 1024 * 1024 + 70_000;
    const large = parts(Buffer.alloc(64_000), 32_000).map((each) => ({ ...each, more: true }));
    for (let id = 0; id < 200; id++) {
      await guest.ask(...large.map((each) => framed(each, id)));
      assert.ok(guest.interface.heldFragments.bytes <= most);
      assert.ok(guest.interface.heldFragments.sets <= 64);
    }
    for (let id = 200; id < 264; id++) {
      const small = Array.from({ length: 140 }, (_, index) => ({
        offset: index * 8,
        more: true,
        bytes: eight,
      }));
      await guest.ask(...small.map((each) => framed(each, id)));
      assert.ok(guest.interface.heldFragments.bytes <= most);
      assert.ok(guest.interface.heldFragments.sets <= 64);
    }
    const whole = datagram(family, 3000);
    await guest.ask(...parts(whole, 1024).map((each) => framed(each, 500)));
    assert.deepEqual(receiver.datagrams, [whole]);
  });

  test(`${name}: after ten seconds the rest is late, and the guest is told if the beginning came`, async () => {
    let now = performance.now();
    mock.method(performance, "now", () => now);
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      using receiver = new Receiver();
      const { guest } = receiver;
      const [first, second, last] = parts(datagram(family, 3000), 1024);
      assert.ok(first !== undefined && second !== undefined && last !== undefined);
      await guest.ask(framed(first, 1), framed(second, 1));
      now += 6000;
      mock.timers.tick(6000);
      await guest.ask(framed(second, 2));
      now += 4001;
      mock.timers.tick(4001);
      const [answer, ...others] = await guest.ask();
      assert.deepEqual(others, []);
      const at = family === 4 ? 34 : 54;
      assert.deepEqual(answer?.subarray(at, at + 2), Buffer.from([family === 4 ? 11 : 3, 1]));
      assert.equal(guest.interface.heldFragments.sets, 1);
      await guest.ask(framed(last, 1), framed(first, 2));
      assert.equal(receiver.datagrams.length, 0);
      now += 6000;
      mock.timers.tick(6000);
      await guest.ask();
      assert.equal(guest.interface.heldFragments.sets, 1);
    } finally {
      mock.timers.reset();
      mock.restoreAll();
    }
  });
}

test("IPv4: reserved bits, and a fragment that must not be one", async () => {
  using receiver = new Receiver();
  const frame = (bits: number): Buffer =>
    ethernet(0x0800, ipv4({ destination: outside4, protocol: 17, fragmentation: bits }, Buffer.alloc(64)));
  await receiver.guest.ask(frame(0x8000), frame(0xa000), frame(0x6000), frame(0x4001));
  assert.equal(receiver.guest.interface.outcomes["ip-header"], 2);
  assert.equal(receiver.guest.interface.outcomes.fragment, 2);
});

test("IPv6: reserved bits are refused; a fragment that is all there is, is a packet of its own", async () => {
  using receiver = new Receiver();
  const whole = datagram(6, 100);
  const frame = (reserved: number, more = false): Buffer =>
    ethernet(
      0x86dd,
      ipv6({ destination: outside6, nextHeader: 44 }, fragment6(17, { offset: 0, more, reserved }, whole)),
    );
  await receiver.guest.ask(frame(1), frame(2), frame(4), frame(0));
  assert.equal(receiver.guest.interface.outcomes.fragment, 3);
  assert.deepEqual(receiver.datagrams, [whole]);
  // RFC 6946: it is apart from others with the same identification.
  const [first, ...others] = parts(datagram(6, 3000), 1024);
  const framed = families[1]?.[1];
  assert.ok(first !== undefined && framed !== undefined);
  await receiver.guest.ask(framed(first), frame(0), ...others.map((each) => framed(each)));
  assert.equal(receiver.datagrams.length, 3);
});

test("IPv6: what comes before and behind the fragment's header is kept in order", async () => {
  using receiver = new Receiver();
  const whole = datagram(6, 2000);
  const options = extension(17, Buffer.alloc(0));
  const payload = Buffer.concat([options, whole]);
  const before = extension(44, Buffer.from([5, 2, 0, 0]));
  const frames = parts(payload, 1024).map(({ offset, more, bytes }) =>
    ethernet(
      0x86dd,
      ipv6(
        { destination: outside6, nextHeader: 0 },
        Buffer.concat([before, fragment6(60, { offset, more }, bytes)]),
      ),
    ),
  );
  await receiver.guest.ask(...frames);
  assert.deepEqual(receiver.datagrams, [whole]);
});

test("IPv6: a fragment of a fragment, and neighbour discovery in one, are refused", async () => {
  using receiver = new Receiver();
  const inner = fragment6(17, { offset: 0, more: true, id: 1 }, datagram(6, 100).subarray(0, 104));
  const nested = parts(inner, 56).map(({ offset, more, bytes }) =>
    ethernet(
      0x86dd,
      ipv6({ destination: outside6, nextHeader: 44 }, fragment6(44, { offset, more, id: 2 }, bytes)),
    ),
  );
  await receiver.guest.ask(...nested);
  assert.equal(receiver.guest.interface.outcomes.fragment, 1);
  const question = solicitation(address("fd42:6d73:62::1"));
  const asFragment = ethernet(
    0x86dd,
    ipv6(
      { destination: question.subarray(38, 54), nextHeader: 44, hopLimit: 255 },
      fragment6(58, { offset: 0, more: false }, question.subarray(54)),
    ),
    { destination: question.subarray(0, 6) },
  );
  assert.deepEqual(await receiver.guest.ask(asFragment), []);
  assert.equal(receiver.guest.interface.outcomes.ndp, 1);
});

test("spoofed fragments do not mix with the guest's own", async () => {
  using receiver = new Receiver();
  const whole = datagram(4, 2000);
  const [first, last] = parts(whole, 1024);
  assert.ok(first !== undefined && last !== undefined);
  const spoofed = ipv4(
    { source: address("172.16.0.6"), destination: outside4, protocol: 17, id: 77, fragmentation: 0x2000 },
    Buffer.alloc(1024),
  );
  const framed = families[0]?.[1] ?? assert.fail();
  await receiver.guest.ask(ethernet(0x0800, spoofed), framed(first), framed(last));
  assert.deepEqual(receiver.datagrams, [whole]);
  assert.equal(receiver.guest.interface.outcomes["source-address"], 1);
});

test("a large echo request in fragments is answered in fragments", async () => {
  using guest = new GuestEnd({ addresses: { mtu: 1500 } });
  const gateway = address("172.16.0.1");
  const rest = Buffer.from(Uint8Array.from({ length: 20_004 }, (_, at) => (at * 3) & 255));
  const answers = await guest.ask(
    ...parts(icmp(8, 0, rest), 1480).map(({ offset, more, bytes }) =>
      ethernet(
        0x0800,
        ipv4({ destination: gateway, protocol: 1, fragmentation: fragmentation(offset, more) }, bytes),
      ),
    ),
  );
  assert.ok(answers.every((answer) => answer.length <= 1514));
  assert.equal(new Set(answers.map((answer) => answer.readUInt16BE(18))).size, 1);
  const whole = Buffer.concat(answers.map((answer) => answer.subarray(34)));
  assert.deepEqual(whole, icmp(0, 0, rest));
});

test("what is too large for the guest's interface goes out in fragments that our own side puts together", async () => {
  for (const [family, source] of [
    [4, outside4],
    [6, outside6],
  ] as const) {
    using guest = new GuestEnd({ addresses: { mtu: 1500 } });
    const data = Buffer.from(Uint8Array.from({ length: 65_507 }, (_, at) => (at * 3) & 255));
    const header = Buffer.from([0, 53, 0x0f, 0xa0, 0, 0, 0, 0]);
    header.writeUInt16BE(data.length + 8, 4);
    const packet = { family, source, protocol: 17, header, checksumAt: 6, pseudoHeader: true } as const;
    guest.interface.sender.send({ ...packet, payload: [data] });
    guest.interface.sender.send({ ...packet, payload: [data.subarray(0, 701), data.subarray(701, 1500)] });
    const frames = await guest.ask();
    assert.ok(frames.every((frame) => frame.length <= 1514));

    // The same fragments, as if the guest had sent them.
    using receiver = new Receiver();
    const at = family === 4 ? 34 : 62;
    await receiver.guest.ask(
      ...frames.map((frame) => {
        const bytes = frame.subarray(at);
        if (family === 4) {
          const fields = { source: guest4, destination: outside4, protocol: 17, id: frame.readUInt16BE(18) };
          return ethernet(0x0800, ipv4({ ...fields, fragmentation: frame.readUInt16BE(20) }, bytes));
        }
        const word = frame.readUInt16BE(56);
        const part = { offset: word & 0xfff8, more: (word & 1) === 1, id: frame.readUInt32BE(58) };
        return ethernet(
          0x86dd,
          ipv6({ destination: outside6, nextHeader: 44 }, fragment6(frame[54] ?? 0, part, bytes)),
        );
      }),
    );
    // Its addresses are the other way round, which is the same sum.
    assert.deepEqual(
      receiver.datagrams.map((each) => each.subarray(8)),
      [data, data.subarray(0, 1500)],
    );
    // Somebody outside may have sent it, and waits for nothing.
    guest.interface.sender.send({ ...packet, payload: [Buffer.alloc(65_536)] });
    assert.deepEqual(await guest.ask(), []);
    assert.equal(guest.interface.sender.dropped, 1);
    assert.throws(
      () => {
        guest.interface.sender.send({ ...packet, protocol: 6, payload: [Buffer.alloc(1500)] });
      },
      { name: "RangeError" },
    );
  }
});
