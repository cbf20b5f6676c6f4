import assert from "node:assert/strict";
import { test } from "node:test";
import { homeAuthority, rotateAuthority } from "../../../../src/certificates/authority.ts";
import { Sandbox, type SandboxBuilder } from "../../../../src/index.ts";
import { locateHome } from "../../../../src/store/home.ts";
import { useTemporaryHome } from "../../support.ts";
import type { Needs } from "../../tags.ts";
import { runtimeLog } from "../../templates/template-support.ts";
import { said, succeeds } from "../network-support.ts";

export const needs: Needs = ["template"];

// A template of an image holds whom its guests believe, so that it need not be installed at each start.

const timeout = 240_000;
const directory = useTemporaryHome({ ownTemplates: true });
const home = locateHome();
const bundle = "/etc/ssl/certs/ca-certificates.crt";
const database = "/root/.pki/nssdb/cert9.db";

function guest(name: string): SandboxBuilder {
  return Sandbox.builder(name).image("localhost/base").memory(256).cpus(1).logLevel("info");
}

function reading(name: string): SandboxBuilder {
  return guest(name).network((n) => n.tls((t) => t));
}

/** The certificates that are ours, wherever there are any. */
const ours = `ls -d /.msb/tls /etc/chromium /usr/local/share/ca-certificates/microsandbox-ca.crt ${database} 2>/dev/null`;

async function isFromTemplate(name: string): Promise<void> {
  assert.match(await runtimeLog(directory, name), /started from the image template/);
}

test("sandboxes of one authority share a template, and no other one has it", { timeout }, async () => {
  const { pem } = await homeAuthority(home);
  for (const name of ["first", "second"]) {
    const sandbox = await reading(name).create();
    assert.ok((await succeeds(sandbox, `cat ${bundle}`)).endsWith(pem.trimEnd()));
    assert.equal(await said(sandbox, 'echo "$SSL_CERT_FILE"'), bundle);
    await sandbox.kill();
  }
  await isFromTemplate("second");
  const plain = await guest("plain").create();
  assert.equal(await said(plain, ours), "");
  assert.ok(!(await said(plain, `cat ${bundle}`)).includes(pem.trimEnd()));
  assert.equal(await said(plain, "env | grep -c -e CERT -e BUNDLE"), "0");
  await plain.kill();
});

test("after a rotation a new sandbox believes the new authority alone", { timeout }, async () => {
  const former = (await homeAuthority(home)).pem.trimEnd();
  const { pem } = await rotateAuthority(home);
  for (const name of ["third", "fourth"]) {
    const sandbox = await reading(name).create();
    const text = await succeeds(sandbox, `cat ${bundle} /usr/local/share/ca-certificates/*`);
    assert.ok(text.includes(pem.trimEnd()) && !text.includes(former));
    await sandbox.kill();
  }
  await isFromTemplate("fourth");
});

test("one that has run has what it had", { timeout }, async () => {
  const sandbox = await reading("restarted").create();
  assert.equal((await said(sandbox, ours)).split("\n").length, 4);
  await sandbox.stop();
  const restarted = await (await Sandbox.get("restarted")).start();
  assert.equal((await said(restarted, ours)).split("\n").length, 4);
  await restarted.kill();
});

test("what is mounted over the bundle, or put in its place, is no way around it", { timeout }, async () => {
  const { pem } = await homeAuthority(home);
  const hidden = await reading("hidden")
    .volume("/etc/ssl", (m) => m.tmpfs())
    .create();
  assert.equal(await said(hidden, 'echo "$SSL_CERT_FILE"'), "/.msb/tls/ca-bundle.pem");
  assert.ok((await succeeds(hidden, 'cat "$SSL_CERT_FILE"')).endsWith(pem.trimEnd()));
  await hidden.kill();
  const patched = await reading("patched")
    .patch((p) => p.text(bundle, "# mine\n", { replace: true }))
    .create();
  assert.equal(await succeeds(patched, `cat ${bundle}`), `# mine\n${pem.trimEnd()}`);
  await patched.kill();
});
