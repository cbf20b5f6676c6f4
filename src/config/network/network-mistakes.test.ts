/** What cannot be is refused before anything is made, by name and with a hint. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { draftFromConfig } from "../sandbox/config-object.ts";
import { RateLimiterBuilder, NetworkRateLimiterBuilder } from "./builders/rate-limiter-builder.ts";
import { NetworkPolicy } from "./policy/network-policy.ts";
import { Destination, Rule } from "./policy/rules.ts";

function finish(fields: object): void {
  draftFromConfig({ name: "wrong", image: "localhost/base", ...fields }).finish();
}

/** With a part of the message. */
function refuses(work: () => unknown, words: string): void {
  assert.throws(work, (error: unknown) => {
    assert.ok(error instanceof InvalidConfigError, String(error));
    assert.ok(error.message.includes(words), error.message);
    assert.ok(!`${error.message} ${error.hint}`.includes("hunter2"));
    return true;
  });
}

const network = (fields: object): object => ({ network: fields });
const rule = (fields: object): object => network({ rules: [{ action: "allow", ...fields }] });
const dns = (fields: object): object => network({ dns: fields });
const link = (fields: object): object => network({ interface: fields });
const tenant = (fields: object): object => ({ deploymentProfile: "multi-tenant", ...fields });

const icmp = { ...Rule.allowEgress(Destination.any()), protocols: ["icmpv4"] };

const mistakes: readonly (readonly [fields: object, words: string])[] = [
  // Keys.
  [network({ polcy: "none" }), 'there is no setting "network.polcy": did you mean "policy"?'],
  [network({ defaultaction: "deny" }), 'did you mean "defaultAction"'],
  [
    rule({ destinaton: "*" }),
    'there is no setting "network.rules[0].destinaton": did you mean "destination"?',
  ],
  [dns({ nameserver: [] }), 'did you mean "nameservers"'],
  [link({ ipv4: "10.0.0.2" }), '"network.interface.ipv4"'],
  [network({ rateLimiter: { egres: {} } }), 'did you mean "egress"'],
  [{ ports: [{ hostPort: 1, guestPort: 2, bind: "::" }] }, '"ports[0].bind"'],
  [{ network: 5 }, "must be an object"],
  [{ network: "none" }, "must be an object"],
  // Policies.
  [network({ policy: "public" }), "network.policy"],
  [network({ policy: NetworkPolicy.none(), rules: [] }), "a policy, and rules"],
  [network({ defaultAction: "deny", defaultEgress: "allow" }), "defaultAction"],
  [network({ rules: {} }), "network.rules"],
  [network({ rules: ["allow@any"] }), "network.rules[0]"],
  [rule({ action: "drop" }), "network.rules[0].action"],
  [rule({ direction: "out" }), "network.rules[0].direction"],
  [rule({ protocol: "sctp" }), "network.rules[0].protocol"],
  [rule({ port: "443-80" }), "invalid port range 443..80; lo must be <= hi"],
  [rule({ port: "https" }), "no port"],
  [rule({ protocol: "icmpv4", direction: "inbound" }), "network.rules[0]: icmpv4 in a rule for ingress"],
  [rule({ protocol: "icmpv6", direction: "any" }), "ICMP is egress only"],
  [rule({ protocol: "icmpv4", port: 7 }), "network.rules[0] has a port, and ICMP has none"],
  [
    network({ policy: { ...NetworkPolicy.none(), rules: [{ ...icmp, direction: "any" }] } }),
    "network.policy.rules[0]: icmpv4 in a rule for any direction",
  ],
  [network({ rules: [{ ...icmp, ports: [{ start: 0, end: 9 }] }] }), "ICMP has none"],
  [rule({ destination: "dns" }), "no destination"],
  [rule({ destination: ".com" }), "too broad"],
  [rule({ destination: "10.0.0.0/33" }), "no address"],
  [rule({ destination: "localhost" }), "ambiguous"],
  [rule({ destination: 5 }), "no text"],
  [network({ blockDomains: ["a b"] }), "invalid domain `a b`"],
  [network({ blockDomains: "example.com" }), "denyDomains is not a list"],
  [network({ rules: [{ ...Rule.allowEgress(Destination.cidr("x")) }] }), "invalid CIDR `x`"],
  // Names.
  [dns({ nameservers: [""] }), 'invalid nameserver ""; expected IP, IP:PORT, HOST, or HOST:PORT'],
  [dns({ nameservers: [53] }), "a nameserver"],
  [dns({ nameservers: ["dns.google:notaport"] }), "invalid nameserver"],
  [dns({ nameservers: ["1.1.1.1:99999"] }), "invalid nameserver"],
  [dns({ queryTimeoutMs: 0 }), "queryTimeoutMs"],
  [dns({ rebindProtection: "no" }), "rebindProtection"],
  [dns({ maxNameLength: 254 }), "maxNameLength"],
  [network({ dnsRebindProtection: true, dns: { rebindProtection: false } }), "said twice"],
  // The interface.
  [link({ mac: "02:6d:73:00:00" }), "no MAC address"],
  [link({ mac: "03:6d:73:00:00:02" }), "one interface"],
  [link({ mac: "02-6D-73-00-00-01" }), "the gateway's"],
  [link({ mtu: 1279 }), "mtu"],
  [link({ mtu: 65_521 }), "mtu"],
  [link({ ipv4Address: "fd00::2" }), "invalid IPv4 address `fd00::2`"],
  [link({ ipv4Address: "10.0.0.1" }), "no address for the gateway"],
  [link({ ipv4Address: "10.0.0.4" }), "no address for the gateway"],
  [link({ ipv4Address: "127.0.0.2" }), "127.0.0.0/8"],
  [link({ ipv6Address: "fd00::1" }), "no address for the gateway"],
  [link({ ipv6Address: "fe80::2" }), "fe80::/10"],
  [link({ ipv6Address: "::ffff:10.0.0.2" }), "::ffff"],
  [link({ ipv4Pool: "10.0.0.0/31" }), "invalid IPv4 pool `10.0.0.0/31`: prefix must be /30 or shorter"],
  [link({ ipv6Pool: "fd00::/65" }), "prefix must be /64 or shorter"],
  [link({ ipv6Pool: "10.0.0.0/8" }), "invalid IPv6 pool"],
  // Limits.
  [network({ maxConnections: 4097 }), "max_connections 4097 exceeds hard limit 4096"],
  [network({ maxConnections: 0 }), "maxConnections"],
  [network({ rateLimiter: {} }), "rate limiter must configure at least one of egress or ingress"],
  [
    network({ rateLimiter: { egress: {} } }),
    "egress rate limiter: rate limiter must configure at least one of bandwidth or ops",
  ],
  [
    network({ rateLimiter: { ingress: { ops: { size: 0, refillTimeMs: 5 } } } }),
    "ingress rate limiter: ops bucket: size must be greater than zero",
  ],
  [network({ rateLimiter: { egress: { ops: { size: 1, refillTimeMs: 0 } } } }), "at least 1 ms"],
  [network({ rateLimiter: { egress: { ops: { oneTimeBurst: 5 } } } }), "ops_burst requires the ops bucket"],
  // Ports.
  [{ ports: { "8080": 0 } }, "the guest port"],
  [{ ports: { http: 80 } }, '"http" is no port of the host'],
  [{ ports: { "08080": 80 } }, "no port of the host"],
  [{ ports: { "65536": 80 } }, "the host port"],
  [{ ports: [[8080]] }, "no pair of ports"],
  [{ ports: "8080:80" }, "no object of ports"],
  [{ ports: [{ hostPort: 1, guestPort: 2, hostBind: "localhost" }] }, "no IP address"],
  [{ ports: [{ hostPort: 1, guestPort: 2, protocol: "sctp" }] }, "the protocol"],
  [{ ports: [{ hostPort: 1, guestPort: 2, protocol: "udp", proxyProtocol: true }] }, "PROXY protocol"],
  [
    {
      ports: [
        [8080, 80],
        [8080, 81],
      ],
    },
    "127.0.0.1:8080/tcp is published twice",
  ],
  [{ portsTcp: [[8080, 80]], network: { ports: { "8080": 81 } } }, "published twice"],
  [{ ports: { "8080": 80 }, portsTcp: [[8080, 81]] }, "published twice"],
  [
    { ports: [{ ...{ hostPort: 1, guestPort: 2 }, proxyProtocol: true }], network: { ports: [[1, 2]] } },
    "published twice",
  ],
  [{ portsTcp: [[1, 2]].concat([[1, 2]]), ports: [[1, 2]] }, "published twice"],
  [{ ports: { "8080": 80 }, disableNetwork: true }, "the network is disabled"],
  [{ ports: { "8080": 80 }, network: { enabled: false } }, "the network is disabled"],
  [{ proxy: "socks5://127.0.0.1:1080", disableNetwork: true }, "the network is disabled"],
  // Proxies.
  [{ proxy: "ftp://127.0.0.1:21" }, "no URL of a kind"],
  [{ proxy: "socks5://127.0.0.1" }, "HOST:PORT"],
  [{ proxy: "socks5://127.0.0.1:0" }, "HOST:PORT"],
  [{ proxy: "socks5://::1:1080" }, "HOST:PORT"],
  [{ proxy: "socks5://me:hunter2@127.0.0.1:1080" }, "password stands in its URL"],
  [{ proxy: "http://me@127.0.0.1:3128" }, "password"],
  [{ proxy: "http://me:$not-a-variable@127.0.0.1:3128" }, "no name of an environment variable"],
  [{ proxy: { kind: "socks4", address: "127.0.0.1:1080", username: "me" } }, "no meaning"],
  [{ proxy: { kind: "socks5", address: "127.0.0.1:1080", userId: "me" } }, "no meaning"],
  [{ proxy: { kind: "socks5", address: "127.0.0.1:1080", passwordEnv: "P" } }, "user name"],
  [{ proxy: { kind: "socks5", address: "127.0.0.1:1080", password: "hunter2" } }, '"proxy.password"'],
  // Several tenants.
  [tenant({ ports: { "8080": 80 } }), "published ports"],
  [tenant({ proxy: "socks5://127.0.0.1:1080" }), "an outbound proxy"],
  [tenant(dns({ nameservers: ["1.1.1.1"] })), "nameservers"],
  [tenant(dns({ rebindProtection: false })), "rebinding protection"],
  [tenant(link({ mtu: 1500 })), "its interface"],
  [tenant(link({ ipv4Pool: "10.0.0.0/8" })), "pools"],
  [tenant(network({ observe: true })), "observe()"],
  [tenant(network({ maxConnections: 257 })), "more than 256 connections"],
  [{ deploymentProfile: "two-tenants" }, "deploymentProfile"],
];

describe("refused", () => {
  for (const [fields, words] of mistakes)
    test(JSON.stringify(fields), () => {
      refuses(() => {
        finish(fields);
      }, words);
    });
});

test("what is for tenants too", () => {
  finish(tenant(network({ policy: "allow-all", maxConnections: 256, dns: { rebindProtection: true } })));
  finish(tenant({ disableNetwork: true }));
});

test("the same port of several addresses and protocols, and port 0 as often as one likes", () => {
  const port = (hostBind: string, protocol: string, hostPort = 53): object => ({
    ...{ hostBind, protocol, hostPort, guestPort: 53 },
  });
  finish({
    ports: [port("127.0.0.1", "tcp"), port("127.0.0.1", "udp"), port("::1", "tcp"), port("10.0.0.1", "tcp")],
  });
  finish({ ports: [port("::1", "tcp", 0), port("::1", "tcp", 0)] });
  refuses(() => {
    finish({ ports: [port("::1", "tcp"), port("0:0:0:0:0:0:0:1", "tcp")] });
  }, "[::1]:53/tcp is published twice");
  refuses(() => {
    finish({ ports: [port("127.0.0.1", "tcp"), port("::ffff:127.0.0.1", "tcp")] });
  }, "127.0.0.1:53/tcp is published twice");
  // An address for all is at the place of each of its family.
  finish({ ports: [port("::", "tcp"), port("0.0.0.0", "tcp"), port("0.0.0.0", "udp")] });
  finish({ ports: [port("::", "tcp"), port("127.0.0.1", "tcp"), port("0.0.0.0", "tcp", 54)] });
  refuses(() => {
    finish({ ports: [port("127.0.0.1", "tcp"), port("0.0.0.0", "tcp")] });
  }, "127.0.0.1:53/tcp and 0.0.0.0:53/tcp are at one place of the host");
  refuses(() => {
    finish({ ports: [port("::", "udp"), port("::1", "udp")] });
  }, "[::]:53/udp and [::1]:53/udp are at one place of the host");
});

test("rate limiters of a builder", () => {
  refuses(() => new NetworkRateLimiterBuilder().build(), "at least one of egress or ingress");
  refuses(
    () => new NetworkRateLimiterBuilder().ingress((l) => l.bandwidthBurst(5)),
    "ingress rate limiter: bandwidth_burst requires the bandwidth bucket",
  );
  refuses(() => new RateLimiterBuilder().bandwidth(0, 1000).build(), "size must be greater than zero");
  refuses(() => new RateLimiterBuilder().bandwidth(5, 0).build(), "at least 1 ms");
  refuses(() => new RateLimiterBuilder().bandwidth(2 ** 53, 1), "sizeBytes must be a non-negative integer");
  refuses(() => new RateLimiterBuilder().ops(1.5, 1), "count must be a non-negative integer");
  refuses(() => new RateLimiterBuilder().ops(1, 0.5), "refillMs must be a non-negative integer");
});
