import "../../../internet/namespace.ts";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Sandbox, SandboxBuilder } from "../../../../src/index.ts";
import { places } from "../../../internet/places.ts";
import { danteProxy, proxyLogin, proxyPorts, tinyProxy, type Proxy } from "../../../internet/proxies.ts";
import { eventually } from "../../support.ts";
import type { Needs } from "../../tags.ts";
import { furnish, onTheInternet, said, useInternet } from "../network-support.ts";

export const needs: Needs = ["running", "internet"];

// Outbound proxies: Debian's own on the host, programs in the guest that know nothing of them, and what the proxies saw.

const timeout = 120_000;
const { home, internet } = await useInternet();
const variable = { right: "MSB_TEST_PROXY_PASSWORD", wrong: "MSB_TEST_WRONG_PASSWORD" } as const;
process.env[variable.right] = proxyLogin.password;
process.env[variable.wrong] = "another-word";

let dante: Proxy;
let tiny: Proxy;
before(async () => {
  dante = await danteProxy(internet.tree);
  tiny = await tinyProxy(internet.tree);
});

/** One whose policy allows all but one address. */
async function behind(name: string, proxy: Parameters<SandboxBuilder["proxy"]>[0]): Promise<Sandbox> {
  const sandbox = await onTheInternet(name)
    .proxy(proxy)
    .network((n) =>
      n.policy({
        defaultEgress: "allow",
        defaultIngress: "allow",
        rules: [
          {
            ...{ direction: "egress", action: "deny", protocols: [], ports: [] },
            destination: { kind: "cidr", cidr: `${places.other4}/32` },
          },
        ],
      }),
    )
    .create();
  after(() => sandbox.kill());
  await furnish(sandbox, internet, "flows.py");
  return sandbox;
}

const socks = `127.0.0.1:${proxyPorts.socks}`;
const login = (word: keyof typeof variable) =>
  [proxyLogin.username, { kind: "env", var: variable[word] }] as const;

/** Waits for as many lines that match as there should be, and takes them all out of the log. */
async function logged(proxy: Proxy, pattern: RegExp, count: number): Promise<string[]> {
  const found = await eventually(`${count} lines of the proxy`, async () => {
    const lines = proxy.log.filter((line) => pattern.test(line));
    return lines.length >= count ? lines : null;
  });
  proxy.log.splice(0);
  assert.equal(found.length, count, found.join("\n"));
  return found;
}

const hello = "curl -sS -4 http://example.com/hello";
const echoes = "printf echo | nc -N -w 10 93.184.216.34 7";
const greeting = `hello from ${places.host4} as example.com`;

test("SOCKS 4: what the policy allows goes through it, by IPv4", { timeout }, async () => {
  const sandbox = await behind("socks4", (p) => p.socks4(socks));
  assert.equal(await said(sandbox, `${hello}; ${echoes}`), `${greeting}\necho`);
  const pattern = /pass\(1\): tcp\/connect \[: 127\.0\.0\.1\S* \S+ -> \S+ 93\.184\.216\.34\.(80|7)$/;
  await logged(dante, pattern, 2);
  await internet.wire.take();
  assert.notEqual((await sandbox.shell(`curl -sS -m 20 http://${places.other4}/`)).code, 0);
  assert.notEqual((await sandbox.shell("curl -sS -m 20 -6 http://example.com/")).code, 0);
  await internet.wire.nothingTo(places.other4, places.host6);
  assert.match(
    await said(sandbox, "curl -sS -m 20 http://93.184.216.34:81/ 2>&1"),
    /refused|Couldn't connect/i,
  );
  // Only where nobody listens was asked for.
  assert.deepEqual(
    dante.log.filter((line) => / \[: /.test(line)),
    [],
  );
  dante.log.splice(0);
});

test("SOCKS 5, with a password: both families, large bodies, many at once", { timeout }, async () => {
  const sandbox = await behind("socks5", (p) => p.socks5(socks).credentials(...login("right")));
  const six = `curl -sS -6 http://example.com/hello`;
  assert.equal(
    await said(sandbox, `${hello}; ${six}`),
    `${greeting}\nhello from ${places.host6} as example.com`,
  );
  const lines = await logged(dante, /pass\(2\): tcp\/connect \[: /, 2);
  for (const [index, to] of ["93.184.216.34.80", "2606:2800:220:1::34.80"].entries())
    assert.ok(
      lines[index]?.includes("username%guest@127.0.0.1") && lines[index].endsWith(` ${to}`),
      lines[index],
    );
  assert.match(
    await said(
      sandbox,
      "curl -sS http://v4.example.com/bytes/3000000 | wc -c; head -c 2000000 /dev/zero | curl -sS -T - http://v4.example.com/count",
    ),
    /^3000000\n2000000 /,
  );
  await logged(dante, / \[: /, 2);
  assert.equal(await said(sandbox, "python3 /tmp/flows.py short 40"), "40");
  await logged(dante, / \[: .* 93\.184\.216\.34\.7$/, 40);
});

test(
  "SOCKS 5 with a wrong password: nothing is reached, and the runtime log says why",
  { timeout },
  async () => {
    const sandbox = await behind("wrong", (p) => p.socks5(socks).credentials(...login("wrong")));
    await internet.wire.take();
    assert.notEqual((await sandbox.shell(`${hello} -m 20`)).code, 0);
    await internet.wire.nothingTo(places.host4);
    const log = await readFile(join(home, "sandboxes/wrong/logs/runtime.log"), "utf8");
    assert.match(log, /did not take the name and password/);
    assert.ok(!log.includes("another-word"));
  },
);

test("HTTP CONNECT, with a password", { timeout }, async () => {
  const sandbox = await behind("connect", (p) =>
    p.http(`127.0.0.1:${proxyPorts.http}`).credentials(...login("right")),
  );
  const tls = "curl -sS -4 --cacert /tmp/ca.pem https://www.example.com/hello";
  // Tinyproxy has no half-close: who ends first hears no more.
  const answered = `python3 -c 'import socket; s = socket.create_connection(("93.184.216.34", 7)); s.send(b"echo"); print(s.recv(9).decode())'`;
  assert.equal(
    await said(sandbox, `${hello}; ${tls}; ${answered}`),
    `${greeting}\nhello from ${places.host4} as www.example.com\necho`,
  );
  const lines = await logged(tiny, /Request .*: CONNECT /, 3);
  const asked = lines.map((line) => /CONNECT (\S+) HTTP/.exec(line)?.[1]);
  assert.deepEqual(asked, ["93.184.216.34:80", "93.184.216.34:443", "93.184.216.34:7"]);
});

test("a proxy that is gone lets nothing through, and nothing goes another way", { timeout }, async () => {
  await tiny.end();
  await internet.wire.take();
  const sandbox = await behind("gone", (p) =>
    p.http(`127.0.0.1:${proxyPorts.http}`).credentials(...login("right")),
  );
  assert.match(await said(sandbox, `${hello} -m 20 2>&1`), /Couldn't connect|refused|reset/i);
  await internet.wire.nothingTo(places.host4);
});
