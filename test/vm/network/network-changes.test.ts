import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { NetworkLogEvent, NetworkPolicy, Sandbox } from "../../../src/index.ts";
import { places, ports } from "../../internet/places.ts";
import { eventually, printed } from "../support.ts";
import type { Needs } from "../tags.ts";
import { furnish, onTheInternet, openSockets, said, useInternet } from "./network-support.ts";

export const needs: Needs = ["running", "internet"];

// What changes on a sandbox that runs, what is told of its network, and the policy that is learnt from that.

const { internet } = await useInternet();
const timeout = 120_000;
let sandbox: Sandbox;
before(async () => {
  sandbox = await onTheInternet("changing").create();
  await furnish(sandbox, internet, "held.py");
});

const every = { direction: "egress", protocols: [], ports: [] } as const;
const policy = (rules: NetworkPolicy["rules"]): NetworkPolicy => ({
  defaultEgress: "deny",
  defaultIngress: "allow",
  rules,
});
const cidr = (address: string): NetworkPolicy["rules"][number] => ({
  ...every,
  action: "allow",
  destination: { kind: "cidr", cidr: `${address}/${address.includes(":") ? 128 : 32}` },
});

const answers = async (who: Sandbox, address: string): Promise<boolean> =>
  (await said(who, `printf x | nc -N -w 5 ${address} ${ports.echo}`)) === "x";

async function eventsOf(who: Sandbox): Promise<NetworkLogEvent[]> {
  const found: NetworkLogEvent[] = [];
  for await (const event of who.networkEvents()) found.push(event);
  return found;
}

test(
  "flows that are not allowed any more have ended when the change is done; others go on",
  { timeout },
  async () => {
    const addresses = [places.host4, places.host6, places.other4, places.other6];
    const held = await sandbox.execStream("python3", ["/tmp/held.py", ...addresses]);
    await printed(held);
    const count = (): number => openSockets().filter(({ local }) => local === ports.echo).length;
    assert.equal(count(), 4);
    await sandbox.updateNetwork({ policy: policy([cidr(places.host4), cidr(places.host6)]) });
    assert.equal((await sandbox.networkStatus()).counters.activeFlows, 2);
    await internet.wire.take();
    await eventually("the two others to be over", async () => (count() === 2 ? true : null));
    assert.equal(await answers(sandbox, places.other4), false);
    assert.equal(await answers(sandbox, places.host4), true);
    await internet.wire.nothingTo(places.other4, places.other6);
    await sandbox.updateNetwork({ policy: policy([]) });
    await eventually("all to be over", async () => (count() === 0 ? true : null));
    const result = await held.collect();
    assert.equal(result.code, 0);
    const ended = result.stdout().trim().split("\n").slice(-4).sort();
    assert.deepEqual(ended, addresses.map((address) => `ended ${address}`).sort());
    await sandbox.updateNetwork({ policy: policy([cidr(places.host4)]) });
    assert.equal(await answers(sandbox, places.host4), true);
  },
);

test("what came to pass is told: who was reached, who was not, and why", { timeout }, async () => {
  const fresh = await onTheInternet("told").create();
  await said(
    fresh,
    `curl -sS -4 http://example.com/bytes/100000 | wc -c; curl -sS -m 5 http://${places.private4}/; dig none.test`,
  );
  const events = await eventually("the flow to be over", async () => {
    const all = await eventsOf(fresh);
    return all.some((event) => event.kind === "flow-closed" && event.port === 80) ? all : null;
  });
  const opened = events.find((event) => event.kind === "flow-opened" && event.port === 80);
  assert.ok(opened?.kind === "flow-opened");
  assert.equal(opened.address, places.host4);
  assert.equal(opened.name, "example.com");
  const closed = events.find((event) => event.kind === "flow-closed" && event.flow === opened.flow);
  assert.ok(closed?.kind === "flow-closed");
  assert.ok(closed.bytesReceived > 100_000 && closed.bytesReceived < 101_000, String(closed.bytesReceived));
  assert.ok(closed.bytesSent > 10 && closed.bytesSent < 1000);
  const denied = events.find((event) => event.kind === "flow-denied");
  assert.ok(denied?.kind === "flow-denied");
  assert.deepEqual(
    {
      address: denied.address,
      port: denied.port,
      group: denied.group,
      rule: denied.rule,
      reason: denied.reason,
    },
    { address: places.private4, port: 80, group: "private", rule: null, reason: "policy" },
  );
  const asked = events.filter((event) => event.kind === "dns").map(({ name, rcode }) => `${name} ${rcode}`);
  assert.ok(asked.includes("example.com NOERROR") && asked.includes("none.test NXDOMAIN"), asked.join());
  const { counters } = await fresh.networkStatus();
  assert.ok(
    counters.rxBytes > 100_000 && counters.txBytes > 500 && counters.flowsDenied >= 1,
    JSON.stringify(counters),
  );
  const metrics = await fresh.metrics();
  assert.ok(metrics.netRxBytes > 100_000 && metrics.netTxBytes > 500);
  await fresh.kill();
});

test("a policy that was learnt allows what was seen, and nothing else", { timeout }, async () => {
  const doings = `curl -sS -4 -o /dev/null -w '%{http_code} ' http://example.com/hello; printf x | nc -N -w 5 ${places.private4} 7; ping -4 -c 1 -W 5 www.example.com | grep -o '1 received'`;
  const done = "200 x1 received";
  const learning = await onTheInternet("learning")
    .network((n) => n.policy(policy([])).observe())
    .create();
  assert.equal(await said(learning, doings), done);
  const learnt = await learning.suggestPolicy();
  await learning.kill();
  const bound = await onTheInternet("bound")
    .network((n) => n.policy(learnt))
    .create();
  assert.equal(await said(bound, doings), done);
  await internet.wire.take();
  assert.equal(await answers(bound, places.other4), false);
  assert.equal(await answers(bound, places.secondPrivate4), false);
  assert.notEqual((await bound.shell(`curl -s -m 5 http://${places.private4}/`)).code, 0);
  await internet.wire.nothingTo(places.other4, places.secondPrivate4);
  assert.deepEqual(await internet.wire.takeTo(places.private4), []);
  await bound.kill();
});
