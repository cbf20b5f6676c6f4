import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { Conversation, testNetwork } from "../../../../test/support/network/guest-peer.ts";
import type { PublishedPort } from "../../../config/network/network-type.ts";
import { protocolNumbers } from "../../ip/packet.ts";

const published: PublishedPort = {
  hostBind: "127.0.0.1",
  hostPort: 0,
  guestPort: 80,
  protocol: "tcp",
  proxyProtocol: false,
};

test("who sends nothing to a published UDP port for a minute is forgotten", async (context) => {
  let now = performance.now();
  context.mock.method(performance, "now", () => now);
  context.mock.timers.enable({ apis: ["setInterval"] });
  const pass = (ms: number): void => {
    now += ms;
    context.mock.timers.tick(ms);
  };
  await using network = await testNetwork({ ports: [{ ...published, protocol: "udp" }] });
  let taken: (() => void) | null = null;
  network.guest.ip.on(protocolNumbers.udp, () => taken?.());
  const client = createSocket("udp4");
  context.after(() => client.close());
  for (let count = 0; count < 2; count++) {
    const came = new Promise<void>((resolve) => {
      taken = resolve;
    });
    client.send("x", network.gateway.ports[0]?.hostPort ?? 0, "127.0.0.1");
    await came;
    pass(59_000);
    assert.equal(network.gateway.counters.activeFlows, 1);
  }
  pass(10_000);
  assert.equal(network.gateway.counters.activeFlows, 0);
  assert.equal((await network.event("flow-closed")).reason, "idle");
});

test("of connections that come in there are 4,096, and one more is reset and told", async (context) => {
  await using network = await testNetwork({ ports: [published] });
  network.guest.listener = (request) => {
    request.accept(new Conversation());
  };
  const sockets: Socket[] = [];
  context.after(() => sockets.forEach((socket) => socket.destroy()));
  const come = (): Socket => {
    const socket = connect(network.gateway.ports[0]?.hostPort ?? 0, "127.0.0.1");
    sockets.push(socket.on("error", () => undefined));
    return socket;
  };
  // In portions: no more wait to be accepted than a small backlog holds.
  for (let count = 0; count < 4096; count += 128)
    await Promise.all(Array.from({ length: 128 }, () => once(come(), "connect")));
  const more = come();
  // It has been told of, as a flow or as none, whatever the kernel has told its program by then.
  while (network.events.length < 4097) await new Promise((resolve) => setImmediate(resolve));
  const last = network.events.at(-1);
  assert.equal(last?.kind === "flow-denied" ? last.reason : last?.kind, "max-connections");
  assert.equal(network.gateway.counters.activeFlows, 4096);
  if (!more.closed) await new Promise((resolve) => more.once("close", resolve));
  assert.match(String(more.errored), /ECONNRESET/);
});
