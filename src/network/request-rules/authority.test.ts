import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpField, RequestHead } from "../http/message.ts";
import { authorityOf, hostOf } from "./authority.ts";

function http1(target: string, fields: readonly HttpField[], more: Partial<RequestHead> = {}): RequestHead {
  return { version: "1.1", method: "GET", target, authority: null, fields, ...more };
}

function http2(authority: string | null, fields: readonly HttpField[] = [], method = "GET"): RequestHead {
  return { version: "2", method, target: "/", authority, fields };
}

const host = (value: string): HttpField => ["Host", value];

const rows: readonly (readonly [what: string, head: RequestHead, expected: string | null | RegExp])[] = [
  ["a name", http1("/", [host("example.com")]), "example.com"],
  ["a port, and another case", http1("/", [host("Example.COM:8443")]), "example.com"],
  ["an empty port", http1("/", [host("example.com:")]), "example.com"],
  ["a dot at the end", http1("/", [host("example.com.")]), "example.com"],
  ["punycode", http1("/", [host("xn--n3h.example")]), "xn--n3h.example"],
  ["an address", http1("/", [host("127.0.0.1:80")]), "127.0.0.1"],
  ["an address in brackets", http1("/", [host("[2001:DB8::1]:80")]), "[2001:db8::1]"],
  ["HTTP/1.0 that says none", http1("/", [], { version: "1.0" }), null],
  ["none", http1("/", []), /no Host/],
  ["two", http1("/", [host("a.b"), ["hOST", "a.b"]]), /several Host/],
  ["a list", http1("/", [host("a.b, c.d")]), /none/],
  ["two names", http1("/", [host("a.b c.d")]), /none/],
  ["user information", http1("/", [host("a.b@c.d")]), /none/],
  ["a path", http1("/", [host("a.b/c")]), /none/],
  ["no ASCII", http1("/", [host("snowman\xe2.example")]), /none/],
  ["an empty one", http1("/", [host("")]), /none/],
  ["dots only", http1("/", [host("..")]), /none/],
  ["two dots at the end", http1("/", [host("a.b..")]), /none/],
  ["an odd port", http1("/", [host("a.b:80x")]), /none/],
  ["percent escapes", http1("/", [host("a%2eb")]), /none/],
  ["an absolute target for the same", http1("https://A.b:443/x", [host("a.b")]), "a.b"],
  ["an absolute target without a path", http1("http://a.b?x", [host("a.b")]), "a.b"],
  ["an absolute target for another", http1("https://evil.com/", [host("a.b")]), /several hosts/],
  ["an absolute target and no Host", http1("https://a.b/", []), /no Host/],
  ["user information in the target", http1("https://a.b@evil.com/", [host("evil.com")]), /none/],
  ["another scheme", http1("ftp://a.b/", [host("a.b")]), /target/],
  ["a target without a slash", http1("x", [host("a.b")]), /target/],
  ["two slashes are a path", http1("//evil.com/", [host("a.b")]), "a.b"],
  ["* for OPTIONS", http1("*", [host("a.b")], { method: "OPTIONS" }), "a.b"],
  ["* for GET", http1("*", [host("a.b")]), /target/],
  ["CONNECT", http1("a.b:443", [host("a.b")], { method: "CONNECT" }), /CONNECT/],
  ["HTTP/2", http2("a.b:443"), "a.b"],
  ["HTTP/2 without an authority", http2(null, [host("a.b")]), /:authority/],
  ["HTTP/2 and the same Host", http2("a.b", [host("A.B:80")]), "a.b"],
  ["HTTP/2 and another Host", http2("a.b", [host("evil.com")]), /several hosts/],
  ["HTTP/2 and two Hosts", http2("a.b", [host("a.b"), host("a.b")]), /several Host/],
  ["HTTP/2 CONNECT", http2("a.b", [], "CONNECT"), /CONNECT/],
];

for (const [what, head, expected] of rows) {
  test(`whom a request is for: ${what}`, () => {
    const found = authorityOf(head);
    if (expected instanceof RegExp) assert.match("malformed" in found ? found.malformed : "", expected);
    else assert.deepEqual(found, { host: expected });
  });
}

test("what is between a name and a port is not guessed", () => {
  for (const text of ["a.b:80:80", "[::1", "::1", "a.b:999999", " a.b", "a.b ", "a\tb", "[::1].b"])
    assert.equal(hostOf(text), null, text);
});
