import assert from "node:assert/strict";
import { test } from "node:test";
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
