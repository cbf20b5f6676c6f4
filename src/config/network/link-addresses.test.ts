import assert from "node:assert/strict";
import { test } from "node:test";
import { linkAddresses, macBytes, type LinkAddress } from "./link-addresses.ts";
import type { InterfaceConfig } from "./network-type.ts";

const automatic: InterfaceConfig = {
  mac: null,
  mtu: 1500,
  ipv4Address: null,
  ipv6Address: null,
  ipv4Pool: "172.16.0.0/12",
  ipv6Pool: "fd42:6d73:62::/48",
};

function textOf(link: LinkAddress | null): string | null {
  return link === null ? null : `${link.gateway.toString()} ${link.guest.toString()}/${link.prefix}`;
}

const cases: readonly (readonly [Partial<InterfaceConfig>, string, string])[] = [
  [{}, "172.16.0.1 172.16.0.2/30", "fd42:6d73:62::1 fd42:6d73:62::2/64"],
  [{ ipv4Pool: "10.9.8.4/30", ipv6Pool: "fd00::/64" }, "10.9.8.5 10.9.8.6/30", "fd00::1 fd00::2/64"],
  [
    { ipv4Address: "192.168.7.6", ipv6Address: "fd00::abcd" },
    "192.168.7.5 192.168.7.6/30",
    "fd00::1 fd00::abcd/64",
  ],
];

for (const [settings, ipv4, ipv6] of cases) {
  test(`the addresses with ${JSON.stringify(settings)}`, () => {
    const link = linkAddresses({ ...automatic, ...settings }, [4, 6]);
    assert.equal(textOf(link.ipv4), ipv4);
    assert.equal(textOf(link.ipv6), ipv6);
    assert.deepEqual([...link.guestMac], [2, 0x6d, 0x73, 0, 0, 2]);
    assert.deepEqual([...link.gatewayMac], [2, 0x6d, 0x73, 0, 0, 1]);
  });
}

test("a family that the host has no way out for is left out, unless its address was set", () => {
  assert.equal(linkAddresses(automatic, [4]).ipv6, null);
  assert.equal(linkAddresses(automatic, []).ipv4, null);
  assert.notEqual(linkAddresses({ ...automatic, ipv6Address: "fd00::2" }, []).ipv6, null);
});

test("a MAC address of one's own", () => {
  assert.deepEqual([...macBytes("02-aa-BB-00-00-01")], [2, 0xaa, 0xbb, 0, 0, 1]);
});
