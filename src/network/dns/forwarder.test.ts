/** What becomes of a question, with real servers: the table of a resolver's behaviour as data where it fits into one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rule } from "../../config/network/policy-type.ts";
import {
  allowDns,
  answers,
  asking,
  ip,
  policyOf,
  publicProfile,
  questionOf,
  rule,
  told,
  type TestResolverOptions,
} from "../../../test/support/dns-resolver.ts";
import { addressRecord, cname, DnsServer } from "../../../test/support/dns-server.ts";

const domain = (name: string): Rule["destination"] => ({ kind: "domain", domain: name });
const suffix = (name: string): Rule["destination"] => ({ kind: "domainSuffix", suffix: name });

for (const transport of ["udp", "tcp"] as const) {
  test(`A and AAAA are asked of the configured server by ${transport}, and bound`, async () => {
    await using server = await DnsServer.start(({ type, say, reply }) => {
      const address = type === "A" ? "93.184.216.34" : "2606:2800:220:1::1";
      say(
        reply({ answers: [cname("www.example.com", "cdn.example"), addressRecord("cdn.example", address)] }),
      );
    });
    using guest = asking(server);
    const four = await guest.ask("www.Example.com", "A", { transport, id: 77 });
    assert.deepEqual([four.rcode, four.id, four.addresses], ["NOERROR", 77, ["93.184.216.34"]]);
    assert.equal(four.packet.questions?.[0]?.name, "www.Example.com");
    const six = await guest.ask("www.example.com", "AAAA", { transport, resolver: ip("fd42:6d73:62::1") });
    assert.deepEqual(six.addresses, ["2606:2800:220:1::1"]);
    assert.deepEqual(
      server.asked.map((asked) => asked.transport),
      [transport, transport],
    );
    assert.deepEqual(guest.bindings.namesOf(ip("93.184.216.34")), ["www.example.com"]);
    assert.deepEqual(guest.bindings.namesOf(ip("2606:2800:220:1::1")), ["www.example.com"]);
    const common = { kind: "dns", name: "www.example.com", transport, resolver: null, outcome: "answered" };
    assert.deepEqual(
      guest.events.map((event) => ({ ...event, timestampMs: 0 })),
      [
        { type: "A", addresses: ["93.184.216.34"] },
        { type: "AAAA", addresses: ["2606:2800:220:1::1"] },
      ].map((own) => ({ ...common, ...own, timestampMs: 0, rcode: "NOERROR", rule: 0 })),
    );
  });
}

/** Policy, transport, the name; what the guest is told, and the rule. */
const queryPolicies: readonly (readonly [
  string,
  TestResolverOptions["policy"],
  string,
  "udp" | "tcp",
  string,
  number | null,
])[] = [
  [
    "a name that is denied",
    policyOf("allow", rule("deny", domain("evil.com"))),
    "evil.com",
    "udp",
    "NXDOMAIN",
    0,
  ],
  ["another name", policyOf("allow", rule("deny", domain("evil.com"))), "good.com", "udp", "NOERROR", null],
  [
    "a suffix that is denied",
    policyOf("allow", rule("deny", suffix("evil.com"))),
    "a.b.EVIL.com",
    "udp",
    "NXDOMAIN",
    0,
  ],
  [
    "a name that ends alike",
    policyOf("allow", rule("deny", suffix("evil.com"))),
    "notevil.com",
    "udp",
    "NOERROR",
    null,
  ],
  ["nothing that is allowed", policyOf("deny"), "good.com", "udp", "NXDOMAIN", null],
  ["the resolver allowed", policyOf("deny", allowDns), "good.com", "tcp", "NOERROR", 0],
  [
    "the resolver allowed by UDP only",
    policyOf("deny", rule("allow", "host", { protocols: ["udp"], ports: [{ start: 53, end: 53 }] })),
    "good.com",
    "tcp",
    "NXDOMAIN",
    null,
  ],
  [
    "a name that is allowed for HTTPS",
    policyOf(
      "deny",
      rule("allow", domain("good.com"), { protocols: ["tcp"], ports: [{ start: 443, end: 443 }] }),
    ),
    "good.com",
    "udp",
    "NOERROR",
    0,
  ],
];

for (const [what, policy, name, transport, rcode, decided] of queryPolicies) {
  test(`a question by ${transport} with ${what}: ${rcode}`, async () => {
    await using server = await DnsServer.start(answers);
    using guest = asking(server, policy === undefined ? {} : { policy });
    const answer = await guest.ask(name, "A", { transport });
    assert.equal(answer.rcode, rcode);
    assert.equal(server.asked.length, rcode === "NOERROR" ? 1 : 0);
    const { outcome, rule: index, rcode: seen } = guest.lastEvent;
    assert.deepEqual([outcome, index, seen], [rcode === "NOERROR" ? "answered" : "denied", decided, rcode]);
  });
}

test("a name with odd bytes is within its domain for the policy, is asked as it is, and comes back as it was", async () => {
  await using server = await DnsServer.start(({ bytes, say }) => {
    const answer = Buffer.from(bytes);
    answer.writeUInt16BE(0x8183, 2);
    say(answer);
  });
  using guest = asking(server, { policy: policyOf("allow", rule("deny", suffix("evil.com"))) });
  const odd = (...labels: readonly string[]): Buffer =>
    Buffer.concat([
      questionOf("", "A").subarray(0, 12),
      ...labels.map((text) => Buffer.from(String.fromCharCode(text.length) + text, "latin1")),
      Buffer.from([0, 0, 1, 0, 1]),
    ]);
  const denied = await guest.send(odd("\u00ff\u0000.x", "EVIL", "com"));
  assert.deepEqual([denied?.readUInt16BE(2), server.asked.length], [0x8183, 0]);
  assert.equal(guest.lastEvent.name, "\\255\\000\\046x.evil.com");
  // One label with a dot in it is no domain below evil.com.
  const message = odd("\u00e4.evil.com");
  const answer = await guest.send(message);
  assert.deepEqual(server.asked[0]?.bytes.subarray(12), message.subarray(12));
  assert.deepEqual(answer?.subarray(12), message.subarray(12));
  assert.equal(guest.lastEvent.name, "\\228\\046evil\\046com");
});

/** Families of the sandbox, type, and how many questions the server gets. */
const families: readonly (readonly [readonly (4 | 6)[], string, number])[] = [
  [[4], "AAAA", 0],
  [[6], "A", 0],
  [[4], "A", 1],
  [[6], "AAAA", 1],
  [[4], "MX", 1],
  [[], "A", 0],
];

for (const [own, type, asked] of families) {
  test(`${type} for a sandbox with IPv${own.join("")}: NOERROR, ${asked} questions to the server`, async () => {
    await using server = await DnsServer.start(answers);
    using guest = asking(server, { families: own });
    if (asked === 0) {
      guest.bindings.bind("example.com", [ip("93.184.216.34"), ip("2606:2800:220:1::1")], 60);
      const resolver = own.includes(4) ? ip("172.16.0.1") : ip("fd42:6d73:62::1");
      const answer = await guest.ask("example.com", type, { resolver });
      assert.deepEqual([answer.rcode, answer.addresses], ["NOERROR", []]);
      // Of that family the name stands for nothing any more.
      const gone = type === "A" ? "93.184.216.34" : "2606:2800:220:1::1";
      assert.deepEqual(guest.bindings.namesOf(ip(gone)), []);
    } else {
      const resolver = own.includes(4) ? ip("172.16.0.1") : ip("fd42:6d73:62::1");
      assert.equal((await guest.ask("example.com", type, { resolver })).rcode, "NOERROR");
    }
    assert.equal(server.asked.length, asked);
  });
}

test("the host's alias is answered here, for both families, and for no other type", async () => {
  await using server = await DnsServer.start(answers);
  using guest = asking(server);
  const four = await guest.ask("Host.Microsandbox.internal");
  assert.deepEqual([four.addresses, four.packet.flag_aa], [["172.16.0.1"], true]);
  const [record] = four.packet.answers ?? [];
  assert.deepEqual(
    [record?.name, record?.type === "A" ? record.ttl : null],
    ["Host.Microsandbox.internal", 60],
  );
  assert.deepEqual((await guest.ask("host.microsandbox.internal", "AAAA")).addresses, ["fd42:6d73:62::1"]);
  const other = await guest.ask("host.microsandbox.internal", "UNKNOWN_65");
  assert.deepEqual([other.rcode, other.packet.answers], ["NOERROR", []]);
  assert.equal(server.asked.length, 0);
  using denied = asking(server, { policy: policyOf("deny", rule("allow", domain("example.com"))) });
  assert.equal((await denied.ask("host.microsandbox.internal")).rcode, "NXDOMAIN");
});

/** Policy, resolver that the guest asks, transport; whether it is asked. */
const resolvers: readonly (readonly [
  string,
  TestResolverOptions["policy"],
  string,
  "udp" | "tcp",
  boolean,
])[] = [
  ["a public one", publicProfile, "1.1.1.1", "udp", true],
  ["a public one by TCP", publicProfile, "1.1.1.1", "tcp", true],
  ["a public one by IPv6", publicProfile, "2606:4700:4700::1111", "udp", true],
  ["a private one", publicProfile, "192.168.1.53", "udp", false],
  ["one that is mapped", publicProfile, "::ffff:192.168.1.53", "udp", false],
  ["a private one behind NAT64", publicProfile, "64:ff9b::192.168.1.53", "udp", false],
  ["any when the resolver alone is allowed", policyOf("deny", allowDns), "1.1.1.1", "udp", false],
  ["the host's own when all is allowed", policyOf("allow"), "127.0.0.53", "udp", false],
  ["the host's own by IPv6", policyOf("allow"), "::1", "udp", false],
  ["the host's own, mapped", policyOf("allow"), "::ffff:127.0.0.53", "udp", false],
  ["the host's own behind NAT64", policyOf("allow"), "64:ff9b::127.0.0.53", "udp", false],
  ["this host as 0.0.0.0", policyOf("allow"), "0.0.0.0", "udp", false],
  ["this host as ::", policyOf("allow"), "::", "udp", false],
  ["all hosts", policyOf("allow"), "255.255.255.255", "udp", false],
  ["multicast", policyOf("allow"), "224.0.0.251", "udp", false],
  [
    "one that is allowed for UDP, by UDP",
    policyOf(
      "deny",
      allowDns,
      rule("allow", "public", { protocols: ["udp"], ports: [{ start: 53, end: 53 }] }),
    ),
    "1.1.1.1",
    "udp",
    true,
  ],
  [
    "one that is allowed for UDP, by TCP",
    policyOf(
      "deny",
      allowDns,
      rule("allow", "public", { protocols: ["udp"], ports: [{ start: 53, end: 53 }] }),
    ),
    "1.1.1.1",
    "tcp",
    false,
  ],
];

for (const [what, policy, resolver, transport, isAsked] of resolvers) {
  test(`a resolver that the guest chose, ${what}: ${isAsked ? "is asked" : "is not"}`, async () => {
    const asked = ip(resolver).toString();
    const direct: string[] = [];
    await using server = await DnsServer.start(answers);
    await using configured = await DnsServer.start(answers);
    using guest = asking(configured, {
      ...(policy === undefined ? {} : { policy }),
      sources: {
        direct: (address) => {
          direct.push(address.toString());
          return { host: "127.0.0.1", port: server.port };
        },
      },
    });
    const answer = await guest.ask("example.com", "A", { resolver: ip(resolver), transport });
    assert.equal(answer.rcode, isAsked ? "NOERROR" : "NXDOMAIN");
    assert.deepEqual(
      [direct, server.asked.length, configured.asked.length],
      isAsked ? [[asked], 1, 0] : [[], 0, 0],
    );
    assert.deepEqual(
      [guest.lastEvent.resolver, guest.lastEvent.outcome],
      [asked, isAsked ? "answered" : "denied"],
    );
  });
}

test("a tenant's nameservers are not asked: the host's are", async () => {
  await using own = await DnsServer.start(answers);
  await using hosts = await DnsServer.start(answers);
  const hostResolvers = { for: async () => [{ host: "127.0.0.1", port: hosts.port }] };
  using guest = asking(own, { deploymentProfile: "multi-tenant", sources: { hostResolvers } });
  assert.equal((await guest.ask("example.com")).rcode, "NOERROR");
  assert.deepEqual([own.asked.length, hosts.asked.length], [0, 1]);
});

test("what is no question gets no answer, and no event", async () => {
  await using server = await DnsServer.start(answers);
  using guest = asking(server);
  const response = questionOf("example.com", "A");
  response.writeUInt8(response.readUInt8(2) | 0x80, 2);
  for (const message of [Buffer.alloc(0), Buffer.alloc(11), response, Buffer.alloc(5000, 1)])
    assert.equal(await guest.send(message), null);
  assert.deepEqual([guest.events, server.asked], [[], []]);
  const two = questionOf("example.com", "A");
  two.writeUInt16BE(2, 4);
  assert.equal(told((await guest.send(two)) ?? assert.fail()).rcode, "FORMERR");
  assert.equal(guest.lastEvent.outcome, "failed");
});
