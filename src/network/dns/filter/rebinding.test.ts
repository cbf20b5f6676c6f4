import assert from "node:assert/strict";
import { test } from "node:test";
import { IpAddress } from "../../../host/ip/address.ts";
import { isRebinding } from "./rebinding.ts";

const blocked = [
  "0.1.2.3",
  "0.0.0.0",
  "10.20.30.40",
  "192.0.0.8",
  "192.0.2.1",
  "192.88.99.1",
  "198.18.0.1",
  "198.51.100.7",
  "203.0.113.10",
  "224.0.0.1",
  "255.255.255.255",
  "::ffff:127.0.0.1",
  "::ffff:10.0.0.1",
  "::ffff:172.16.0.1",
  "::ffff:192.168.1.10",
  "::ffff:100.64.0.1",
  "::ffff:169.254.169.254",
  "::ffff:0.0.0.0",
  "::",
  "::1",
  "fd00::1",
  "fe80::1",
  "ff02::1",
  "fec0::1",
  "100::1",
  "64:ff9b:1::1",
  "2001:db8::1",
  "3fff::1",
  // Ways to an IPv4 address: NAT64, IPv4-translated, IPv4-compatible, 6to4, Teredo.
  "64:ff9b::10.0.0.1",
  "64:ff9b::169.254.169.254",
  "::ffff:0:127.0.0.1",
  "::127.0.0.1",
  "2002:a00:1::1",
  "2001:0:808:808::f5ff:fffe",
];

const passed = [
  "1.1.1.1",
  "8.8.8.8",
  "93.184.216.34",
  "::ffff:8.8.8.8",
  "2606:4700:4700::1111",
  "2001:4860:4860::8888",
  "64:ff9b::8.8.8.8",
  "172.15.255.255",
  "172.32.0.1",
  "100.128.0.1",
];

for (const [texts, expected] of [
  [blocked, true],
  [passed, false],
] as const)
  for (const text of texts)
    test(`${text} ${expected ? "is no public address" : "is a public address"}`, () => {
      const address = IpAddress.parse(text) ?? assert.fail();
      assert.equal(isRebinding(address), expected);
    });
