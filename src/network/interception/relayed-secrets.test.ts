import assert from "node:assert/strict";
import { createSecureContext } from "node:tls";
import { describe, it } from "node:test";
import { chunks, seeded } from "../../../test/support/fuzz.ts";
import { joined } from "../../../test/support/http1/joined-ends.ts";
import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import type { NetworkEvent } from "../events.ts";
import type { Channel } from "../http/channel.ts";
import { createInspector } from "./create-inspector.ts";
import type { Interception } from "./interception.ts";

const host = "api.openai.com";
const most = 16 * 1024 * 1024;

/** How a row is set up. */
interface Setting {
  /** The name that the connection is for. */
  readonly to?: string;
  readonly injection?: Partial<SecretConfig["injection"]>;
  /** Without TLS; whether the secret wants it. */
  readonly plain?: boolean;
  readonly requireTlsIdentity?: boolean;
  readonly scrubResponses?: boolean;
}

interface Row extends Setting {
  readonly name: string;
  readonly said: string;
  /** What the server hears in all; null: nothing of it, and the connection is broken off. */
  readonly heard: string | null;
}

const line = (method: string, target = "/"): string => `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n`;
const withKey = `${line("GET")}Authorization: Bearer $KEY\r\n\r\n`;
const withValue = withKey.replace("$KEY", "real-secret");
const post = (fields: string, body: string): string => `${line("POST")}${fields}\r\n\r\n${body}`;
const chunked = (body: string): string => post("Transfer-Encoding: chunked", body);
const body = { body: true };
const large = "x".repeat(1_000_000);

const rows: Row[] = [
  {
    name: "in a body that is not looked into",
    said: post("Content-Length: 15", '{"key": "$KEY"}'),
    heard: post("Content-Length: 15", '{"key": "$KEY"}'),
  },
  {
    name: "in a body of a fixed length",
    injection: body,
    said: post("Content-Length: 15", '{"key": "$KEY"}'),
    heard: post("Content-Length: 22", '{"key": "real-secret"}'),
  },
  {
    name: "in a body that is too long",
    injection: body,
    said: post(`Content-Length: ${most + 1}`, ""),
    heard: null,
  },
  {
    name: "with a length that is no number",
    injection: body,
    said: post("Content-Length: nope", "x"),
    heard: null,
  },
  {
    name: "with two lengths",
    injection: body,
    said: post("Content-Length: 8\r\nContent-Length: 9", "12345678"),
    heard: null,
  },
  {
    name: "across two chunks",
    injection: body,
    said: chunked("4\r\nxx$K\r\n2\r\nEY\r\n0\r\n\r\n"),
    heard: chunked("xxreal-secret"),
  },
  {
    name: "in a chunk, with trailers, and a request after it",
    injection: body,
    said: `${chunked("4\r\n$KEY\r\n0\r\nX-Sum: 1\r\n\r\n")}${withKey}`,
    heard: chunked("real-secret[X-Sum: 1]") + withValue,
  },
  {
    name: "in a body that says it is compressed",
    injection: body,
    said: post("Content-Encoding: gzip\r\nTransfer-Encoding: chunked", "4\r\n$KEY\r\n0\r\n\r\n"),
    heard: null,
  },
  { name: "with two codings", said: post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), heard: null },
  {
    name: "with a length and chunks",
    said: post("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
    heard: null,
  },
  {
    name: "across two chunks, to another host",
    to: "evil.test",
    said: chunked("2\r\n$K\r\n2\r\nEY\r\n0\r\n\r\n").replace(host, "evil.test"),
    heard: null,
  },
  {
    name: "in a field, and in a body that is not looked into",
    said: `${line("POST")}A: $KEY\r\nContent-Length: 4\r\n\r\n$KEY`,
    heard: `${line("POST")}A: real-secret\r\nContent-Length: 4\r\n\r\n$KEY`,
  },
  {
    name: "in a body of any bytes",
    injection: body,
    said: post("Content-Length: 8", "\0\xff$KEY\xfe\r"),
    heard: post("Content-Length: 15", "\0\xffreal-secret\xfe\r"),
  },
  {
    name: "in a field, to another host",
    to: "evil.test",
    said: `${line("GET").replace(host, "evil.test")}X-Token: $KEY\r\n\r\n`,
    heard: null,
  },
  { name: "in three requests at once", said: withKey.repeat(3), heard: withValue.repeat(3) },
  {
    name: "in Basic credentials, to another host",
    to: "evil.test",
    said: `GET / HTTP/1.1\r\nHost: evil.test\r\nAuthorization: Basic ${btoa("a:$KEY")}\r\n\r\n`,
    heard: null,
  },
  { name: "none, but another host", said: "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", heard: null },
  { name: "none, but two hosts", said: `${line("GET")}Host: ${host}\r\n\r\n`, heard: null },
  {
    name: "none, but a request line that is none",
    said: `GET  / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    heard: null,
  },
  {
    name: "none, but a target at another host",
    said: `${line("GET", "https://evil.test/")}\r\n`,
    heard: null,
  },
  {
    name: "with a target at the same host",
    said: `${line("GET", `https://${host}/`)}A: $KEY\r\n\r\n`,
    heard: `${line("GET", `https://${host}/`)}A: real-secret\r\n\r\n`,
  },
  {
    name: "none, but an empty line and another host",
    said: "\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    heard: null,
  },
  { name: "after an empty line", said: `\r\n${withKey}`, heard: withValue },
  {
    name: "after a chunk that has an end in it",
    said: chunked("7\r\n0\r\n\r\nab\r\n0\r\n\r\n") + withKey,
    heard: chunked("0\r\n\r\nab") + withValue,
  },
  {
    name: "without TLS, where the secret allows that",
    plain: true,
    requireTlsIdentity: false,
    said: withKey,
    heard: withValue,
  },
  { name: "without TLS, where it does not", plain: true, said: withKey, heard: withKey },
  {
    name: "none, in a large body without TLS",
    plain: true,
    said: post(`Content-Length: ${large.length}`, large),
    heard: post(`Content-Length: ${large.length}`, large),
  },
];

async function relayed(
  { to = host, injection, plain = false, requireTlsIdentity = true, scrubResponses = false }: Setting,
  events: NetworkEvent[],
): ReturnType<typeof joined> {
  const context = createSecureContext();
  const secret: SecretConfig = {
    envVar: "KEY",
    placeholder: "$KEY",
    hosts: [host],
    source: { kind: "stored" },
    injection: { headers: true, basicAuth: true, queryParams: false, body: false, ...injection },
    requireTlsIdentity,
    onViolation: null,
    scrubResponses,
  };
  const interception: Interception = {
    tls: null,
    leaves: { contextFor: () => context },
    trust: { optionsFor: () => ({ secureContext: context, verify: true }) },
    secrets: [secret],
    secretViolation: { kind: "block-and-log" },
    values: { value: () => "real-secret", refused: () => undefined },
    http: null,
    hooks: null,
    terminate: () => undefined,
  };
  const channel: Channel = {
    kind: plain ? "plain" : "tls",
    serverName: plain ? null : to,
    isProved: !plain,
    address: "93.184.216.34",
    port: plain ? 80 : 443,
    isBoundTo: (matches) => matches(to),
  };
  const inspector = createInspector(interception, channel, (event) => events.push(event));
  return await joined({
    request: (head, asking) => inspector.request(head, asking),
    trailers: (fields, request) => inspector.trailers(fields, request),
    response: (head, request, asking) => inspector.response(head, request, asking),
    responseFields: (fields, request) => inspector.responseFields(fields, request),
    raw: (upgrade) => inspector.raw(upgrade),
    malformed: (reason) => inspector.malformed(reason),
  });
}

/** What is in chunks, with what follows them in brackets: how it was cut does not matter here. */
function unchunked(heard: string): string {
  return heard.replace(
    /(Transfer-Encoding: chunked\r\n\r\n)((?:[0-9a-f]+\r\n)[^]*?\r\n0\r\n)((?:[^\r\n]+\r\n)*)\r\n/g,
    (_all, head: string, written: string, trailers: string) => {
      let text = "";
      for (let at = 0; ;) {
        const end = written.indexOf("\r\n", at);
        const size = Number.parseInt(written.slice(at, end), 16);
        if (size === 0) break;
        text += written.slice(end + 2, end + 2 + size);
        at = end + 2 + size + 2;
      }
      return head + text + (trailers === "" ? "" : `[${trailers.trim()}]`);
    },
  );
}

describe("requests with a placeholder, relayed as HTTP/1", () => {
  for (const row of rows)
    it(row.name, async (context) => {
      const random = seeded(context);
      const said = Buffer.from(row.said, "latin1");
      const bytewise = said.length > 10_000 ? [] : [Array.from(said, (byte) => Buffer.from([byte]))];
      for (const pieces of [[said], [...chunks(random, said)], ...bytewise]) {
        const events: NetworkEvent[] = [];
        const pair = await relayed(row, events);
        for (const piece of pieces) pair.client.say(piece);
        if (row.heard === null) {
          assert.equal(await pair.client.over, "reset");
          await pair.server.over;
          assert.doesNotMatch(pair.server.heard, /real-secret|\$KEY|Basic/);
          assert.equal((await pair.relay.ends[0])?.kind, "blocked");
          assert.ok(events.length > 0);
        } else {
          pair.client.end();
          await pair.server.endOfAll();
          assert.equal(unchunked(pair.server.heard), row.heard);
          pair.server.socket.destroy();
          await pair.client.over;
        }
      }
    });
});

describe("responses with a value, relayed as HTTP/1", () => {
  const informing = "HTTP/1.1 103 Early Hints\r\nLink: </?k=real-secret>\r\n\r\n";
  const start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const chunkedIn = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
  const trailers = "Sum: 1\r\nX-Key:  real-secret\r\nX-Basic: cmVhbC1zZWNyZXQ=\r\n\r\n";

  it("have none before the head, in the body or after it, however they are cut", async (context) => {
    const random = seeded(context);
    const said = Buffer.from(
      `${informing}${start}${chunkedIn("a real-se")}${chunkedIn("cret b")}0\r\n${trailers}`,
    );
    for (const pieces of [
      [said],
      [...chunks(random, said)],
      Array.from(said, (byte) => Buffer.from([byte])),
    ]) {
      const pair = await relayed({ scrubResponses: true }, []);
      pair.client.say(withKey);
      await pair.server.hears(withValue);
      for (const piece of pieces) pair.server.say(piece);
      const heard = await pair.client.hears(/X-Basic: .+\r\n\r\n$/);
      assert.equal(
        unchunked(heard),
        `HTTP/1.1 103 Early Hints\r\nLink: </?k=$KEY>\r\n\r\n${start}a $KEY b[Sum: 1\r\nX-Key: $KEY\r\nX-Basic: JEtFWV8=]`,
      );
      pair.client.end();
      await pair.server.endOfAll();
      pair.server.socket.end();
      assert.equal((await pair.relay.ends[0])?.kind, "closed");
      pair.client.socket.destroy();
    }
  });

  it("pass byte for byte where nothing is to be scrubbed, and where none is in the trailers", async () => {
    for (const [scrubResponses, after] of [
      [false, trailers],
      [true, "Sum:  1\r\n\r\n"],
    ] as const) {
      const pair = await relayed({ scrubResponses }, []);
      pair.client.say(withKey);
      await pair.server.hears(withValue);
      const said = `${start}0\r\n${after}`;
      pair.server.say(said);
      assert.equal(await pair.client.hears(/\r\n0\r\n(?:.+\r\n)+\r\n$/), said);
      pair.client.end();
      await pair.server.endOfAll();
      pair.server.socket.end();
      assert.equal((await pair.relay.ends[0])?.kind, "closed");
      pair.client.socket.destroy();
    }
  });

  it("have none in the words after the status", async () => {
    const pair = await relayed({ scrubResponses: true }, []);
    pair.client.say(withKey);
    await pair.server.hears(withValue);
    pair.server.say("HTTP/1.1 401 no real-secret here\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert.equal(
      await pair.client.hears(/\r\n0\r\n\r\n$/),
      "HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    pair.client.end();
    await pair.server.endOfAll();
    pair.server.socket.end();
    assert.equal((await pair.relay.ends[0])?.kind, "closed");
    pair.client.socket.destroy();
  });

  it("that are coded have none in what follows their body", async () => {
    const pair = await relayed({ scrubResponses: true }, []);
    pair.client.say(withKey);
    await pair.server.hears(withValue);
    const coded = start.replace("OK\r\n", "OK\r\nContent-Encoding: gzip\r\n");
    pair.server.say(`${coded}${chunkedIn("xyz")}0\r\n${trailers}`);
    assert.match(await pair.client.hears(/X-Basic: .+\r\n\r\n$/), /xyz\r\n0\r\nSum: 1\r\nX-Key: \$KEY\r\n/);
    pair.client.end();
    await pair.server.endOfAll();
    pair.server.socket.end();
    assert.equal((await pair.relay.ends[0])?.kind, "closed");
    pair.client.socket.destroy();
  });
});
