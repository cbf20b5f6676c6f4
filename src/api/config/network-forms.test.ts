/** What is said of a network in one way or another becomes one stored form. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as v from "valibot";
import { SandboxBuilder } from "./sandbox-builder.ts";
import { draftFromConfig, type SandboxConfigInput } from "../../config/sandbox/config-object.ts";
import { configOf, effectiveConfig } from "../../config/sandbox/effective-config.ts";
import { storedConfigSchema, type StoredConfig } from "../../config/sandbox/stored-config.ts";
import { networkOf } from "../../config/network/network-of.ts";
import { NetworkPolicy } from "../../config/network/policy/network-policy.ts";
import { NetworkPolicyBuilder } from "../../config/network/policy/policy-builder.ts";
import { Destination, Rule } from "../../config/network/policy/rules.ts";

type Set = (builder: SandboxBuilder) => SandboxBuilder;
type Fields = Partial<Omit<SandboxConfigInput, "name" | "image">>;

/** As it is read back from the disk. */
const stored = (config: ReturnType<SandboxBuilder["build"]>): StoredConfig =>
  v.parse(storedConfigSchema, JSON.parse(JSON.stringify(effectiveConfig(config, {}, null))));
const byBuilder = (set: Set): StoredConfig =>
  stored(set(new SandboxBuilder("forms").image("localhost/base")).build());
const byObject = (fields: Fields): StoredConfig =>
  stored(draftFromConfig({ name: "forms", image: "localhost/base", ...fields }).finish());

const port = { hostBind: "127.0.0.1", protocol: "tcp", proxyProtocol: false } as const;

const forms: Readonly<Record<string, readonly [set: Set, ...objects: Fields[]]>> = {
  nothing: [
    (b) => b,
    {},
    { network: {} },
    { network: null, ports: null },
    { network: { policy: "public-only" } },
    { network: NetworkPolicy.publicOnly() },
    { network: { policy: NetworkPolicy.fromProfiles(["public"]) } },
  ],
  "no network": [
    (b) => b.disableNetwork(),
    { disableNetwork: true },
    { network: { enabled: false } },
    { network: { enabled: false, maxConnections: 5 } },
  ],
  none: [
    (b) => b.network((n) => n.policy(NetworkPolicy.none())),
    { network: { policy: "none" } },
    { network: NetworkPolicy.none() },
    { network: { defaultAction: "deny" } },
    { network: { policy: NetworkPolicy.none() } },
  ],
  all: [
    (b) => b.network((n) => n.policy(NetworkPolicy.allowAll())),
    { network: { policy: "allow-all" } },
    { network: NetworkPolicy.allowAll() },
    { network: { rules: [], defaultAction: "allow" } },
  ],
  "rules close the direction that they are about": [
    (b) =>
      b.network((n) =>
        n.policy(
          new NetworkPolicyBuilder()
            .defaultDeny()
            .egress((r) => r.tcp().port(443).allowDomain("Example.com."))
            .egress((r) => r.allowDomainSuffix("example.org"))
            .egress((r) => r.deny((d) => d.ip("198.51.100.5")))
            .ingress((r) =>
              r
                .tcp()
                .portRange(8000, 9000)
                .allow((d) => d.cidr("10.1.2.3/8")),
            )
            .egress((r) => r.allowMeta()),
        ),
      ),
    {
      network: {
        // It is not looked at.
        policy: "allow-all",
        rules: [
          { action: "allow", destination: "example.com", protocol: "tcp", port: "443" },
          { action: "allow", direction: "outbound", destination: ".example.org" },
          { action: "deny", destination: "198.51.100.5" },
          {
            action: "allow",
            direction: "inbound",
            destination: "10.0.0.0/8",
            protocol: "tcp",
            port: "8000-9000",
          },
          { action: "allow", destination: "metadata" },
        ],
      },
    },
  ],
  "rules for what goes out leave what comes in open": [
    (b) => b.network((n) => n.policy(new NetworkPolicyBuilder().egress((r) => r.allowPublic()))),
    { network: { rules: [{ action: "allow", destination: "public" }] } },
    { network: { rules: [Rule.allowEgress(Destination.group("public"))] } },
    { network: { defaultEgress: "deny", rules: [Rule.allowEgress(Destination.group("public"))] } },
  ],
  "a preset with a default of its own": [
    (b) => b.network((n) => n.policy({ ...NetworkPolicy.publicOnly(), defaultIngress: "deny" })),
    { network: { policy: "public-only", defaultIngress: "deny" } },
    { network: { policy: "public-only", defaultIngress: "deny", rules: null } },
  ],
  "a preset with the same default in both directions": [
    (b) => b.network((n) => n.policy({ ...NetworkPolicy.nonLocal(), defaultIngress: "deny" })),
    { network: { policy: "non-local", defaultAction: "deny" } },
  ],
  "a preset and rules, even none": [
    (b) => b.network((n) => n.policy({ ...NetworkPolicy.none(), defaultIngress: "allow" })),
    { network: { policy: "allow-all", rules: [] } },
  ],
  "names that are denied": [
    (b) => b.network((n) => n.denyDomains(["a.example.com"]).denyDomainSuffixes([".example.net"])),
    { network: { blockDomains: ["A.example.com"], blockDomainSuffixes: ["example.net"] } },
    { network: { dns: { blockDomains: ["a.example.com"], blockDomainSuffixes: ["example.net"] } } },
  ],
  "how names are asked": [
    (b) =>
      b.network((n) =>
        n.dns((d) =>
          d
            .nameservers(["1.1.1.1", " dns.google:5353 "])
            .rebindProtection(false)
            .queryTimeoutMs(100)
            .maxQueriesPerMinute(60)
            .maxNameLength(100),
        ),
      ),
    {
      network: {
        dns: {
          nameservers: ["1.1.1.1:53", "dns.google:5353"],
          rebindProtection: false,
          queryTimeoutMs: 100,
          maxQueriesPerMinute: 60,
          maxNameLength: 100,
        },
      },
    },
    {
      network: {
        dnsRebindProtection: false,
        dns: {
          ...{ nameservers: ["1.1.1.1", "dns.google:5353"], queryTimeoutMs: 100 },
          ...{ maxQueriesPerMinute: 60, maxNameLength: 100 },
        },
      },
    },
  ],
  "the interface": [
    (b) =>
      b.network((n) =>
        n
          .interface((i) => i.mac("02-6D-73-00-00-09").mtu(1500).ipv4("10.9.0.2").ipv6("fd00:9::2"))
          .ipv4Pool("10.9.1.0/24")
          .ipv6Pool("fd00::/48"),
      ),
    {
      network: {
        interface: {
          ...{ mac: "02:6d:73:00:00:09", mtu: 1500, ipv4Address: "10.9.0.2", ipv6Address: "fd00:9::2" },
          ...{ ipv4Pool: "10.9.1.0/24", ipv6Pool: "fd00::/48" },
        },
      },
    },
  ],
  limits: [
    (b) =>
      b.network((n) =>
        n
          .maxConnections(64)
          .observe()
          .rateLimiter((l) => l.egress((e) => e.bandwidth(1000, 100).bandwidthBurst(5).ops(7, 1))),
      ),
    {
      network: {
        maxConnections: 64,
        observe: true,
        rateLimiter: {
          egress: {
            bandwidth: { size: 1000, refillTimeMs: 100, oneTimeBurst: 5 },
            ops: { size: 7, refillTimeMs: 1, oneTimeBurst: 0 },
          },
        },
      },
    },
  ],
  ports: [
    (b) => b.port(8080, 80).portUdp(0, 53).portBind("::1", 8080, 80, { proxyProtocol: true }),
    {
      ports: [
        { hostPort: 8080, guestPort: 80 },
        { ...port, hostPort: 0, guestPort: 53, protocol: "udp" },
        { hostBind: "0:0::1", hostPort: 8080, guestPort: 80, proxyProtocol: true },
      ],
    },
  ],
  "ports over TCP": [
    (b) => b.port(8080, 80),
    { ports: { "8080": 80 } },
    { ports: [[8080, 80]] },
    { portsTcp: [[8080, 80]] },
    { network: { ports: { "8080": 80 } } },
  ],
  "ports over UDP": [(b) => b.portUdp(5353, 53), { portsUdp: [[5353, 53]] }],
  "a port of the network": [(b) => b.network((n) => n.port(1, 2)), { network: { ports: [[1, 2]] } }],
  proxy: [
    (b) => b.proxy((p) => p.socks5("127.0.0.1:1080").credentials("me", { kind: "env", var: "PASSWORD" })),
    { proxy: "socks5://me:$PASSWORD@127.0.0.1:1080" },
    { proxy: { kind: "socks5", address: "127.0.0.1:1080", username: "me", passwordEnv: "PASSWORD" } },
    { network: { outboundProxy: "socks5://me:$PASSWORD@127.0.0.1:1080" } },
  ],
  "a proxy of SOCKS4": [
    (b) => b.proxy((p) => p.socks4("[::1]:53").userId("me")),
    { proxy: "socks4://me@[::1]:53" },
    { proxy: { kind: "socks4", address: "[::1]:53", userId: "me" } },
  ],
  "a proxy of HTTP": [
    (b) => b.proxy((p) => p.http("proxy.example.com:3128")),
    { proxy: "http://proxy.example.com:3128/" },
  ],
  "a profile": [(b) => b.deploymentProfile("multi-tenant"), { deploymentProfile: "multi-tenant" }],
};

describe("the builder and the object say the same of", () => {
  for (const [what, [set, ...objects]] of Object.entries(forms)) {
    test(what, () => {
      const expected = byBuilder(set);
      for (const object of objects) assert.deepEqual(byObject(object), expected, JSON.stringify(object));
      if (what !== "nothing")
        assert.notDeepEqual(
          expected,
          byBuilder((b) => b),
        );
      // What users read back says the same again.
      const { network, ports, portsTcp, portsUdp, proxy, deploymentProfile } = configOf({
        name: "forms",
        config: expected,
      });
      for (const copy of [
        { network },
        { network, ports },
        { network, ports, portsTcp, portsUdp },
        { network, portsTcp, portsUdp },
      ]) {
        const again = byObject({ ...copy, proxy, deploymentProfile });
        assert.deepEqual(again, expected, JSON.stringify(Object.keys(copy)));
      }
    });
  }
});

test("the default is what is documented", () => {
  assert.deepEqual(networkOf(byBuilder((b) => b)), {
    policy: {
      defaultEgress: "deny",
      defaultIngress: "allow",
      rules: [
        {
          direction: "egress",
          destination: { kind: "group", group: "host" },
          protocols: ["udp", "tcp"],
          ports: [{ start: 53, end: 53 }],
          action: "allow",
        },
        {
          direction: "egress",
          destination: { kind: "group", group: "public" },
          protocols: [],
          ports: [],
          action: "allow",
        },
      ],
    },
    observe: false,
    dns: {
      nameservers: [],
      rebindProtection: true,
      queryTimeoutMs: 5000,
      maxQueriesPerMinute: null,
      maxNameLength: null,
    },
    interface: {
      mac: null,
      mtu: 65_520,
      ipv4Address: null,
      ipv6Address: null,
      ipv4Pool: "172.16.0.0/12",
      ipv6Pool: "fd42:6d73:62::/48",
    },
    maxConnections: 256,
    rateLimiter: null,
    ports: [],
    proxy: null,
    deploymentProfile: "single-tenant",
    tls: null,
    secrets: [],
    secretViolation: { kind: "block-and-log" },
    http: null,
    trustHostCAs: false,
    strict: false,
  });
});

test("several calls are put together, and of what is said twice the last counts", () => {
  const config = new SandboxBuilder("several")
    .image("localhost/base")
    .port(8080, 80)
    .network((n) =>
      n
        .port(8081, 81)
        .denyDomains(["one.example.com"])
        .maxConnections(5)
        .dns((d) => d.nameservers(["1.1.1.1"]).queryTimeoutMs(5))
        .interface((i) => i.mtu(1500))
        .rateLimiter((l) => l.egress((e) => e.ops(1, 1))),
    )
    .network((n) =>
      n
        .policy(NetworkPolicy.allowAll())
        .denyDomains(["two.example.com"])
        .maxConnections(6)
        .dns((d) => d.rebindProtection(false))
        .ipv4Pool("10.0.0.0/8")
        .rateLimiter((l) => l.ingress((i) => i.ops(2, 2))),
    )
    .build();
  const { network } = config;
  assert.ok(network !== null);
  assert.deepEqual(config.portsTcp, [
    [8080, 80],
    [8081, 81],
  ]);
  assert.equal(network.ports, config.ports);
  assert.deepEqual(
    network.policy?.rules.map(({ action, destination }) => [action, destination]),
    [
      ["deny", { kind: "domain", domain: "one.example.com" }],
      ["deny", { kind: "domain", domain: "two.example.com" }],
    ],
  );
  assert.equal(network.policy.defaultEgress, "allow");
  assert.equal(network.maxConnections, 6);
  assert.deepEqual(
    [network.dns?.nameservers, network.dns?.queryTimeoutMs, network.dns?.rebindProtection],
    [["1.1.1.1"], 5, false],
  );
  assert.deepEqual([network.interface?.mtu, network.interface?.ipv4Pool], [1500, "10.0.0.0/8"]);
  assert.deepEqual([network.rateLimiter?.egress?.ops?.size, network.rateLimiter?.ingress?.ops?.size], [1, 2]);
});

test("who says that there is no network has none, whatever else was said", () => {
  for (const set of [
    (b: SandboxBuilder) =>
      b.disableNetwork().network((n) => n.enabled(true).policy(NetworkPolicy.allowAll())),
    (b: SandboxBuilder) => b.network((n) => n.policy(NetworkPolicy.allowAll())).disableNetwork(),
  ]) {
    const config = byBuilder(set);
    assert.equal(networkOf(config), null);
    const read = configOf({ name: "forms", config });
    assert.equal(read.disableNetwork, true);
    assert.deepEqual(read.network?.policy, NetworkPolicy.none());
  }
});
