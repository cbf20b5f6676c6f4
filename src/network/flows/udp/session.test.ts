import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { promisify } from "node:util";
import * as frames from "../../../../test/support/network/frames.ts";
import { GuestEnd } from "../../../../test/support/network/guest-end.ts";
import { address } from "../../../../test/support/network/guest-peer.ts";
import { protocolNumbers } from "../../ip/packet.ts";
import { Slabs } from "../slabs.ts";
import { UdpSession } from "./session.ts";

test("a socket that cannot be connected is told of, and nothing is sent by it", async () => {
  using guest = new GuestEnd();
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException>();
  const outside = frames.address("203.0.113.255");
  const session = new UdpSession({
    remote: { address: address("203.0.113.255"), port: 9 },
    guestPort: 4000,
    // A broadcast address of the loopback interface: the kernel allows none to a socket that has not asked for it.
    host: "127.255.255.255",
    hostFamily: 4,
    slabs: new Slabs(),
    icmp: guest.interface.errors,
    reply: () => true,
    failed: (error) => {
      session.close();
      resolve(error);
    },
  });
  guest.interface.on(protocolNumbers.udp, (packet) => session.send(packet, packet.payloadAt + 8, packet.end));
  const datagram = frames.udp(frames.guest4, outside, [4000, 9], Buffer.from("to all"));
  const frame = frames.ethernet(0x0800, frames.ipv4({ destination: outside, protocol: 17 }, datagram));
  guest.send(frame);
  assert.equal((await promise).code, "EACCES");
  await guest.collector.until(({ length }) => length > 0);
  assert.deepEqual(
    guest.collector.frames.map((answer) => [...answer.subarray(34, 36)]),
    [[3, 13]],
  );
});

test(
  "a datagram that is too large for the way is told of, with a size that could fit",
  { timeout: 60_000 },
  async (context) => {
    using guest = new GuestEnd();
    const server = createSocket("udp4").bind(0, "127.0.0.1");
    await once(server, "listening");
    context.after(() => server.close());
    const outside = frames.address("203.0.113.9");
    const session = new UdpSession({
      remote: { address: address("203.0.113.9"), port: 9 },
      guestPort: 4000,
      host: "127.0.0.1",
      hostFamily: 4,
      slabs: new Slabs(),
      icmp: guest.interface.errors,
      reply: () => true,
      failed: (error) => assert.fail(error),
    });
    context.after(() => session.close());
    // None is so large on the loopback interface: the kernel refuses what no datagram can be, as it does what is larger than the way's MTU.
    guest.interface.on(protocolNumbers.udp, (packet) => {
      const buffer = Buffer.concat([packet.buffer.subarray(0, packet.end), Buffer.alloc(65_600)]);
      session.send({ ...packet, buffer }, packet.end, buffer.length);
    });
    const datagram = frames.udp(frames.guest4, outside, [4000, 9], Buffer.from("x"));
    guest.send(frames.ethernet(0x0800, frames.ipv4({ destination: outside, protocol: 17 }, datagram)));
    await guest.collector.until(({ length }) => length > 0);
    // Fragmentation needed, and to what (RFC 1191).
    const [icmp] = guest.collector.frames.map((answer) => answer.subarray(34));
    assert.deepEqual([icmp?.[0], icmp?.[1], icmp?.readUInt16BE(6)], [3, 4, 32_000]);
  },
);

/** Run where Node leaves every datagram to libuv's queue, as it does when the socket's buffer is full. */
const floods = `
  const { createSocket } = await import("node:dgram");
  const { once } = await import("node:events");
  const at = (path) => import(new URL(path, ${JSON.stringify(import.meta.url)}).href);
  const { UdpSession } = await at("session.ts");
  const { Slabs } = await at("../slabs.ts");
  const { IpAddress } = await at("../../../host/ip/address.ts");
  const server = createSocket("udp4").bind(0, "127.0.0.1");
  await once(server, "listening");
  const common = { guestPort: 4000, host: "127.0.0.1", hostFamily: 4, slabs: new Slabs(), reply: () => true };
  const remote = { address: IpAddress.parse("203.0.113.9"), port: server.address().port };
  const taken = [];
  for (const bytes of [1, 60_000]) {
    const session = new UdpSession({ ...common, remote, failed: console.error });
    session.flow = { sent: 0, received: 0 };
    const buffer = Buffer.alloc(28 + bytes);
    const packet = { family: 4, buffer, at: 0, sourceAt: 12, destinationAt: 16, protocol: 17, hopLimit: 64, payloadAt: 20, end: 28 + bytes };
    const flood = () => {
      session.flow.sent = 0;
      for (let count = 0; count < 200; count++) session.send(packet, 28, 28 + bytes);
      taken.push(session.flow.sent / bytes);
    };
    // Before the socket is connected, and then.
    flood();
    await once(server, "message");
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    flood();
    session.close();
  }
  server.close();
  console.log(JSON.stringify(taken));
`;

test("of what the guest sends only so much waits for the host's socket", async () => {
  const args = ["--test-udp-no-try-send", "--input-type=module", "--eval", floods];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: {} });
  assert.deepEqual(JSON.parse(stdout), [128, 64, 8, 8]);
});
