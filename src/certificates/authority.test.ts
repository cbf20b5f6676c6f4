import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { InvalidConfigError } from "../errors/index.ts";
import { locateHome, type Home } from "../store/home.ts";
import { authorityPaths, homeAuthority, ownAuthority, rotateAuthority } from "./authority.ts";

function newHome(t: TestContext): Home {
  const root = mkdtempSync(join(tmpdir(), "msb-authority-"));
  t.after(() => {
    rmSync(root, { recursive: true });
  });
  return locateHome({ MSB_HOME: root });
}

const dayMs = 24 * 3600_000;

test("an authority is made once, and is one for openssl and for Node", async (t) => {
  const home = newHome(t);
  const paths = authorityPaths(home);
  const made = await homeAuthority(home);
  assert.equal((await homeAuthority(home)).pem, made.pem);
  assert.equal(readFileSync(paths.certificate, "utf8"), made.pem);
  assert.equal(statSync(paths.key).mode & 0o777, 0o600);
  assert.equal(statSync(paths.directory).mode & 0o077, 0);
  const { certificate } = made;
  assert.equal(certificate.subject, "O=microsandbox\nCN=microsandbox CA");
  assert.equal(certificate.issuer, certificate.subject);
  assert.equal(certificate.ca, true);
  assert.ok(certificate.verify(certificate.publicKey));
  execFileSync("openssl", ["verify", "-x509_strict", "-CAfile", paths.certificate, paths.certificate]);
});

test("ten processes at once get the same one", async (t) => {
  const home = newHome(t);
  const script = `
    const { homeAuthority } = await import(process.argv[1]);
    const { locateHome } = await import(process.argv[2]);
    process.stdout.write((await homeAuthority(locateHome())).certificate.fingerprint256);
  `;
  const modules = ["./authority.ts", "../store/home.ts"].map((path) => new URL(path, import.meta.url).href);
  const runs = Array.from({ length: 10 }, () =>
    promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, "--", ...modules], {
      env: { ...process.env, MSB_HOME: home.root },
    }),
  );
  const prints = new Set((await Promise.all(runs)).map(({ stdout }) => stdout));
  assert.equal(prints.size, 1);
  assert.equal([...prints][0], (await homeAuthority(home)).certificate.fingerprint256);
});

test("it is replaced before it ends, and when it is wanted", async (t) => {
  const home = newHome(t);
  const now = Date.now();
  const first = await homeAuthority(home, now);
  assert.equal((await homeAuthority(home, now + 639 * dayMs)).pem, first.pem);
  const second = await homeAuthority(home, now + 641 * dayMs);
  assert.notEqual(second.pem, first.pem);
  const third = await rotateAuthority(home, now + 641 * dayMs);
  assert.notEqual(third.pem, second.pem);
  assert.equal((await homeAuthority(home, now + 642 * dayMs)).pem, third.pem);
});

test("who was killed between its two files has lost nothing", async (t) => {
  const home = newHome(t);
  const paths = authorityPaths(home);
  const first = await homeAuthority(home);
  rmSync(paths.certificate);
  assert.equal((await homeAuthority(home)).pem, first.pem);
  assert.equal(readFileSync(paths.certificate, "utf8"), first.pem);
  // Of the one before.
  const old = readFileSync(paths.certificate, "utf8");
  const second = await rotateAuthority(home);
  writeFileSync(paths.certificate, old);
  assert.equal((await homeAuthority(home)).pem, second.pem);
  assert.equal(readFileSync(paths.certificate, "utf8"), second.pem);
});

test("a key that others can read is not used, and not replaced unasked", async (t) => {
  const home = newHome(t);
  const paths = authorityPaths(home);
  const { pem } = await homeAuthority(home);
  chmodSync(paths.key, 0o640);
  await assert.rejects(
    homeAuthority(home),
    (error) => error instanceof InvalidConfigError && /can be read by others/.test(error.message),
  );
  await rotateAuthority(home);
  assert.equal(statSync(paths.key).mode & 0o777, 0o600);
  assert.notEqual((await homeAuthority(home)).pem, pem);
});

test("a damaged key is told of", async (t) => {
  const home = newHome(t);
  await homeAuthority(home);
  writeFileSync(authorityPaths(home).key, "-----BEGIN PRIVATE KEY-----\n");
  await assert.rejects(
    homeAuthority(home),
    (error) => error instanceof InvalidConfigError && error.hint.includes("msb tls rotate"),
  );
});

const keyKinds: readonly (readonly [name: string, options: readonly string[]])[] = [
  ["RSA", ["-newkey", "rsa:2048"]],
  ["P-256", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]],
  ["P-384", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]],
];

function makeOwn(
  directory: string,
  name: string,
  options: readonly string[],
  more: readonly string[] = [],
): string[] {
  const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-nodes",
      "-days",
      "30",
      "-subj",
      "/CN=Own",
      ...options,
      "-out",
      cert,
      "-keyout",
      key,
      ...more,
    ],
    { stdio: "ignore" },
  );
  return [cert, key];
}

test("an authority of the user's own", async (t) => {
  const { root } = newHome(t);
  for (const [name, options] of keyKinds) {
    const [cert = "", key = ""] = makeOwn(root, name, options);
    assert.equal((await ownAuthority(cert, key)).certificate.subject, "CN=Own", name);
  }
  const [rsaCert, rsaKey] = [join(root, "RSA.crt"), join(root, "RSA.key")];
  const refused = async (cert: string, key: string, why: RegExp, now = Date.now()): Promise<void> => {
    await assert.rejects(
      ownAuthority(cert, key, now),
      (error) => error instanceof InvalidConfigError && why.test(error.message) && error.hint !== "",
      String(why),
    );
  };
  await refused(rsaCert, join(root, "P-256.key"), /is not the key of the certificate/);
  await refused(rsaKey, rsaKey, /has no certificate/);
  await refused(rsaCert, rsaCert, /has no private key/);
  await refused(join(root, "none"), rsaKey, /cannot be read: ENOENT/);
  await refused(rsaCert, rsaKey, /has ended/, Date.now() + 31 * dayMs);
  const [leaf = "", leafKey = ""] = makeOwn(root, "leaf", keyKinds[1]?.[1] ?? [], [
    "-addext",
    "basicConstraints=critical,CA:FALSE",
  ]);
  await refused(leaf, leafKey, /not the certificate of an authority/);
  const [odd = "", oddKey = ""] = makeOwn(root, "odd", [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:secp256k1",
  ]);
  await refused(odd, oddKey, /secp256k1/);
});
