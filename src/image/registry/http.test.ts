import assert from "node:assert/strict";
import { test } from "node:test";
import { parseChallenges } from "./challenge.ts";
import { proxyFor } from "./proxy.ts";
import { connectionError } from "./connection-error.ts";
import {
  isCertificateFailure,
  isInterruption,
  isTransientFailure,
  retryAfterMs,
  StatusError,
} from "./retry.ts";
import { splitCertificates } from "./settings.ts";
import { HttpError, InvalidConfigError } from "../../errors/index.ts";

test("challenges are read as RFC 9110 writes them", () => {
  const read = (header: string): unknown =>
    parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
  assert.deepEqual(read('Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"'), [
    ["bearer", { realm: "https://a/t", service: "s", scope: "repository:x:pull,push" }],
  ]);
  assert.deepEqual(read('Basic realm="a \\"b\\"", Bearer Realm=x , service = "y"'), [
    ["basic", { realm: 'a "b"' }],
    ["bearer", { realm: "x", service: "y" }],
  ]);
  assert.deepEqual(read("Negotiate, Basic"), [
    ["negotiate", {}],
    ["basic", {}],
  ]);
  assert.deepEqual(read(""), []);
  assert.deepEqual(read('Bearer realm="open'), [["bearer", {}]]);
  assert.deepEqual(read("Bearer " + "a=b,".repeat(10_000)), []);
});

test("the proxy is the environment's, and some hosts need none", () => {
  const environment = {
    HTTPS_PROXY: "http://user:p%40ss@proxy:3128",
    http_proxy: "proxy:8080",
    NO_PROXY: "example.org, .internal,10.0.0.1,registry:5000,[2001:db8::1]",
  };
  const proxy = (url: string, env: NodeJS.ProcessEnv = environment): string | null =>
    proxyFor(new URL(url), env)?.url.href ?? null;
  assert.equal(proxy("https://ghcr.io/v2/"), "http://proxy:3128/");
  assert.equal(proxy("http://ghcr.io/v2/"), "http://proxy:8080/");
  assert.deepEqual(proxyFor(new URL("https://ghcr.io"), environment)?.headers, {
    "proxy-authorization": `Basic ${Buffer.from("user:p@ss").toString("base64")}`,
  });
  for (const url of [
    "https://example.org/",
    "https://a.example.org/",
    "https://x.internal/",
    "https://10.0.0.1/",
    "https://registry:5000/",
    "https://[2001:db8::1]/",
    "https://localhost:5000/",
    "https://127.0.0.9/",
    "https://[::1]:5000/",
  ]) {
    assert.equal(proxy(url), null, url);
  }
  assert.equal(proxy("https://registry:5001/"), "http://proxy:3128/");
  assert.equal(proxy("https://notexample.org/"), "http://proxy:3128/");
  assert.equal(proxy("https://ghcr.io/", { HTTPS_PROXY: "http://p", NO_PROXY: "*" }), null);
  assert.equal(proxy("https://ghcr.io/", {}), null);
  assert.throws(() => proxy("https://ghcr.io/", { HTTPS_PROXY: "socks5://p:1" }), /HTTPS_PROXY/);
});

test("NO_PROXY has networks too", () => {
  const exempt = (host: string, list: string): boolean =>
    proxyFor(new URL(`https://${host}/`), { HTTPS_PROXY: "http://p:1", NO_PROXY: list }) === null;
  for (const [host, list] of [
    ["10.1.2.3:5000", "10.0.0.0/8"],
    ["192.168.7.9", "example.org, 192.168.0.0/16"],
    ["10.1.2.3", "10.1.2.3/32"],
    ["8.8.8.8", "0.0.0.0/0"],
    ["[2001:db8::1]", "2001:db8::/32"],
    ["[2001:db8::1]:5000", "[2001:db8::]/32"],
  ] as const) {
    assert.ok(exempt(host, list), `${host} ${list}`);
  }
  for (const [host, list] of [
    ["11.1.2.3", "10.0.0.0/8"],
    ["10.1.2.3", "10.0.0.0/33"],
    ["10.1.2.3", "10.0.0.0/"],
    ["10.1.2.3", "10.0.0/8"],
    ["10.1.2.3", "::/0"],
    ["[2001:db9::1]", "2001:db8::/32"],
    ["name.example", "0.0.0.0/0"],
  ] as const) {
    assert.ok(!exempt(host, list), `${host} ${list}`);
  }
});

test("a proxy that cannot be used is refused with what can, and its password is not told", () => {
  const refused = (value: string, hint: RegExp): void => {
    assert.throws(
      () => proxyFor(new URL("https://ghcr.io/"), { HTTPS_PROXY: value }),
      (error) => {
        assert.ok(error instanceof HttpError, String(error));
        assert.match(error.hint, hint);
        assert.ok(!`${error.message} ${error.hint}`.includes("hidden"), error.hint);
        return true;
      },
    );
  };
  refused("http://u:50%zzhidden@p:1", /%25/);
  refused("https://u:hidden@p:1", /TLS to the proxy itself is not supported.*http:\/\//);
  refused("socks5://u:hidden@p:1", /http:\/\/host:port/);
});

test("Retry-After is seconds or a date", () => {
  assert.equal(retryAfterMs("3"), 3000);
  assert.equal(retryAfterMs("Thu, 01 Jan 1970 00:00:05 GMT", 2000), 3000);
  assert.equal(retryAfterMs("Thu, 01 Jan 1970 00:00:05 GMT", 9000), 0);
  assert.equal(retryAfterMs("soon"), 0);
});

test("what is no certificate is refused", () => {
  const framed = (content: string): string =>
    `-----BEGIN CERTIFICATE-----\n${content}\n-----END CERTIFICATE-----\n`;
  for (const text of ["", "x", framed("AAAA"), framed("")]) {
    assert.throws(() => splitCertificates(text), InvalidConfigError);
  }
});

const failure = (code: string, rest: object = {}): HttpError =>
  connectionError(new URL("https://x.example/v2/"), Object.assign(new Error(code), { code, ...rest }));

test("what another try cannot change is not tried again", () => {
  for (const code of ["CERT_NOT_YET_VALID", "CERT_SIGNATURE_FAILURE", "INVALID_CA", "CERT_HAS_EXPIRED"]) {
    assert.ok(isCertificateFailure(failure(code)), code);
    assert.ok(!isTransientFailure(failure(code)), code);
  }
  assert.ok(isCertificateFailure(failure("ERR_TLS_CERT_ALTNAME_INVALID")));
  for (const code of ["EPROTO", "ENOTFOUND"]) {
    assert.ok(!isTransientFailure(failure(code)), code);
    assert.ok(!isCertificateFailure(failure(code)), code);
  }
  for (const code of ["ECONNRESET", "ETIMEDOUT", "EAI_AGAIN"])
    assert.ok(isTransientFailure(failure(code)), code);
  assert.ok(!isTransientFailure(new HttpError("no cause")));
});

test("nobody listens on this machine: that is no passing failure, elsewhere it may be one", () => {
  assert.ok(isTransientFailure(failure("ECONNREFUSED", { address: "192.0.2.1" })));
  assert.ok(!isTransientFailure(failure("ECONNREFUSED", { address: "127.0.0.1" })));
  // What Node throws when a name has several addresses.
  const both = (...addresses: readonly string[]): HttpError => {
    const errors = addresses.map((address) => Object.assign(new Error(), { code: "ECONNREFUSED", address }));
    return connectionError(
      new URL("https://x.example/"),
      Object.assign(new AggregateError(errors), { code: "ECONNREFUSED" }),
    );
  };
  assert.ok(!isTransientFailure(both("::1", "127.0.0.1")));
  assert.ok(isTransientFailure(both("::1", "192.0.2.1")));
});

test("what the network or the server failed at can be gone on with, what was refused cannot", () => {
  for (const status of [408, 429, 500, 503]) assert.ok(isInterruption(new StatusError(status, "later")));
  for (const status of [400, 401, 403, 404, 501]) assert.ok(!isInterruption(new StatusError(status, "no")));
  for (const code of ["ECONNRESET", "ENOTFOUND", "ECONNREFUSED"]) assert.ok(isInterruption(failure(code)));
  assert.ok(!isInterruption(failure("CERT_HAS_EXPIRED")));
  assert.ok(!isInterruption(new HttpError("redirects to nowhere")));
});
