import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import { IpAddress } from "./address.ts";
import { Cidr } from "./cidr.ts";

const texts: readonly (readonly [string, string | null])[] = [
  ["1.2.3.4", "1.2.3.4"],
  ["255.255.255.255", "255.255.255.255"],
  ["256.0.0.1", null],
  ["010.0.0.1", null],
  ["0x7f.0.0.1", null],
  ["1.2.3", null],
  ["1.2.3.4.5", null],
  ["1.2.3.4 ", null],
  ["", null],
  ["::", "::"],
  ["::1", "::1"],
  ["1::", "1::"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["::ffff:10.0.0.1", "::ffff:10.0.0.1"],
  ["::ffff:a00:1", "::ffff:10.0.0.1"],
  ["64:ff9b::1.2.3.4", "64:ff9b::102:304"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["1:2:3:4:5:6:7:8::", null],
  ["1:2:3:4:5:6:7", null],
  ["1::2::3", null],
  [":1:2:3:4:5:6:7", null],
  ["fe80::1%eth0", null],
  ["[::1]", null],
  ["1.2.3.4::", null],
  ["::12345", null],
];

for (const [text, expected] of texts) {
  test(`an address: ${JSON.stringify(text)}`, () => {
    const address = IpAddress.parse(text);
    assert.equal(address?.toString() ?? null, expected);
    if (!text.includes("%")) assert.equal(isIP(text) !== 0, expected !== null);
    if (address === null) return;
    assert.ok(IpAddress.parse(address.toString())?.equals(address));
    assert.ok(IpAddress.of(address.bytes).equals(address));
  });
}

test("an address inside another", () => {
  assert.equal(IpAddress.parse("::ffff:10.0.0.1")?.unmapped().toString(), "10.0.0.1");
  assert.equal(IpAddress.parse("::10.0.0.1")?.unmapped().toString(), "::a00:1");
  assert.equal(IpAddress.parse("10.0.0.1")?.unmapped().toString(), "10.0.0.1");
});

const ranges: readonly (readonly [string, string | null, string, boolean])[] = [
  ["10.0.0.0/8", "10.0.0.0/8", "10.255.0.1", true],
  ["10.1.2.3/8", "10.0.0.0/8", "11.0.0.1", false],
  ["172.16.0.0/12", "172.16.0.0/12", "172.31.255.255", true],
  ["172.16.0.0/12", "172.16.0.0/12", "172.32.0.0", false],
  ["0.0.0.0/0", "0.0.0.0/0", "8.8.8.8", true],
  ["0.0.0.0/0", "0.0.0.0/0", "::1", false],
  ["fc00::/7", "fc00::/7", "fdff::1", true],
  ["fe80::/10", "fe80::/10", "fec0::1", false],
  ["1.2.3.4", "1.2.3.4/32", "1.2.3.4", true],
  ["1.2.3.4/33", null, "1.2.3.4", false],
  ["1.2.3.4/08", null, "1.2.3.4", false],
  ["1.2.3.4/", null, "1.2.3.4", false],
  ["1.2.3.4/8/8", null, "1.2.3.4", false],
  ["::/129", null, "::", false],
];

for (const [text, expected, address, contained] of ranges) {
  test(`a range: ${text} and ${address}`, () => {
    const range = Cidr.parse(text);
    assert.equal(range?.toString() ?? null, expected);
    const parsed = IpAddress.parse(address);
    assert.ok(parsed !== null);
    if (range !== null) assert.equal(range.contains(parsed), contained);
  });
}

test("a range inside another", () => {
  const parse = (text: string): Cidr => Cidr.parse(text) ?? assert.fail(text);
  assert.ok(parse("10.0.0.0/8").covers(parse("10.1.0.0/16")));
  assert.ok(!parse("10.1.0.0/16").covers(parse("10.0.0.0/8")));
  assert.ok(!parse("::/0").covers(parse("10.0.0.0/8")));
});
