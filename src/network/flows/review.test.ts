import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { allowAll, rule, testNetwork } from "../../../test/support/network/guest-peer.ts";
import type { NetworkPolicy, Rule } from "../../config/network/policy-type.ts";

const denyPort = (port: number): Rule => rule({ action: "deny", ports: [{ start: port, end: port }] });
const policy = (...rules: Rule[]): NetworkPolicy => ({ ...allowAll, defaultEgress: "deny", rules });

test("what is told of a flow is by the policy in force, and by no rule of the one before", async () => {
  const server = createServer((socket) => socket.on("error", () => undefined).resume()).listen(
    0,
    "127.0.0.1",
  );
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await using network = await testNetwork({ policy: policy(denyPort(9), rule({})) });
  const { gateway, guest, events } = network;
  const one = guest.connect(port);
  const other = guest.connect(port);
  await Promise.all([one.opened, other.opened]);
  const ruleOf = (): (number | null)[] => gateway.flows(10).map(({ rule: index }) => index);
  assert.deepEqual(ruleOf(), [1, 1]);
  assert.deepEqual(
    gateway.flows(1).map(({ flow }) => flow),
    [2],
  );

  // The like of the first denial is held back: it is told before its rule means another.
  for (let times = 0; times < 3; times++) await guest.connect(9).over;
  await gateway.update(
    { policy: policy(rule({ direction: "ingress" }), denyPort(7), denyPort(9), rule({})) },
    () => {
      const denied = events.filter((event) => event.kind === "flow-denied");
      assert.deepEqual(
        denied.map(({ count, rule: index }) => [count, index]),
        [
          [1, 0],
          [2, 0],
        ],
      );
    },
  );
  assert.deepEqual(ruleOf(), [3, 3]);
  one.connection?.reset();
  const closed = await network.event("flow-closed");
  assert.deepEqual([closed.flow, closed.rule, closed.reason], [1, 3, "reset"]);

  // It ends by the rule that does not allow it any more.
  await gateway.update({ policy: policy(rule({ direction: "ingress" }), denyPort(port), rule({})) });
  const ended = await network.event("flow-closed", ({ flow }) => flow === 2);
  assert.deepEqual([ended.rule, ended.reason], [1, "policy"]);
  assert.deepEqual(gateway.flows(10), []);
  server.close();
});
