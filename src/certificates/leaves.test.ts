import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPrivateKey, type X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect, createServer, type SecureContext, type TLSSocket } from "node:tls";
import { once } from "node:events";
import { InvalidConfigError } from "../errors/index.ts";
import { locateHome } from "../store/home.ts";
import { homeAuthority, ownAuthority, type Authority } from "./authority.ts";
import { isServerName, Leaves } from "./leaves.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-leaves-"));
test.after(() => {
  rmSync(directory, { recursive: true });
});

async function authorities(): Promise<[name: string, authority: Authority][]> {
  const own = async (name: string, options: readonly string[]): Promise<[string, Authority]> => {
    const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
    const more = [
      "-nodes",
      "-days",
      "30",
      "-subj",
      "/CN=Own/O=Ünïcode",
      "-utf8",
      "-addext",
      "keyUsage=critical,keyCertSign",
      "-out",
      cert,
      "-keyout",
      key,
    ];
    execFileSync("openssl", ["req", "-x509", ...options, ...more], { stdio: "ignore" });
    return [name, await ownAuthority(cert, key)];
  };
  return [
    ["home", await homeAuthority(locateHome({ MSB_HOME: directory }))],
    await own("rsa", ["-newkey", "rsa:2048"]),
    await own("p384", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
  ];
}

/** What a client sees of a server that has this context. */
async function handshake(context: SecureContext, host: string, ca: string): Promise<X509Certificate> {
  const server = createServer({ SNICallback: (_, done) => done(null, context) });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect({
    port: (server.address() as AddressInfo).port,
    host: "127.0.0.1",
    servername: host,
    ca,
  });
  try {
    await once(socket, "secureConnect");
    assert.equal(socket.authorized, true);
    return certificateOf(socket);
  } finally {
    socket.destroy();
    server.close();
  }
}

function certificateOf(socket: TLSSocket): X509Certificate {
  const certificate = socket.getPeerX509Certificate();
  assert.ok(certificate);
  return certificate;
}

test("a leaf is what OpenSSL and Node believe, whatever key the authority has", async () => {
  for (const [name, authority] of await authorities()) {
    const leaves = new Leaves(authority.certificate, authority.key);
    for (const host of [
      "example.com",
      "a_b.example.com",
      `${"x".repeat(63)}.${"y".repeat(63)}.example.com`,
    ]) {
      const leaf = await handshake(leaves.contextFor(host), host, authority.pem);
      assert.equal(leaf.checkHost(host), host, name);
      assert.equal(leaf.ca, false);
      const [caFile, leafFile] = [join(directory, "ca.pem"), join(directory, "leaf.pem")];
      writeFileSync(caFile, authority.pem);
      writeFileSync(leafFile, leaf.toString());
      const verified = execFileSync(
        "openssl",
        [
          "verify",
          "-x509_strict",
          "-purpose",
          "sslserver",
          "-verify_hostname",
          host,
          "-CAfile",
          caFile,
          leafFile,
        ],
        { encoding: "utf8" },
      );
      assert.match(verified, /: OK/, name);
    }
  }
});

test("a leaf holds for a day, from two seconds ago on, and is kept until five minutes before its end", async () => {
  const [, authority] = (await authorities())[0] ?? assert.fail();
  let now = Date.now();
  const leaves = new Leaves(authority.certificate, authority.key, () => now);
  const first = leaves.contextFor("Example.com");
  const leaf = await handshake(first, "example.com", authority.pem);
  const hourMs = 3600_000;
  const second = (ms: number): number => Math.floor(ms / 1000) * 1000;
  assert.equal(leaf.validFromDate.getTime(), second(now - 2000));
  assert.equal(leaf.validToDate.getTime(), second(now + 24 * hourMs));
  now += 24 * hourMs - 5 * 60_000;
  assert.equal(leaves.contextFor("example.com"), first);
  now += 1;
  assert.notEqual(leaves.contextFor("example.com"), first);
});

test("a thousand are kept, and the one that was not used for longest goes", async () => {
  const [, authority] = (await authorities())[0] ?? assert.fail();
  const leaves = new Leaves(authority.certificate, authority.key);
  const first = leaves.contextFor("0.a");
  const second = leaves.contextFor("1.a");
  for (let index = 2; index < 1000; index++) leaves.contextFor(`${index}.a`);
  assert.equal(leaves.contextFor("0.a"), first);
  leaves.contextFor("1000.a");
  assert.equal(leaves.contextFor("0.a"), first);
  assert.notEqual(leaves.contextFor("1.a"), second);
});

test("what is no server's name is refused, and spoils nothing", async () => {
  const [, authority] = (await authorities())[0] ?? assert.fail();
  const leaves = new Leaves(authority.certificate, authority.key);
  const bad = [
    "snowman.☃",
    "",
    ".",
    "a..b",
    "a.",
    "-a.b",
    "a b",
    "*.a",
    "127.0.0.1",
    "1.2.3",
    "0x7f",
    "::1",
    "a\0b",
  ];
  for (const name of [...bad, "x".repeat(64), `${"a.".repeat(127)}a`]) {
    assert.equal(isServerName(name), false, name);
    assert.throws(() => leaves.contextFor(name), InvalidConfigError, name);
  }
  assert.ok(leaves.contextFor("xn--n3h.example"));
  assert.ok(leaves.contextFor("localhost"));
});

test("the authority's key is not the leaves' key", async () => {
  const [, authority] = (await authorities())[0] ?? assert.fail();
  const leaf = await handshake(
    new Leaves(authority.certificate, authority.key).contextFor("a.b"),
    "a.b",
    authority.pem,
  );
  assert.equal(leaf.checkPrivateKey(createPrivateKey(readFileSync(join(directory, "tls", "ca.key")))), false);
});
