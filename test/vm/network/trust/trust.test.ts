import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { homeAuthority, rotateAuthority, type Authority } from "../../../../src/certificates/authority.ts";
import { NetworkPolicy, Sandbox, type SandboxBuilder } from "../../../../src/index.ts";
import { locateHome } from "../../../../src/store/home.ts";
import { useTemporaryHome } from "../../support.ts";
import type { Needs } from "../../tags.ts";
import { said, succeeds } from "../network-support.ts";
import { programRows } from "./program-rows.ts";
import { imageName, installImage, javaStore, SignedServer } from "./trust-support.ts";

export const needs: Needs = ["running", "internet"];

// Programs of a Debian against a server whose certificate the authority of this home has signed. Its port is not intercepted: what is
// tested is whom they believe.

const timeout = 240_000;
const directory = useTemporaryHome();
const home = locateHome();
let authority: Authority;
let server: SignedServer;
let sandbox: Sandbox;
before(async () => {
  await installImage(directory);
  authority = await homeAuthority(home);
  server = await SignedServer.start(authority);
  sandbox = await debian("trust")
    .network((n) => n.tls((t) => t))
    .create();
});
after(() => server[Symbol.asyncDispose]());

function debian(name: string): SandboxBuilder {
  return Sandbox.builder(name)
    .image(imageName)
    .memory(512)
    .cpus(1)
    .volume("/node", (m) => m.bind(dirname(process.execPath)).readonly())
    .network((n) => n.policy(NetworkPolicy.allowAll()));
}

/** A script that knows the server, and has no other variables than it cannot do without. */
function bare(script: string, { origin } = server): string {
  return `env -i PATH=$PATH HOME=/root sh -c '${about(script, origin).replaceAll("'", `'\\''`)}'`;
}

function about(script: string, origin = server.origin): string {
  return `URL=${origin}; HOST=${origin.slice("https://".length)}; ${script}`;
}

describe("what believes the authority", () => {
  for (const { name, script, prints, byEnvironment = false } of programRows)
    test(byEnvironment ? name : `${name}, also without variables`, { timeout }, async () => {
      const text = await said(sandbox, byEnvironment ? about(script) : bare(script));
      if (typeof prints === "string") assert.equal(text, prints);
      else assert.match(text, prints);
    });

  test("Java, also without variables", { timeout }, async () => {
    // It says nothing of what it is given, so the server is asked.
    await said(sandbox, bare("keytool -printcrl -file $URL/crl < /dev/null"));
    assert.ok(server.asked.some((one) => one.startsWith("/crl Java/")));
  });

  test("Java with a store of its makers", { timeout }, async () => {
    const store = `-J-Djavax.net.ssl.trustStore=${javaStore}`;
    await said(sandbox, bare(`keytool ${store} -printcrl -file $URL/pkcs12 < /dev/null`));
    assert.ok(server.asked.some((one) => one.startsWith("/pkcs12 Java/")));
  });
});

test("what the user has set stays", { timeout }, async () => {
  const { code } = await sandbox.execWith("curl", (e) =>
    e.args(["-s", server.origin]).env("CURL_CA_BUNDLE", "/etc/hostname"),
  );
  assert.ok(code === 60 || code === 77, String(code));
});

test("after a rotation the next start believes the new authority alone", { timeout }, async () => {
  const count = "grep -c BEGIN /etc/ssl/certs/ca-certificates.crt";
  // As an image's own tools make the bundle anew; of few certificates, for each of which they start several programs.
  const few = "tail -n 3 /etc/ca-certificates.conf > /tmp/few; rm /etc/ssl/certs/ca-certificates.crt";
  await succeeds(sandbox, `${few}; update-ca-certificates --certsconf /tmp/few --hooksdir /none 2>&1`);
  assert.equal(await succeeds(sandbox, count), "4");
  assert.equal(await said(sandbox, bare("curl -sS $URL/")), "trusted");
  await sandbox.stop();
  const former = server;
  server = await SignedServer.start(await rotateAuthority(home));
  sandbox = await (await Sandbox.get("trust")).start();
  assert.equal(await succeeds(sandbox, count), "4");
  const ask =
    "curl -sS $URL/ 2>&1; openssl s_client -connect $HOST -verify_return_error -brief < /dev/null 2>&1 | grep Verif";
  assert.match(await said(sandbox, bare(ask)), /^trustedVerification: OK$/);
  assert.match(await said(sandbox, bare(ask, former)), /curl: \(60\)/);
  await former[Symbol.asyncDispose]();
});

test("what the host believes is believed beside it, and no variable says so", { timeout }, async () => {
  await using stack = new AsyncDisposableStack();
  const other = await mkdtemp(join(tmpdir(), "msb-trust-"));
  stack.defer(() => rm(other, { recursive: true }));
  const corporate = await homeAuthority(locateHome({ MSB_HOME: other }));
  const roots = join(other, "roots.pem");
  await writeFile(roots, (await readFile("/etc/ssl/certs/ca-certificates.crt", "utf8")) + corporate.pem);
  const server = stack.use(await SignedServer.start(corporate));
  process.env["SSL_CERT_FILE"] = roots;
  stack.defer(() => {
    delete process.env["SSL_CERT_FILE"];
  });
  const guest = await debian("host-roots")
    .network((n) => n.trustHostCAs(true))
    .create();
  const ask = programRows.filter(({ name }) => ["openssl", "gnutls", "curl", "Go"].includes(name));
  for (const { script, prints } of ask)
    assert.match(await said(guest, bare(script, server)), typeof prints === "string" ? /^trusted$/ : prints);
  assert.equal(await said(guest, "env | grep -c -e SSL -e CERT -e BUNDLE"), "0");
  // Those that the image has by itself are not there twice.
  const twice = `awk '/BEGIN/ { text = "" } { text = text $0 } /END/ { print text }' /etc/ssl/certs/ca-certificates.crt | sort | uniq -d | wc -l`;
  assert.equal(await said(guest, twice), "0");
  await guest.kill();
});
