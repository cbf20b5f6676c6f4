import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { chmod, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { MsbHome } from "../vm/cli/cli-support.ts";

interface AuthorityJson {
  readonly fingerprint_sha256: string;
  readonly path: string;
  readonly not_after: string;
}

test("the authority is made when it is asked for, exported without its key, and replaced", async () => {
  await using scope = new MsbHome();
  const ca = JSON.parse((await scope.msb("tls", "ca", "--format", "json")).stdout) as AuthorityJson;
  assert.equal(ca.path, join(scope.path, "tls", "ca.crt"));
  assert.match((await scope.msb("tls", "ca")).stdout, /^Subject: +O=microsandbox, CN=microsandbox CA$/m);

  const { stdout: pem } = await scope.msb("tls", "export");
  assert.equal(new X509Certificate(pem).fingerprint256, ca.fingerprint_sha256);
  assert.doesNotMatch(pem, /PRIVATE/);
  const file = join(scope.path, "exported.pem");
  assert.equal((await scope.msb("tls", "export", file)).stdout, "");
  assert.equal(await readFile(file, "utf8"), pem);

  const rotated = JSON.parse((await scope.msb("tls", "rotate", "--format", "json")).stdout) as AuthorityJson;
  assert.notEqual(rotated.fingerprint_sha256, ca.fingerprint_sha256);
  const now = JSON.parse((await scope.msb("tls", "ca", "--format", "json")).stdout) as AuthorityJson;
  assert.equal(now.fingerprint_sha256, rotated.fingerprint_sha256);
});

test("a key that others can read is refused, and what to do is said", async () => {
  await using scope = new MsbHome();
  await scope.msb("tls", "ca");
  const key = join(scope.path, "tls", "ca.key");
  await chmod(key, 0o644);
  const refused = await scope.msb("tls", "ca");
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /can be read by others[\s\S]*msb tls rotate/);
  assert.equal((await scope.msb("tls", "rotate")).code, 0);
  assert.equal((await stat(key)).mode & 0o777, 0o600);
});

test("a place that cannot be written is told of", async () => {
  await using scope = new MsbHome();
  const failed = await scope.msb("tls", "export", join(scope.path, "none", "ca.pem"));
  assert.notEqual(failed.code, 0);
  assert.match(failed.stderr, /ENOENT|no such/i);
});
