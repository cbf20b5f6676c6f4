import assert from "node:assert/strict";
import type { networkInterfaces } from "node:os";
import { describe, it } from "node:test";
import { address, addresses, allowAll, rule } from "../../../test/support/network/guest-peer.ts";
import type { NetworkConfig } from "../../config/network/network-type.ts";
import { NetworkPolicy } from "../../config/network/policy/network-policy.ts";
import type { Rule } from "../../config/network/policy-type.ts";
import { createPolicyEngine } from "../policy/create-engine.ts";
import { DnsBindings } from "../policy/dns-bindings.ts";
import { Gatekeeper } from "./gatekeeper.ts";
import { HostAddresses, leadsNowhere } from "./host-addresses.ts";

function interfaces(list: readonly string[]): ReturnType<typeof networkInterfaces> {
  const entry = (text: string, internal: boolean): object => ({ address: text, internal });
  const eth0 = list.map((text) => entry(text, false));
  return { eth0, lo: [entry("198.51.100.1", true)] } as unknown as ReturnType<typeof networkInterfaces>;
}

function gatekeeper(
  policy: NetworkPolicy,
  hostHas: readonly string[] = [],
  deploymentProfile: NetworkConfig["deploymentProfile"] = "single-tenant",
  bindings = new DnsBindings(),
): Gatekeeper {
  const engine = createPolicyEngine({
    policy,
    bindings,
    gateways: [address("172.16.0.1"), address("fd42:6d73:62::1")],
    deploymentProfile,
  });
  const host = new HostAddresses(() => interfaces(hostHas));
  const isMultiTenant = deploymentProfile === "multi-tenant";
  const policies = { configured: engine, inForce: engine, rules: policy.rules, isMultiTenant };
  return new Gatekeeper({ policies, bindings, addresses, host });
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
  const own = ["203.0.113.5", "2001:db8::5"];
  const allowed = (destination: Rule["destination"]): Rule => rule({ destination });
  const onlyOutside = (...more: Rule[]): NetworkPolicy => ({
    ...allowAll,
    defaultEgress: "deny",
    rules: [...more, allowed({ kind: "group", group: "public" })],
  });

  it("are not outside", () => {
    const keeper = gatekeeper(onlyOutside(), own);
    for (const to of [...own, "::ffff:203.0.113.5"]) assert.equal(action(keeper, to), "deny", to);
    for (const to of ["203.0.113.6", "198.51.100.1"]) assert.equal(action(keeper, to), "allow", to);
  });

  it("are allowed with the host's", () => {
    const keeper = gatekeeper(onlyOutside(allowed({ kind: "group", group: "host" })), own);
    for (const to of own) assert.equal(action(keeper, to), "allow", to);
  });

  it("are allowed with everything", () => {
    for (const to of own) assert.equal(action(gatekeeper(allowAll, own), to), "allow", to);
  });

  it("are allowed by a rule about this one address, and not about a range", () => {
    const keeper = gatekeeper(
      onlyOutside(
        allowed({ kind: "cidr", cidr: "203.0.113.5/32" }),
        allowed({ kind: "cidr", cidr: "2001:db8::/64" }),
      ),
      own,
    );
    assert.equal(action(keeper, "203.0.113.5"), "allow");
    assert.equal(action(keeper, "2001:db8::5"), "deny");
    assert.equal(action(keeper, "2001:db8::6"), "allow");
  });

  const denyHost = rule({ action: "deny", destination: { kind: "group", group: "host" } });
  const exact = allowed({ kind: "cidr", cidr: "192.168.7.5" });
  const named = allowed({ kind: "domain", domain: "near.example" });
  for (const [what, policy, expected] of [
    ["private", NetworkPolicy.fromProfiles(["public", "private"]), "deny"],
    ["not local", NetworkPolicy.nonLocal(), "deny"],
    ["host", NetworkPolicy.fromProfiles(["public", "private", "host"]), "allow"],
    ["all, but the host", { ...allowAll, rules: [denyHost] }, "deny"],
    ["any, but the host", { ...allowAll, defaultEgress: "deny", rules: [denyHost, rule({})] }, "deny"],
    ["any before the host", { ...allowAll, rules: [rule({}), denyHost] }, "allow"],
    ["the address before the host", { ...allowAll, rules: [exact, denyHost] }, "allow"],
    ["the host before the address", { ...allowAll, rules: [denyHost, exact] }, "deny"],
    ["a name that stands for it", { ...allowAll, defaultEgress: "deny", rules: [named] }, "deny"],
  ] as const)
    it(`by ${what}: ${expected}`, () => {
      const bindings = new DnsBindings();
      bindings.bind("near.example", [address("192.168.7.5")], 60);
      const keeper = gatekeeper(policy, ["192.168.7.5"], "single-tenant", bindings);
      for (const protocol of ["tcp", "udp", "icmpv4"] as const) {
        const flow = { protocol, address: address("192.168.7.5"), port: protocol === "icmpv4" ? null : 80 };
        assert.equal(keeper.egress(flow, { kind: "bindings" }).action, expected, protocol);
      }
    });

  it("wait for the name when the host's does", () => {
    const keeper = gatekeeper(
      {
        ...allowAll,
        defaultEgress: "deny",
        rules: [
          allowed({ kind: "group", group: "public" }),
          rule({ action: "deny", destination: { kind: "domain", domain: "bad.example" } }),
          allowed({ kind: "group", group: "host" }),
        ],
      },
      own,
    );
    const flow = { protocol: "tcp", address: address("203.0.113.5"), port: 443 } as const;
    assert.equal(keeper.egress(flow, { kind: "deferred" }).action, "defer");
    assert.equal(keeper.egress(flow, { kind: "sni", name: "good.example" }).action, "allow");
    assert.equal(keeper.egress(flow, { kind: "sni", name: "bad.example" }).action, "deny");
  });

  it("are no tenant's", () => {
    const keeper = gatekeeper(allowAll, own, "multi-tenant");
    for (const to of own) assert.equal(action(keeper, to), "deny", to);
    assert.equal(action(keeper, "203.0.113.6"), "allow");
  });

  it("are known soon when they change", () => {
    let now = 0;
    let list = ["192.0.2.1"];
    const host = new HostAddresses(
      () => interfaces(list),
      () => now,
    );
    assert.equal(host.has(address("192.0.2.2")), false);
    list = ["192.0.2.2"];
    now = 2001;
    assert.equal(host.has(address("192.0.2.2")), true);
    assert.equal(host.has(address("192.0.2.1")), false);
  });

  it("are those of before when they cannot be read", () => {
    let now = 0;
    const host = new HostAddresses(
      () => {
        if (now > 0) throw new Error("out of descriptors");
        return interfaces(["192.0.2.1"]);
      },
      () => now,
    );
    assert.equal(host.has(address("192.0.2.1")), true);
    now = 2001;
    assert.equal(host.has(address("192.0.2.1")), true);
    assert.equal(host.has(address("192.0.2.2")), false);
  });
});
