import assert from "node:assert/strict";
import { test } from "node:test";
import { testNetwork } from "../../../test/support/network/guest-peer.ts";

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
