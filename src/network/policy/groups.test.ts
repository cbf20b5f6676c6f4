import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "../../../test/support/policy-sample.ts";
import { Cidr } from "../../host/ip/cidr.ts";
import { classify, wellKnownNat64Prefix } from "./groups.ts";

const gateways = [ip("172.16.0.1"), ip("fd42:6d73:62::1")];
const groupOf = (address: string, nat64Prefixes = [wellKnownNat64Prefix]) =>
  classify(ip(address), { gateways, nat64Prefixes });

const groups: Readonly<Record<string, readonly string[]>> = {
  none: ["0.0.0.0", "::", "::ffff:0.0.0.0"],
  host: ["172.16.0.1", "::ffff:172.16.0.1", "fd42:6d73:62::1"],
  metadata: ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"],
  loopback: ["127.0.0.1", "127.0.0.2", "127.255.255.255", "::1", "::ffff:127.0.0.1"],
  private: [
    ...["10.0.0.0", "10.0.0.1", "10.255.255.255", "172.16.0.0", "172.16.0.2", "172.31.255.255"],
    ...["192.168.0.0", "192.168.1.1", "192.168.255.255", "100.64.0.0", "100.64.0.1", "100.127.255.255"],
    ...["fc00::", "fd42:6d73:62:2a::1", "fdff:ffff::1", "fd00:ec2::253", "::ffff:10.0.0.1"],
    ...["fec0::1", "feff::1", "64:ff9b:1::", "64:ff9b:1:ffff::808:808"],
  ],
  "link-local": ["169.254.0.0", "169.254.1.1", "169.254.169.253", "169.254.255.255", "fe80::1", "febf::1"],
  multicast: ["224.0.0.0", "224.0.0.1", "239.255.255.255", "ff00::", "ff02::1", "::ffff:224.0.0.1"],
  public: [
    ...[
      "8.8.8.8",
      "1.1.1.1",
      "2606:4700:4700::1111",
      "2001:db8::1",
      "::ffff:8.8.8.8",
      "0.0.0.1",
      "9.255.255.255",
    ],
    ...["11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255"],
    ...["169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "223.255.255.255"],
    ...["192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "240.0.0.1", "255.255.255.255"],
    ...["fbff::1", "fe00::1", "fe7f::1", "64:ff9a::a00:1", "2003::1", "2001:1::1", "100::1"],
  ],
};

for (const [group, addresses] of Object.entries(groups))
  test(`addresses of the group ${group}`, () => {
    for (const address of addresses) assert.equal(groupOf(address) ?? "none", group, address);
  });

/** Each has to be in the group of the IPv4 address that it leads to. */
const ways: Readonly<Record<string, (a: number, b: number, c: number, d: number) => string>> = {
  NAT64: (a, b, c, d) => `64:ff9b::${a}.${b}.${c}.${d}`,
  "stateless translation": (a, b, c, d) => `::ffff:0:${a}.${b}.${c}.${d}`,
  "IPv4-compatible": (a, b, c, d) => `::${a}.${b}.${c}.${d}`,
  "6to4": (a, b, c, d) => `2002:${hex(a, b)}:${hex(c, d)}::1`,
  "Teredo's client": (a, b, c, d) =>
    `2001:0:808:808:0:0:${hex(~a & 255, ~b & 255)}:${hex(~c & 255, ~d & 255)}`,
  "Teredo's server": (a, b, c, d) => `2001:0:${hex(a, b)}:${hex(c, d)}:0:0:f7f7:f7f7`,
};

for (const [way, embed] of Object.entries(ways))
  test(`no way round the groups by ${way}`, () => {
    assert.equal(groupOf(embed(8, 8, 8, 8)), "public");
    assert.equal(groupOf(embed(10, 0, 0, 1)), "private");
    assert.equal(groupOf(embed(127, 0, 0, 1)), "loopback");
    assert.equal(groupOf(embed(169, 254, 169, 254)), "metadata");
    assert.equal(groupOf(embed(169, 254, 1, 1)), "link-local");
    assert.equal(groupOf(embed(224, 0, 0, 1)), "multicast");
    // It would be a machine of the network that has this address: the gateway is not asked.
    assert.equal(groupOf(embed(172, 16, 0, 1)), "private");
  });

test("what NAT64 makes of 0.0.0.0 is in no group", () => {
  assert.equal(groupOf("64:ff9b::"), null);
});

/** RFC 6052, 2.4: 192.0.2.33 behind each length of prefix; here with 10.0.2.33. */
const prefixes: readonly (readonly [string, string])[] = [
  ["2001:db8::/32", "2001:db8:a00:221::"],
  ["2001:db8:100::/40", "2001:db8:10a:2:21::"],
  ["2001:db8:122::/48", "2001:db8:122:a00:2:2100::"],
  ["2001:db8:122:300::/56", "2001:db8:122:30a:0:221::"],
  ["2001:db8:122:344::/64", "2001:db8:122:344:a:2:2100::"],
  ["2001:db8:122:344::/96", "2001:db8:122:344::a00:221"],
];

for (const [prefix, address] of prefixes)
  test(`the address behind the NAT64 prefix ${prefix}`, () => {
    const cidr = Cidr.parse(prefix);
    assert.ok(cidr);
    assert.equal(groupOf(address), "public");
    assert.equal(groupOf(address, [cidr]), "private");
  });

test("a NAT64 prefix for local use that was set leads to the address inside", () => {
  const cidr = Cidr.parse("64:ff9b:1::/96");
  assert.ok(cidr);
  assert.equal(groupOf("64:ff9b:1::8.8.8.8", [cidr]), "public");
  assert.equal(groupOf("64:ff9b:1::10.0.0.1", [cidr]), "private");
});

test("the gateway is in the group host only, whatever its address", () => {
  const context = { gateways: [ip("198.18.0.1"), ip("fd42:6d73:62::1")], nat64Prefixes: [] };
  assert.equal(classify(ip("198.18.0.1"), context), "host");
  assert.equal(classify(ip("fd42:6d73:62::1"), context), "host");
  assert.equal(classify(ip("198.18.0.2"), context), "public");
  assert.equal(classify(ip("172.16.0.1"), context), "private");
});

function hex(high: number, low: number): string {
  return ((high << 8) | low).toString(16);
}
