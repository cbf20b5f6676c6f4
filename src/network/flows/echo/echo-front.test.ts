import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { test } from "node:test";
import {
  address,
  addresses,
  allowAll,
  rule,
  testNetwork,
  type TestNetwork,
} from "../../../../test/support/network/guest-peer.ts";
import { protocolNumbers } from "../../ip/packet.ts";

const kinds = {
  4: { protocol: protocolNumbers.icmpv4, request: 8, reply: 0, name: "icmpv4" },
  6: { protocol: protocolNumbers.icmpv6, request: 128, reply: 129, name: "icmpv6" },
} as const;

/** Sends an echo request to the guest's far end: the gateway unless the network has another. */
function ping({ guest }: TestNetwork, family: 4 | 6, data: string): void {
  const own = family === 4 ? addresses.ipv4 : addresses.ipv6;
  assert.ok(own !== null);
  guest.ip.sender.send({
    family,
    source: own.guest.bytes,
    protocol: kinds[family].protocol,
    header: Buffer.from([kinds[family].request, 0, 0, 0, 0, 1, 0, 1]),
    checksumAt: 2,
    pseudoHeader: family === 6,
    payload: [Buffer.from(data)],
  });
}

/** What is answered, as events `reply`. */
function replies({ guest }: TestNetwork): EventEmitter<{ reply: [string] }> {
  const seen = new EventEmitter<{ reply: [string] }>();
  for (const { protocol, reply } of Object.values(kinds))
    guest.ip.on(protocol, ({ buffer, payloadAt, end }) => {
      if (buffer[payloadAt] === reply) seen.emit("reply", buffer.toString("latin1", payloadAt + 8, end));
    });
  return seen;
}

test("echoes to the gateway are flows that the policy has decided about", async () => {
  const rules = [rule({ destination: { kind: "group", group: "host" }, protocols: ["icmpv4", "icmpv6"] })];
  const policy = { ...allowAll, defaultEgress: "deny", rules } as const;
  await using network = await testNetwork({ policy });
  const seen = replies(network);
  for (const family of [4, 6] as const) {
    for (const data of ["one", "three"]) {
      const reply = once(seen, "reply") as Promise<[string]>;
      ping(network, family, data);
      assert.deepEqual(await reply, [data]);
    }
    const isWanted = (event: { protocol: string }): boolean => event.protocol === kinds[family].name;
    const opened = await network.event("flow-opened", isWanted);
    const gateway = (family === 4 ? addresses.ipv4 : addresses.ipv6)?.gateway.toString();
    assert.deepEqual([opened.address, opened.group, opened.port, opened.rule], [gateway, "host", null, 0]);
  }
  assert.equal(network.gateway.counters.flowsOpened, 2);
  // They end when they are not allowed any more, and tell what has passed.
  await network.gateway.update({ policy: { ...policy, rules: [] } });
  assert.equal(network.gateway.counters.activeFlows, 0);
  const { bytesSent, bytesReceived, reason } = await network.event("flow-closed");
  assert.deepEqual([bytesSent, bytesReceived, reason], [8, 8, "policy"]);
  ping(network, 4, "four");
  assert.equal((await network.event("flow-denied")).protocol, "icmpv4");
});

test("the host answers no tenant's echo, and that is told", async () => {
  await using network = await testNetwork({ deploymentProfile: "multi-tenant" });
  ping(network, 4, "one");
  const denied = await network.event("flow-denied");
  assert.deepEqual([denied.address, denied.reason, denied.rule], ["172.16.0.1", "platform", null]);
});

test("an echo to somebody outside that is not allowed is not asked for, and that is told", async () => {
  const rules = [rule({ action: "deny", protocols: ["icmpv4"] })];
  const outside = { ipv4: address("203.0.113.9") };
  // A host that would ask: it is not known to be unable before its program has ended.
  await using network = await testNetwork({ policy: { ...allowAll, rules } }, outside, null, "/bin/false");
  ping(network, 4, "one");
  while (network.events.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const [denied] = network.events;
  assert.ok(denied?.kind === "flow-denied");
  assert.deepEqual([denied.address, denied.reason, denied.rule], ["203.0.113.9", "policy", 0]);
});
