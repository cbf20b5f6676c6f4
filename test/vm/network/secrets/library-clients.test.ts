import "../../../internet/namespace.ts";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { Sandbox } from "../../../../src/index.ts";
import { makeIndexes } from "../../../internet/indexes.ts";
import { places } from "../../../internet/places.ts";
import { goodIdentity } from "../../../internet/tls/bad-certificates.ts";
import { gitByNginx } from "../../../internet/tls/git-by-nginx.ts";
import { startKeyServers } from "../../../internet/tls/key-servers.ts";
import { ModernServer } from "../../../internet/tls/modern-server.ts";
import { processOf } from "../../lifecycle-support.ts";
import type { Needs } from "../../tags.ts";
import { furnish, said, useInternet } from "../network-support.ts";
import { imageName, installImage } from "../trust/trust-support.ts";
import { LeakHunt } from "./leak-hunt.ts";
import { libraryRows, serverPorts } from "./library-rows.ts";

export const needs: Needs = ["running", "internet"];

// Package managers and the libraries of several languages use a secret. Servers that know it answer nobody else.

const timeout = 240_000;
const value = `sk-${randomBytes(24).toString("hex")}`;
const { nginx, modern, grpc, webSockets } = serverPorts;
const { home, internet } = await useInternet();
const { tree, certificates, resolver } = internet;
await installImage(home);
const began = Date.now();
await gitByNginx(tree, certificates, nginx, value);
await makeIndexes(tree, "/srv/dumb", `https://registry.example.com:${nginx}/npm`);
await startKeyServers(tree, certificates, serverPorts, value);
const elsewhere = await ModernServer.start(await goodIdentity(certificates), modern);
after(() => elsewhere[Symbol.asyncDispose]());
resolver.host("go.attacker.test", places.other4);
let sandbox: Sandbox;
let talk: Promise<string>;

before(async () => {
  // npm's own directory is behind the link on the PATH.
  const npm = join(dirname(realpathSync(execFileSync("which", ["npm"], { encoding: "utf8" }).trim())), "..");
  sandbox = await Sandbox.builder("libraries")
    .image(imageName)
    .memory(512)
    .cpus(1)
    .volume("/node", (m) => m.bind(dirname(process.execPath)).readonly())
    .volume("/npm", (m) => m.bind(npm).readonly())
    .network((n) =>
      n
        .tls((t) =>
          t.interceptedPorts([443, nginx, modern, grpc, webSockets]).upstreamCaCert(certificates.caFile),
        )
        .secret((s) => s.env("API_KEY").value(value).allowHostPattern("*.example.com"))
        .secret((s) => s.env("PLAIN_KEY").value(value).allow("plain.example.com").requireTlsIdentity(false)),
    )
    .create();
  await furnish(sandbox, internet, "python-clients.py");
  // A minute of silence, in which the others have their turn.
  talk = said(
    sandbox,
    `python3 /tmp/python-clients.py websockets wss://ws.example.com:${webSockets}/ wss://go.attacker.test:${modern}/ 60 2>&1`,
  );
  talk.catch(() => undefined);
});

for (const { name, script, prints } of libraryRows)
  test(name, { timeout }, async () => {
    assert.equal(await said(sandbox, script), prints);
    assert.deepEqual(elsewhere.take(), []);
  });

test(
  "WebSockets: a MiB each way twice, text, a ping, a minute of silence, and more",
  { timeout },
  async () => {
    assert.equal(await talk, "same\ntext text text text\nstill there\n1000 True\nfailed");
    assert.deepEqual(elsewhere.take(), []);
  },
);

test("none of them has left the value anywhere in the guest", { timeout }, async () => {
  const hunt = new LeakHunt(value);
  assert.equal((await hunt.memory(await processOf(home, "libraries", "qemu"))).found, false);
  assert.deepEqual(await hunt.files(home, { since: began }), [
    join(home, "sandboxes/libraries/secrets.json"),
  ]);
});
