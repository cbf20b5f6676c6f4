import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { nameserverText, parseNameserver } from "./nameserver.ts";

const v6 = "2606:4700:4700::1111";
const texts: readonly (readonly [string, string, boolean, number])[] = [
  ["1.1.1.1", "1.1.1.1", true, 53],
  ["8.8.8.8:5353", "8.8.8.8", true, 5353],
  [v6, v6, true, 53],
  [`[${v6}]:53`, v6, true, 53],
  [`[${v6}]:5353`, v6, true, 5353],
  [`[${v6}]`, v6, true, 53],
  ["fe80::1%eth0", "fe80::1%eth0", true, 53],
  ["dns.google", "dns.google", false, 53],
  ["dns.google.", "dns.google.", false, 53],
  ["my-dns.corp.internal:5353", "my-dns.corp.internal", false, 5353],
  ["resolver", "resolver", false, 53],
  ["  1.1.1.1  ", "1.1.1.1", true, 53],
];

for (const [text, host, isAddress, port] of texts) {
  test(`a nameserver: ${JSON.stringify(text)}`, () => {
    const nameserver = parseNameserver(text);
    assert.deepEqual(nameserver, { host, isAddress, port });
    assert.deepEqual(parseNameserver(nameserverText(nameserver)), nameserver);
  });
}

const refused = [
  "",
  "   ",
  "dns google",
  "dns.google:notaport",
  "dns.google:",
  "1.1.1.1:99999",
  "1.1.1.1:0",
  "1.1.1.1:-1",
  "1.1.1",
  "256.1.1.1",
  "0x7f.0x1",
  "[1.1.1.1]:53",
  "[dns.google]:53",
  "[]",
  "[::1",
  "::1]",
  "::g",
  "https://dns.google",
  "user@dns.google",
  "a..b",
  "-a.example",
  `${"a".repeat(64)}.example`,
];

for (const text of refused) {
  test(`no nameserver: ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parseNameserver(text),
      (error) => error instanceof InvalidConfigError && /^invalid nameserver /.test(error.message),
    );
  });
}
