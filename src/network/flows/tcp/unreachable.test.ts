import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { KeptSegments, outside, packetOf } from "../../../../test/support/tcp/guest-segment.ts";
import { networkConfig } from "../../../../test/support/network/guest-peer.ts";
import { KernelGuest } from "../../../../test/support/tcp/kernel-guest.ts";
import type { NetworkEvent } from "../../events.ts";
import { openGateway } from "../../gateway.ts";
import { TcpGate } from "../../tcp/tcp-gate.ts";
import { PublishedPorts } from "../ports/published-ports.ts";
import { failureOf } from "./dial.ts";

const program = `
import errno, socket, sys
for host in ("203.0.113.%d", "2001:db8::%d"):
    for code in (3, 4, 5, 1):
        try: socket.create_connection((host % code, 80), 20)
        except OSError as failure: print(errno.errorcode[failure.errno])
`;

test("a real kernel's programs see why an address cannot be reached", async () => {
  // A SOCKS 5 proxy that refuses with the code (RFC 1928, 6) that the last byte of the address says.
  const proxy = createServer((socket) => {
    let asked = Buffer.alloc(0);
    socket
      .on("error", () => undefined)
      .on("data", (bytes) => {
        asked = Buffer.concat([asked, bytes]);
        if (asked.length === 3) socket.write(Buffer.from([5, 0]));
        else if (asked.length > 12) socket.end(Buffer.from([5, asked.at(-3) ?? 0, 0, 1, 0, 0, 0, 0, 0, 0]));
      });
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const address = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const events: NetworkEvent[] = [];
  await using guest = await KernelGuest.start(1500);
  const { link, addresses } = guest;
  await using _gateway = await openGateway({
    link,
    addresses,
    config: networkConfig({ proxy: { kind: "socks5", address, username: null, passwordEnv: null } }),
    ports: await PublishedPorts.bind([], () => undefined),
    event: (event) => events.push(event),
    warn: () => undefined,
  });
  const run = guest.spawn("python3", ["-c", program]);
  assert.ok(run.stdout !== null && run.stderr !== null);
  const [output, failure] = await Promise.all([text(run.stdout), text(run.stderr)]);
  proxy.close();
  const seen = ["ENETUNREACH", "EHOSTUNREACH", "ECONNREFUSED", "ECONNREFUSED"];
  assert.deepEqual(output.trim().split("\n"), [...seen, ...seen], failure);
  const reasons = events.flatMap((event) => (event.kind === "flow-closed" ? [event.reason] : []));
  assert.deepEqual(reasons.slice(0, 4), ["unreachable", "unreachable", "refused", "unreachable"]);
});

test("what the host's kernel says of a way that is not there", () => {
  const codes = ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT", "EMFILE"];
  assert.deepEqual(
    codes.map((code) => failureOf(Object.assign(new Error(code), { code }))),
    ["refused", "host-unreachable", "network-unreachable", "timeout", "unreachable"],
  );
});

test("a request that no ICMP error can be sent about is reset", () => {
  for (const isSent of [true, false]) {
    const sender = new KeptSegments(1500);
    const told: unknown[] = [];
    const gate = new TcpGate({
      sender,
      isChecksumRight: () => true,
      request: (request) => request.refuse("host-unreachable"),
      unreachable: ({ destination, bytes }, reason) => {
        told.push([Buffer.from(destination).equals(outside.bytes), bytes.length, reason]);
        return isSent;
      },
    });
    gate.receive(packetOf({ from: 1, to: 2, flags: "S", sequence: 7 }));
    // The IP header and 8 bytes of TCP's.
    assert.deepEqual(told, [[true, 28, "host"]]);
    assert.deepEqual(
      sender.sent.map(({ flags, acknowledgment }) => [flags, acknowledgment]),
      isSent ? [] : [["RA", 8]],
    );
    assert.equal(gate.counts.peers, 0);
    gate.close();
  }
});
