import assert from "node:assert/strict";
import type { networkInterfaces } from "node:os";
import { describe, it } from "node:test";
import { address, addresses, allowAll, rule } from "../../../test/support/network/guest-peer.ts";
import type { NetworkPolicy } from "../../config/network/policy-type.ts";
import { createPolicyEngine } from "../policy/create-engine.ts";
import { DnsBindings } from "../policy/dns-bindings.ts";
import { Gatekeeper } from "./gatekeeper.ts";
import { HostAddresses, leadsNowhere } from "./host-addresses.ts";

function interfaces(...list: string[]): ReturnType<typeof networkInterfaces> {
  const entries = list.map((text) => ({ address: text, family: "IPv4" as const }));
  return { eth0: entries } as unknown as ReturnType<typeof networkInterfaces>;
}

function gatekeeper(policy: NetworkPolicy, ...hostHas: string[]): Gatekeeper {
  const bindings = new DnsBindings();
  const engine = createPolicyEngine({
    policy,
    bindings,
    gateways: [address("172.16.0.1"), address("fd42:6d73:62::1")],
    deploymentProfile: "single-tenant",
  });
  const host = new HostAddresses(() => interfaces(...hostHas));
  return new Gatekeeper({
    policies: { configured: engine, inForce: engine, rules: policy.rules },
    bindings,
    addresses,
    host,
  });
}

function action(keeper: Gatekeeper, to: string): string {
  return keeper.egress({ protocol: "tcp", address: address(to), port: 80 }, { kind: "bindings" }).action;
}

describe("addresses that no policy allows", () => {
  const keeper = gatekeeper(allowAll);
  for (const to of [
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "::ffff:127.0.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "::ffff:0.0.0.0",
    "::",
    "::7f00:1",
    "::ffff:0:7f00:1",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "ff02::1",
    "ff0e::1",
    "fe80::1",
  ])
    it(to, () => assert.equal(action(keeper, to), "deny"));
  for (const to of [
    "1.1.1.1",
    "10.0.0.1",
    "169.254.169.254",
    "2606:4700::1",
    "172.16.0.1",
    "fd42:6d73:62::1",
  ])
    it(`but ${to}`, () => {
      assert.equal(action(keeper, to), "allow");
      assert.equal(leadsNowhere(address(to)), false);
    });
});

describe("the host's own addresses", () => {
  const own = ["203.0.113.5", "192.168.1.10", "2001:db8::5"];
  const withoutHost: NetworkPolicy = {
    ...allowAll,
    rules: [rule({ action: "deny", destination: { kind: "group", group: "host" } })],
  };
  it("take what the gateway's takes, under every name", () => {
    const keeper = gatekeeper(withoutHost, ...own);
    for (const to of [...own, "::ffff:192.168.1.10"]) assert.equal(action(keeper, to), "deny", to);
    for (const to of ["203.0.113.6", "192.168.1.11"]) assert.equal(action(keeper, to), "allow", to);
  });

  it("are not allowed by the gateway's rule alone", () => {
    const rules = [rule({ destination: { kind: "group", group: "host" } })];
    const keeper = gatekeeper({ ...allowAll, defaultEgress: "deny", rules }, ...own);
    for (const to of own) assert.equal(action(keeper, to), "deny", to);
    assert.equal(action(keeper, "172.16.0.1"), "allow");
  });

  it("are not outside", () => {
    const rules = [rule({ destination: { kind: "group", group: "public" } })];
    const keeper = gatekeeper({ ...allowAll, defaultEgress: "deny", rules }, ...own);
    for (const to of ["203.0.113.5", "2001:db8::5", "192.168.1.10"])
      assert.equal(action(keeper, to), "deny", to);
    assert.equal(action(keeper, "203.0.113.6"), "allow");
  });

  it("are allowed by who names them", () => {
    const rules = [
      rule({ destination: { kind: "cidr", cidr: "203.0.113.5/32" } }),
      rule({ destination: { kind: "group", group: "private" } }),
    ];
    const keeper = gatekeeper({ ...allowAll, defaultEgress: "deny", rules }, ...own);
    assert.equal(action(keeper, "203.0.113.5"), "allow");
    assert.equal(action(keeper, "192.168.1.10"), "allow");
    assert.equal(action(keeper, "172.16.0.1"), "deny");
  });

  it("do not include those of the loopback interface", () => {
    const list = { lo: [{ address: "93.184.216.34", family: "IPv4", internal: true }] };
    const host = new HostAddresses(() => list as unknown as ReturnType<typeof networkInterfaces>);
    assert.equal(host.has(address("93.184.216.34")), false);
  });

  it("are allowed when both are", () => {
    for (const to of own) assert.equal(action(gatekeeper(allowAll, ...own), to), "allow", to);
  });

  it("are known soon when they change", () => {
    let now = 0;
    let list = ["192.0.2.1"];
    const host = new HostAddresses(
      () => interfaces(...list),
      () => now,
    );
    assert.equal(host.has(address("192.0.2.2")), false);
    list = ["192.0.2.2"];
    now = 2001;
    assert.equal(host.has(address("192.0.2.2")), true);
    assert.equal(host.has(address("192.0.2.1")), false);
  });
});
