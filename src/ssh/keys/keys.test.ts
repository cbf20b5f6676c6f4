import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import ssh2 from "ssh2";
import { InvalidConfigError, IoError } from "../../errors/index.ts";
import { authorizedKeysPath, authorizeKeys, readAuthorizedKeys } from "./authorized-keys.ts";
import { hostKeyPath, newKey, newKeyPair, readHostKey, writeKnownHosts } from "./host-key.ts";

const root = mkdtempSync(join(tmpdir(), "msb-keys-"));
after(() => rmSync(root, { recursive: true, force: true }));

const newPublicKey = async (): Promise<string> => (await newKeyPair("a b")).public;

test("every new key can be read, its public half too", async () => {
  for (let count = 0; count < 3000; count++) {
    const pair = await newKeyPair();
    for (const text of [pair.private, pair.public]) {
      const key = ssh2.utils.parseKey(text);
      assert.ok(!(key instanceof Error), text);
      assert.equal(key.getPublicSSH().length, 51, text);
    }
  }
});

test("of those who make a host key at the same time all get the same one, for the owner only", async () => {
  const directory = mkdtempSync(join(root, "sandbox-"));
  const path = hostKeyPath(directory);
  const keys = await Promise.all(Array.from({ length: 8 }, () => readHostKey(path)));
  assert.equal(new Set(keys.map(({ text }) => text)).size, 1);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(join(directory, "ssh")), ["host_ed25519"]);
  const knownHosts = await writeKnownHosts(directory, "msb-x");
  assert.equal(readFileSync(knownHosts, "utf8"), `msb-x ${keys[0]?.publicKey ?? ""}\n`);
  chmodSync(path, 0o640);
  await assert.rejects(readHostKey(path), IoError);
  chmodSync(path, 0o600);
  writeFileSync(path, "no key");
  await assert.rejects(readHostKey(path), /no private Ed25519 key/);
});

test("keys are authorized once, all or none", async () => {
  const path = authorizedKeysPath(mkdtempSync(join(root, "home-")));
  const [one, two, three] = [await newPublicKey(), await newPublicKey(), await newPublicKey()];
  assert.deepEqual(await readAuthorizedKeys(path), []);
  assert.equal(await authorizeKeys(path, `# mine\n${one}\n`), 1);
  assert.equal(await authorizeKeys(path, `${one}\n${two}`), 1);
  const refused = [
    await newKey(),
    `command="true" ${three}`,
    "ssh-ed25519 AAAA",
    "ssh-dss AAAA",
    `sk-${three}`,
    `${three}\nnonsense`,
    "",
  ];
  for (const text of refused) await assert.rejects(authorizeKeys(path, text), InvalidConfigError, text);
  assert.equal((await readAuthorizedKeys(path)).length, 2);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("a line with options opens nothing, and a file that others can change is not believed", async () => {
  const path = join(mkdtempSync(join(root, "home-")), "keys");
  writeFileSync(path, `command="x" ${await newPublicKey()}\n${await newPublicKey()}\nnonsense\n`, {
    mode: 0o600,
  });
  assert.equal((await readAuthorizedKeys(path)).length, 1);
  chmodSync(path, 0o622);
  await assert.rejects(readAuthorizedKeys(path), /changed by others/);
});
