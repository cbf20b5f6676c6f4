import assert from "node:assert/strict";
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { addresses, testNetwork } from "../../../test/support/network/guest-peer.ts";
import { defaultDns } from "../../config/network/network-defaults.ts";
import { protocolNumbers } from "../ip/packet.ts";
import { sendDatagram } from "./udp/datagram.ts";

test("of connections to port 53 there are 64, and one more is refused and told", async () => {
  await using network = await testNetwork();
  const kept = Array.from({ length: 64 }, () => network.guest.connect(53));
  await Promise.all(kept.map(({ opened }) => opened));
  assert.deepEqual(network.events, []);
  assert.equal(await network.guest.connect(53).over, "reset");
  const { address, port, protocol, rule, reason } = await network.event("flow-denied");
  assert.deepEqual(
    { address, port, protocol, rule, reason },
    { address: "172.16.0.1", port: 53, protocol: "tcp", rule: null, reason: "max-connections" },
  );
  assert.equal(network.gateway.counters.flowsDenied, 1);
});

test("64 questions by UDP are answered at a time; more are dropped", async (context) => {
  const server = createSocket("udp4").bind(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => server.close());
  const waiting: [Buffer, RemoteInfo][] = [];
  const numbers: number[] = [];
  let wanted = { count: 64, come: (): void => undefined };
  const asked = (count: number): Promise<void> =>
    new Promise((resolve) => {
      wanted = { count, come: resolve };
      if (numbers.length >= count) resolve();
    });
  server.on("message", (question, peer) => {
    waiting.push([question, peer]);
    // The first label of its name: `n0`, `n1`…
    numbers.push(Number(question.toString("latin1", 14, 13 + (question[12] ?? 0))));
    if (numbers.length >= wanted.count) wanted.come();
  });
  const nameservers = [`127.0.0.1:${server.address().port}`];
  await using network = await testNetwork({ dns: { ...defaultDns, nameservers } });
  const { guest } = network;
  const answered = new Promise<void>((resolve) => {
    let count = 0;
    guest.ip.on(protocolNumbers.udp, () => {
      if (++count === 64) resolve();
    });
  });
  const ask = (number: number): void => {
    const label = `n${number}`;
    const name = `${String.fromCharCode(label.length)}${label}\x07example\x00`;
    const question = Buffer.concat([
      Buffer.from("000101000001000000000000", "hex"),
      Buffer.from(name, "latin1"),
      Buffer.from("00010001", "hex"),
    ]);
    assert.ok(addresses.ipv4 !== null);
    sendDatagram(guest.ip.sender, { address: addresses.ipv4.guest, port: 4000 + number }, 53, question);
  };
  for (let number = 0; number < 80; number++) ask(number);
  await asked(64);
  for (const [question, { port, address }] of waiting) {
    // No such name.
    question.writeUInt16BE(0x8183, 2);
    server.send(question, port, address);
  }
  await answered;
  ask(100);
  await asked(65);
  assert.deepEqual(
    numbers.sort((a, b) => a - b),
    [...Array.from({ length: 64 }, (_, number) => number), 100],
  );
});
