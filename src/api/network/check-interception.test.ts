import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  interceptionSettingsOf,
  filledInterception,
} from "../../config/network/interception/interception-settings.ts";
import { NetworkBuilder } from "../../config/network/builders/network-builder.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import { TestAuthority } from "../../../test/support/tls/test-authority.ts";
import { checkInterception } from "./check-interception.ts";

let authority: TestAuthority;
before(async () => {
  authority = await TestAuthority.make();
  const { cert, key } = await authority.certificate("leaf.example");
  await mkdir(at("directory"));
  for (const [name, text] of [
    ["leaf.pem", cert],
    ["leaf.key", key],
    ["none.pem", "nothing"],
    ["broken.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"],
    ["key.txt", "hunter2\n"],
    ["windows.txt", "hunter2\r\n"],
    ["lines.txt", "hunter2\nmore\n"],
    ["empty.txt", "\n"],
  ] as const)
    await writeFile(at(name), text);
});
after(() => authority[Symbol.asyncDispose]());

const at = (name: string): string => join(authority.directory, name);

async function check(
  set: (n: NetworkBuilder) => NetworkBuilder,
  env: Record<string, string> = {},
): Promise<void> {
  const asked = set(new NetworkBuilder()).asked();
  await checkInterception(filledInterception(interceptionSettingsOf(asked)), env);
}

async function refuses(set: (n: NetworkBuilder) => NetworkBuilder, message: RegExp, env = {}): Promise<void> {
  await assert.rejects(check(set, env), (error) => {
    assert.ok(error instanceof InvalidConfigError, String(error));
    assert.match(error.message, message);
    assert.notEqual(error.hint, "");
    assert.ok(!`${error.message}${error.hint}`.includes("hunter2"));
    return true;
  });
}

const ofFile = (name: string) => (n: NetworkBuilder) =>
  n.secret((s) => s.env("KEY").file(at(name)).allowHost("a.example.com"));
const ofVariable = (n: NetworkBuilder): NetworkBuilder =>
  n.secret((s) => s.env("KEY").source({ kind: "env", var: "HOST_KEY" }).allowHost("a.example.com"));

test("a secret that cannot be had is told of, and what is in it is not", async () => {
  await check(ofFile("key.txt"));
  await check(ofFile("windows.txt"));
  await refuses(ofFile("missing.txt"), /secret KEY is in .*missing\.txt, which cannot be read: ENOENT/);
  await refuses(ofFile("directory"), /directory, which cannot be read: it is no file/);
  await refuses(ofFile("lines.txt"), /has a control character/);
  await refuses(ofFile("empty.txt"), /is empty/);
  await check(ofVariable, { HOST_KEY: "hunter2" });
  await refuses(ofVariable, /in the variable HOST_KEY, which is not set here/);
  await refuses(ofVariable, /is empty/, { HOST_KEY: "" });
  await refuses(ofVariable, /has a control character/, { HOST_KEY: "hunter2\r\nX: y" });
});

test("authorities that cannot be used are told of", async () => {
  await check((n) =>
    n.tls((t) => t.upstreamCaCert(authority.path).upstreamCaCertFor("*.internal", at("leaf.pem"))),
  );
  for (const [name, message] of [
    ["missing.pem", /missing\.pem cannot be used: ENOENT/],
    ["none.pem", /it has no certificate in PEM/],
    ["broken.pem", /cannot be used/],
    ["directory", /EISDIR/],
  ] as const) {
    await refuses((n) => n.tls((t) => t.upstreamCaCert(at(name))), message);
    await refuses((n) => n.tls((t) => t.upstreamCaCertFor("a.example.com", at(name))), message);
  }
});

test("an authority of one's own has its key, and is one", async () => {
  const own = (cert: string, key: string) => (n: NetworkBuilder) =>
    n.tls((t) => t.interceptCaCert(at(cert)).interceptCaKey(at(key)));
  await check(own("ca.pem", "ca.key"));
  await refuses(own("ca.pem", "leaf.key"), /is not the key of/);
  await refuses(own("leaf.pem", "leaf.key"), /not the certificate of an authority/);
  await refuses(own("missing.pem", "ca.key"), /cannot be read/);
});
