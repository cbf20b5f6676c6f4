import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect, createServer } from "node:tls";
import { hostRoots, HostTrust, type UpstreamTrustOptions } from "./upstream-trust.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-trust-"));
test.after(() => {
  rmSync(directory, { recursive: true });
});

function selfSigned(host: string): { readonly cert: string; readonly key: string } {
  const [cert, key] = [join(directory, `${host}.crt`), join(directory, `${host}.key`)];
  const subject = ["-subj", `/CN=${host}`, "-addext", `subjectAltName=DNS:${host}`];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...kind, ...subject, "-out", cert, "-keyout", key], {
    stdio: "ignore",
  });
  return { cert, key };
}

/** @returns why the server is not believed; null when it is */
async function judged(
  trust: HostTrust,
  host: string,
  files: { cert: string; key: string },
): Promise<string | null> {
  const server = createServer({ cert: readFileSync(files.cert), key: readFileSync(files.key) });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { secureContext } = await trust.optionsFor(host);
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1", servername: host, secureContext });
  try {
    await once(socket, "secureConnect");
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "?";
  } finally {
    socket.destroy();
    server.close();
  }
}

const nothing: UpstreamTrustOptions["config"] = {
  verifyUpstream: true,
  scopedVerifyUpstream: [],
  upstreamCaCertPaths: [],
  scopedUpstreamCaCerts: [],
};

test("an authority counts for whom it was given, and nobody else", async () => {
  const [all, one] = [selfSigned("all.example"), selfSigned("one.example")];
  const trust = new HostTrust({
    config: {
      ...nothing,
      upstreamCaCertPaths: [all.cert],
      scopedUpstreamCaCerts: [{ pattern: "*.one.example", path: one.cert }],
    },
    warn: (message) => assert.fail(message),
  });
  assert.equal(await judged(trust, "all.example", all), null);
  assert.equal(await judged(trust, "one.example", one), null);
  assert.equal(await judged(trust, "two.example", selfSigned("two.example")), "DEPTH_ZERO_SELF_SIGNED_CERT");
  // For a host that the second authority was not given for, it is nobody.
  const other = new HostTrust({
    config: { ...nothing, scopedUpstreamCaCerts: [{ pattern: "other.example", path: one.cert }] },
    warn: (message) => assert.fail(message),
  });
  assert.equal(await judged(other, "one.example", one), "DEPTH_ZERO_SELF_SIGNED_CERT");
});

test("a file that cannot be used is told of once, and the others count", async () => {
  const all = selfSigned("still.example");
  const empty = join(directory, "empty.pem");
  writeFileSync(empty, "nothing");
  const told: string[] = [];
  const trust = new HostTrust({
    config: { ...nothing, upstreamCaCertPaths: [join(directory, "none"), empty, all.cert] },
    warn: (message) => told.push(message),
  });
  assert.equal(await judged(trust, "still.example", all), null);
  assert.equal(await judged(trust, "still.example", all), null);
  assert.equal(told.length, 2);
  assert.match(told.join("\n"), /none are not trusted: .*ENOENT/);
  assert.match(told.join("\n"), /empty\.pem are not trusted: it has no certificate/);
});

test("whether a server has to prove anything is said by the most specific pattern", async () => {
  const trust = new HostTrust({
    config: {
      ...nothing,
      scopedVerifyUpstream: [
        { pattern: "*.example.com", verify: false },
        { pattern: "*.deep.example.com", verify: true },
        { pattern: "x.deep.example.com", verify: false },
      ],
    },
    warn: (message) => assert.fail(message),
  });
  const verify = async (name: string): Promise<boolean> => (await trust.optionsFor(name)).verify;
  assert.deepEqual(
    await Promise.all(
      ["example.com", "a.example.com", "a.deep.example.com", "x.deep.example.com", "other.com"].map(verify),
    ),
    [false, false, true, false, true],
  );
});

test("the host's roots are many, and each is there once", () => {
  const roots = hostRoots();
  assert.ok(roots.length > 20, String(roots.length));
  assert.equal(new Set(roots).size, roots.length);
});
