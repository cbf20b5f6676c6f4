/** What a guest is told of what a server said: private addresses, what names stand for, and what would lead round both. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encode, type Answer as LibraryRecord } from "dns-packet";
import type { NetworkPolicy, Rule } from "../../config/network/policy-type.ts";
import {
  allowDns,
  asking,
  ip,
  policyOf,
  publicProfile,
  rule,
  type TestResolverOptions,
} from "../../../test/support/dns-resolver.ts";
import { addressRecord, cname, DnsServer } from "../../../test/support/dns-server.ts";

const any: Rule["destination"] = { kind: "any" };
const cidr = (text: string): Rule["destination"] => ({ kind: "cidr", cidr: text });
const privateProfile = policyOf("deny", allowDns, rule("allow", "public"), rule("allow", "private"));
const web = { protocols: ["tcp"], ports: [{ start: 443, end: 443 }] } as const;

/** Policy, addresses of the server, those that are left. */
const filters: readonly (readonly [string, TestResolverOptions, readonly string[], readonly string[]])[] = [
  ["public ones", {}, ["93.184.216.34", "8.8.8.8"], ["93.184.216.34", "8.8.8.8"]],
  ["private ones", {}, ["10.20.30.40", "0.0.0.0", "127.0.0.1"], []],
  ["some private ones", {}, ["10.20.30.40", "8.8.8.8", "169.254.169.254"], ["8.8.8.8"]],
  ["private ones of IPv6", {}, ["::", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"], []],
  ["some private ones of IPv6", {}, ["fe80::1", "2606:4700:4700::1111"], ["2606:4700:4700::1111"]],
  ["the gateway's own", {}, ["172.16.0.1"], []],
  [
    "private ones that are allowed",
    { policy: privateProfile },
    ["10.20.30.40", "127.0.0.1"],
    ["10.20.30.40"],
  ],
  ["private ones when all is allowed", { policy: policyOf("allow") }, ["10.20.30.40"], []],
  ["private ones with a rule for any", { policy: policyOf("deny", rule("allow", any)) }, ["10.20.30.40"], []],
  [
    "private ones that are allowed for one port",
    { policy: policyOf("deny", allowDns, rule("allow", "private", web)) },
    ["10.20.30.40"],
    [],
  ],
  [
    "one that is denied before the others are allowed",
    { policy: { ...privateProfile, rules: [rule("deny", cidr("10.20.30.40/32")), ...privateProfile.rules] } },
    ["10.20.30.40", "10.20.30.41"],
    ["10.20.30.41"],
  ],
  [
    "private ones that only a tenant's policy allows",
    { policy: privateProfile, deploymentProfile: "multi-tenant" },
    ["10.0.0.7"],
    [],
  ],
  ["private ones without protection", { dns: { rebindProtection: false } }, ["10.0.0.7"], ["10.0.0.7"]],
  [
    "private ones of a tenant without protection",
    { dns: { rebindProtection: false }, deploymentProfile: "multi-tenant" },
    ["10.0.0.7"],
    [],
  ],
];

for (const [what, options, given, left] of filters) {
  test(`an answer with ${what}: ${left.join(", ") || "no records, and no error"}`, async () => {
    await using server = await DnsServer.start(({ name, say, reply }) => {
      const list = given.map((address) => addressRecord("cdn.example", address));
      say(reply({ answers: [cname(name, "cdn.example"), ...list] }));
    });
    const hostResolvers = { for: async () => [{ host: "127.0.0.1", port: server.port }] };
    using guest = asking(server, { ...options, sources: { hostResolvers } });
    const answer = await guest.ask("www.example.com", given[0]?.includes(":") === true ? "AAAA" : "A");
    assert.deepEqual([answer.rcode, answer.addresses], ["NOERROR", left.map((text) => ip(text).toString())]);
    // What is left is a whole chain, or nothing.
    assert.equal(answer.packet.answers?.length, left.length === 0 ? 0 : left.length + 1);
    assert.equal(guest.lastEvent.outcome, left.length < given.length ? "filtered" : "answered");
    assert.deepEqual(guest.lastEvent.addresses, left);
    for (const text of given)
      assert.deepEqual(guest.bindings.namesOf(ip(text)), left.includes(text) ? ["www.example.com"] : []);
  });
}

test("private addresses are taken out of every section and every kind of answer, of names that were not asked for too", async () => {
  await using server = await DnsServer.start(({ say, reply }) => {
    const bad = addressRecord("mail.example.com", "10.0.0.1");
    const good = addressRecord("mail.example.com", "8.8.8.8");
    const mx: LibraryRecord = {
      name: "example.com",
      type: "MX",
      ttl: 60,
      data: { preference: 10, exchange: "mail.example.com" },
    };
    say(reply({ answers: [mx, bad], authorities: [bad, good], additionals: [bad, good, bad] }));
  });
  using guest = asking(server);
  for (const type of ["MX", "ANY"]) {
    const { packet } = await guest.ask("example.com", type);
    const left = [packet.answers, packet.authorities, packet.additionals].map((section) =>
      (section ?? []).map((one) => [
        one.type,
        "data" in one && typeof one.data === "string" ? one.data : null,
      ]),
    );
    assert.deepEqual(left, [[["MX", null]], [["A", "8.8.8.8"]], [["A", "8.8.8.8"]]]);
    assert.equal(guest.lastEvent.outcome, "filtered");
  }
});

test("an address of another class is taken out as well: not every resolver looks at the class", async () => {
  await using server = await DnsServer.start(({ name, say, reply }) => {
    say(reply({ answers: [{ ...addressRecord(name, "10.0.0.1"), class: "CH" } as LibraryRecord] }));
  });
  using guest = asking(server);
  assert.deepEqual((await guest.ask("example.com")).packet.answers, []);
});

/** RRSIG over a type, of a name. */
function signature(name: string, typeCovered: "A" | "MX"): LibraryRecord {
  return {
    name,
    type: "RRSIG",
    ttl: 60,
    data: {
      typeCovered,
      algorithm: 13,
      labels: 2,
      originalTTL: 60,
      expiration: 1234,
      inception: 1233,
      keyTag: 2345,
      signersName: "example.com",
      signature: Buffer.alloc(64),
    },
  };
}

test("signatures stay with records that are whole, and go with others; then nothing is called authentic", async () => {
  let list: readonly string[] = ["8.8.8.8"];
  await using server = await DnsServer.start(({ name, say, reply }) => {
    const message = reply({
      answers: [
        ...list.map((address) => addressRecord(name, address, 0)),
        signature(name, "A"),
        signature(name, "MX"),
        signature("other.example", "A"),
      ],
    });
    message.writeUInt8(message.readUInt8(3) | 0x20, 3);
    say(message);
  });
  using guest = asking(server);
  const how = { udpSize: 1232, isDnssecOk: true };
  const whole = await guest.ask("example.com", "A", how);
  assert.deepEqual([whole.packet.answers?.length, whole.packet.flag_ad], [4, true]);
  list = ["8.8.8.8", "10.0.0.1"];
  const changed = await guest.ask("example.com", "A", how);
  const types = (changed.packet.answers ?? []).map((one) =>
    one.type === "RRSIG" ? [one.name, one.data.typeCovered] : [one.name, one.type],
  );
  assert.deepEqual(types, [
    ["example.com", "A"],
    ["example.com", "MX"],
    ["other.example", "A"],
  ]);
  assert.equal(changed.packet.flag_ad, false);
});

test("service records lose their addresses, and with rules about names what hides the name", async () => {
  const hint = Buffer.from([0, 4, 0, 4, 10, 0, 0, 1]);
  const ech = Buffer.from([0, 5, 0, 2, 1, 2]);
  const alpn = Buffer.from([0, 1, 0, 3, 2, 0x68, 0x32]);
  await using server = await DnsServer.start(({ name, say, reply }) => {
    const data = Buffer.concat([Buffer.from([0, 1, 0]), alpn, hint, ech]);
    const https = { name, type: "UNKNOWN_65", ttl: 0, data };
    say(reply({ answers: [https as unknown as LibraryRecord] }));
  });
  const dataOf = async (policy: NetworkPolicy): Promise<Buffer | null> => {
    using guest = asking(server, { policy });
    const [first] = (await guest.ask("example.com", "UNKNOWN_65")).packet.answers ?? [];
    assert.equal(guest.lastEvent.type, "HTTPS");
    assert.deepEqual(guest.bindings.namesOf(ip("10.0.0.1")), []);
    return (first as { data?: Buffer } | undefined)?.data ?? null;
  };
  assert.deepEqual(await dataOf(publicProfile), Buffer.concat([Buffer.from([0, 1, 0]), alpn, ech]));
  const named = policyOf("deny", allowDns, rule("allow", { kind: "domain", domain: "example.com" }));
  assert.deepEqual(await dataOf(named), Buffer.concat([Buffer.from([0, 1, 0]), alpn]));
});

/** Records of the answer, and which of the addresses the name stands for. */
const chains: readonly (readonly [string, readonly LibraryRecord[], readonly string[]])[] = [
  [
    "another name's address",
    [addressRecord("example.com", "8.8.8.8", 30), addressRecord("unrelated.example", "8.8.4.4", 9)],
    ["8.8.8.8"],
  ],
  [
    "an alias",
    [
      cname("example.com", "cdn.example", 20),
      addressRecord("cdn.example", "8.8.8.8"),
      addressRecord("other.example", "8.8.4.4"),
    ],
    ["8.8.8.8"],
  ],
  [
    "an alias in any order and case",
    [addressRecord("CDN.example", "8.8.8.8"), cname("Example.com", "cdn.Example")],
    ["8.8.8.8"],
  ],
  [
    "a long chain",
    [
      cname("example.com", "n0.example"),
      ...Array.from({ length: 100 }, (_, index) => cname(`n${index}.example`, `n${index + 1}.example`)),
      addressRecord("n100.example", "8.8.8.8"),
      addressRecord("n101.example", "8.8.4.4"),
    ],
    ["8.8.8.8"],
  ],
  [
    "a loop",
    [
      cname("example.com", "a.example"),
      cname("a.example", "example.com"),
      addressRecord("b.example", "8.8.8.8"),
    ],
    [],
  ],
  ["an alias of itself", [cname("example.com", "example.com"), addressRecord("b.example", "8.8.8.8")], []],
  ["a chain that ends nowhere", [cname("example.com", "a.example")], []],
  ["an address of the other family", [addressRecord("example.com", "2606:4700:4700::1111")], []],
  ["nothing", [], []],
];

for (const [what, records, bound] of chains) {
  test(`an answer with ${what} binds ${bound.join(", ") || "nothing"}`, async () => {
    await using server = await DnsServer.start(({ say, reply }) => say(reply({ answers: [...records] })));
    using guest = asking(server);
    guest.bindings.bind("example.com", [ip("1.1.1.1")], 60);
    const answer = await guest.ask("example.com", "A", { transport: "tcp" });
    assert.equal(answer.rcode, "NOERROR");
    assert.deepEqual(guest.lastEvent.addresses, bound);
    for (const text of ["8.8.8.8", "8.8.4.4", "2606:4700:4700::1111"])
      assert.deepEqual(guest.bindings.namesOf(ip(text)), bound.includes(text) ? ["example.com"] : []);
    // What it stood for stays for its time, unless it stands for nothing.
    assert.equal(guest.bindings.namesOf(ip("1.1.1.1")).length, bound.length > 0 ? 1 : 0);
  });
}

test("an answer that is none binds nothing, and what is truncated for its size is still what the name stands for", async () => {
  await using server = await DnsServer.start(({ name, say, reply }) => {
    if (name === "missing.example")
      say(reply({ rcode: "NXDOMAIN", answers: [addressRecord(name, "8.8.8.8")] }));
    else
      say(
        reply({ answers: Array.from({ length: 50 }, (_, index) => addressRecord(name, `8.8.4.${index}`)) }),
      );
  });
  using guest = asking(server);
  assert.equal((await guest.ask("missing.example")).rcode, "NXDOMAIN");
  assert.deepEqual(guest.bindings.namesOf(ip("8.8.8.8")), []);
  assert.ok((await guest.ask("large.example")).isTruncated);
  assert.deepEqual(guest.bindings.namesOf(ip("8.8.4.49")), ["large.example"]);
});

/** Times of an alias and of an address, and how long the name stands for it, seconds. */
const times: readonly (readonly [number, number, number])[] = [
  [3600, 30, 30],
  [20, 60, 20],
  [60, 0, 10],
  [0x80000001, 60, 10],
  [0x7fffffff, 0x7fffffff, 7 * 24 * 3600],
];

for (const [aliasTtl, ttl, seconds] of times) {
  test(`an alias for ${aliasTtl} s and an address for ${ttl} s are bound for ${seconds} s`, async () => {
    await using server = await DnsServer.start(({ say, reply }) => {
      const message = reply({
        answers: [cname("a.example", "b.example", 1), addressRecord("b.example", "8.8.8.8", 2)],
      });
      // The library's times are signed.
      const first = 12 + "a.example".length + 2 + 4 + "a.example".length + 2;
      message.writeUInt32BE(aliasTtl, first + 4);
      message.writeUInt32BE(ttl, first + 10 + ("b.example".length + 2) * 2 + 4);
      say(message);
    });
    using guest = asking(server);
    const bound: number[] = [];
    const bind = guest.bindings.bind.bind(guest.bindings);
    guest.bindings.bind = (name, addresses, ttlSeconds) => {
      bound.push(ttlSeconds);
      bind(name, addresses, ttlSeconds);
    };
    await guest.ask("a.example");
    assert.deepEqual(bound, [seconds]);
  });
}

test("an answer of 60 KB with every record to be taken out is rewritten, not passed on", async () => {
  const records = Array.from({ length: 1500 }, (_, index) =>
    addressRecord("example.com", `10.0.${index >> 8}.${index & 0xff}`),
  );
  assert.ok(encode({ answers: records }).length < 65_535);
  await using server = await DnsServer.start(({ say, reply }) =>
    say(reply({ answers: [...records, addressRecord("example.com", "8.8.8.8")] })),
  );
  using guest = asking(server);
  const answer = await guest.ask("example.com", "A", { transport: "tcp" });
  assert.deepEqual(answer.addresses, ["8.8.8.8"]);
  assert.ok(answer.bytes.length < 100);
});

test("a question that is under way when its name comes to be denied is not answered, and nothing is bound", async () => {
  const { promise: arrived, resolve } = Promise.withResolvers<() => void>();
  await using server = await DnsServer.start(({ name, say, reply }) => {
    resolve(() => say(reply({ answers: [addressRecord(name, "93.184.216.34")] })));
  });
  using guest = asking(server);
  const answer = guest.ask("www.example.com");
  const say = await arrived;
  const denied = rule("deny", { kind: "domain", domain: "www.example.com" });
  guest.policy = policyOf("deny", denied, ...publicProfile.rules);
  say();
  const { rcode, addresses } = await answer;
  assert.deepEqual([rcode, addresses], ["NXDOMAIN", []]);
  assert.deepEqual([guest.lastEvent.outcome, guest.lastEvent.rule], ["denied", 0]);
  assert.deepEqual(guest.bindings.namesOf(ip("93.184.216.34")), []);
});
