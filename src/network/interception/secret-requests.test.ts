import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { buffer } from "node:stream/consumers";
import { createSecureContext } from "node:tls";
import { after, before, suite, test } from "node:test";
import { gzipSync } from "node:zlib";
import { listening, portOf, RawClient, RelayedServer } from "../../../test/support/http1/relayed-server.ts";
import { basic, places, secret, tlsTo } from "../../../test/support/secret-sample.ts";
import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import type { NetworkEvent } from "../events.ts";
import type { Channel } from "../http/channel.ts";
import { createInspector } from "./create-inspector.ts";

/** What the server was told. */
interface Seen {
  readonly line: string;
  readonly fields: string;
  readonly body: string;
  readonly trailers: string;
}

/** What became of some words of a guest. */
interface Outcome {
  readonly seen: readonly Seen[];
  readonly answers: string;
  /** Whether the connection was broken off by the gateway. */
  readonly isBlocked: boolean;
  readonly events: readonly NetworkEvent[];
  readonly refused: readonly string[];
}

const real = "real-secret";
const own = "Host: api.openai.com\r\n";
const inBody = secret(places({ body: true }));

function chunked(...chunks: readonly string[]): string {
  const written = [...chunks, ""].map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
  return `POST /c HTTP/1.1\r\n${own}Transfer-Encoding: chunked\r\n\r\n${written.join("")}`;
}

function fixed(body: string, fields = ""): string {
  return `POST /f HTTP/1.1\r\n${own}${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
}

suite("Secrets in requests that come on a connection", () => {
  let server: Server;
  let seen: Seen[] = [];
  before(async () => {
    server = await listening(
      createServer((incoming, response) => {
        void buffer(incoming).then(
          (bytes) => {
            const body = bytes.toString("latin1");
            const fields = incoming.rawHeaders.join("\n");
            const trailers = incoming.rawTrailers.join("\n");
            seen.push({ line: `${incoming.method} ${incoming.url}`, fields, body, trailers });
            const status = incoming.url === "/401" ? 401 : 200;
            response.writeHead(status, { "x-echo": incoming.headers["x-key"] ?? "-" }).end(`<${body}>`);
          },
          () => undefined,
        );
      }),
    );
  });
  after(() => server.close());

  async function outcome(
    words: string | readonly string[],
    secrets: readonly SecretConfig[] = [secret()],
    channel: Channel = tlsTo("api.openai.com"),
  ): Promise<Outcome> {
    seen = [];
    const [events, refused]: [NetworkEvent[], string[]] = [[], []];
    const context = createSecureContext();
    const inspector = createInspector(
      {
        ...{ tls: null, http: null, hooks: null, secrets, secretViolation: { kind: "block-and-log" } },
        leaves: { contextFor: () => context },
        trust: { optionsFor: () => ({ secureContext: context, verify: true }) },
        values: { value: () => real, refused: (envVar) => void refused.push(envVar) },
        terminate: () => assert.fail("nothing is ended here"),
      },
      channel,
      (event) => void events.push(event),
    );
    await using relayed = await RelayedServer.start(portOf(server), inspector);
    const client = new RawClient(relayed.port);
    for (const one of [words].flat()) {
      client.say(one);
      await new Promise(setImmediate);
    }
    client.end();
    await client.over;
    const end = await relayed.ends[0];
    assert.ok(end !== undefined && (end.kind !== "blocked" || end.error === null), JSON.stringify(end));
    assert.ok(!JSON.stringify(events).includes(real));
    return { seen, answers: client.heard, isBlocked: end.kind === "blocked", events, refused };
  }

  /** Nothing of the value, and nothing that the placeholder is in, is at the server. */
  async function blocked(...given: Parameters<typeof outcome>): Promise<Outcome> {
    const result = await outcome(...given);
    assert.ok(result.isBlocked);
    assert.ok(!JSON.stringify(result.seen).includes(real));
    assert.ok(!JSON.stringify(result.seen).includes("KEY"));
    return result;
  }

  test("a field, also when the method comes in two pieces", async () => {
    const { seen } = await outcome([
      "P",
      `OST / HTTP/1.1\r\n${own}X-Key: Bearer $KEY\r\nContent-Length: 0\r\n\r\n`,
    ]);
    assert.match(seen[0]?.fields ?? "", /X-Key\nBearer real-secret/);
  });

  test("a body of a fixed length has the right one", async () => {
    const body = '{"key": "$KEY"}';
    assert.equal((await outcome(fixed(body))).seen[0]?.body, body);
    for (const words of [fixed(body), [fixed(body).slice(0, -8), fixed(body).slice(-8)]]) {
      const { seen } = await outcome(words, [inBody]);
      assert.equal(seen[0]?.body, '{"key": "real-secret"}');
      assert.match(seen[0].fields, /Content-Length\n22$/m);
    }
  });

  test("a body in chunks, whatever they are, with what follows it", async () => {
    const tail = `GET /next HTTP/1.1\r\n${own}X-Key: $KEY\r\n\r\n`;
    const both = secret({ injection: { ...inBody.injection, headers: true } });
    const withTrailer = chunked("xx$K", "EY", "0\r\n\r\n").replace(/\r\n$/, "Sum: 1\r\n\r\n");
    for (const words of [withTrailer + tail, Array.from(withTrailer + tail)]) {
      const { seen } = await outcome(words, [both]);
      assert.deepEqual(
        seen.map(({ line, body, trailers }) => [line, body, trailers]),
        [
          ["POST /c", `xx${real}0\r\n\r\n`, "Sum\n1"],
          ["GET /next", "", ""],
        ],
      );
      assert.match(seen[1]?.fields ?? "", /X-Key\nreal-secret/);
    }
  });

  test("of several requests in one piece each has its own", async () => {
    const one = (path: string): string => `GET ${path} HTTP/1.1\r\n${own}X-Key: $KEY\r\n\r\n`;
    const { seen } = await outcome(one("/1") + one("/2") + one("/3"));
    assert.equal(seen.filter(({ fields }) => fields.includes(real)).length, 3);
  });

  test("an absolute target of the same host", async () => {
    const { seen } = await outcome(`GET http://api.openai.com/a HTTP/1.1\r\n${own}X-Key: $KEY\r\n\r\n`);
    assert.match(seen[0]?.fields ?? "", /real-secret/);
  });

  const x = "X-Key: $KEY\r\n";
  const long = `POST / HTTP/1.1\r\n${own}Content-Length: ${16 * 1024 * 1024 + 1}\r\n\r\n$KEY`;
  const table: readonly (readonly [string, string | readonly string[], SecretConfig?, Channel?])[] = [
    ["another host", `GET / HTTP/1.1\r\nHost: evil.com\r\n${x}\r\n`, secret(), tlsTo("evil.com")],
    ["a body that is too long to be changed", long, inBody],
    ["a length that is none", `POST / HTTP/1.1\r\n${own}Content-Length: nope\r\n\r\n$KEY`, inBody],
    ["two lengths", fixed("$KEY", "Content-Length: 9\r\n"), inBody],
    ["gzip, in chunks", chunked("a$K", "EYb").replace(own, `${own}Content-Encoding: gzip\r\n`), inBody],
    ["two codings of the transfer", chunked("$KEY").replace("chunked", "gzip, chunked"), inBody],
    ["a length and chunks", chunked("$KEY").replace(own, `${own}Content-Length: 4\r\n`), inBody],
    [
      "another host, in two chunks",
      chunked("$K", "EY").replace(own, "Host: evil.com\r\n"),
      secret(),
      tlsTo("evil.com"),
    ],
    [
      "an address of nobody",
      `GET / HTTP/1.1\r\n${own}${x}\r\n`,
      secret(),
      tlsTo("api.openai.com", { isBoundTo: () => false }),
    ],
    ["Host of another", `GET / HTTP/1.1\r\nHost: evil.com\r\n${x}\r\n`],
    ["Host twice", `GET / HTTP/1.1\r\n${own}Host: evil.com\r\n${x}\r\n`],
    ["a request line that is none", `GET  / HTTP/1.1\r\n${own}${x}\r\n`],
    ["an absolute target of another", `GET http://evil.com/ HTTP/1.1\r\n${own}${x}\r\n`],
    ["an empty line, then Host of another", ["\r\n", `GET / HTTP/1.1\r\nHost: evil.com\r\n${x}\r\n`]],
    ["a folded field", `GET / HTTP/1.1\r\n${own}X-Key: $K\r\n EY\r\n\r\n`],
    ["a bare newline", `GET / HTTP/1.1\r\n${own}A: 1\nX-Key: $KEY\r\n\r\n`],
    [
      "the trailers",
      chunked("a").replace(/\r\n$/, "X: $KEY\r\n\r\n").replace(own, "Host: evil.com\r\n"),
      secret(),
      tlsTo("evil.com"),
    ],
  ];
  for (const [name, words, config, channel] of table)
    test(`${name} is stopped`, async () => {
      await blocked(words, [config ?? secret()], channel);
    });

  test("the second of two requests is stopped, and told", async () => {
    const evil = "GET / HTTP/1.1\r\nHost: evil.com\r\n";
    const words = `${evil}\r\n${evil}${basic("u:$KEY").join(": ")}\r\n\r\n`;
    const { events } = await blocked(words, [secret()], tlsTo("evil.com"));
    const violation = events.find(({ kind }) => kind === "secret-violation");
    assert.ok(violation?.kind === "secret-violation" && violation.location === "basic-auth");
  });

  test("a coded body without a placeholder passes", async () => {
    const bytes = gzipSync("nothing").toString("latin1");
    const { seen } = await outcome(fixed(bytes, "Content-Encoding: gzip\r\n"), [inBody]);
    assert.equal(seen[0]?.body, bytes);
  });

  test("what comes back is scrubbed, and 401 is told, whether or not the body was kept back", async () => {
    const scrubbed = secret({ injection: { ...inBody.injection, headers: true }, scrubResponses: true });
    for (const expect of ["", "Expect: 100-continue\r\n"]) {
      const words = fixed("[$KEY]", `X-Key: $KEY\r\n${expect}`).replace("/f", "/401");
      const { seen, answers, refused } = await outcome(words, [scrubbed]);
      assert.equal(seen[0]?.body, `[${real}]`);
      assert.ok(!answers.includes(real));
      assert.match(answers, /x-echo: \$KEY\r\n/);
      assert.match(answers, /<\[\$KEY\]>/);
      assert.deepEqual(refused, ["KEY"]);
    }
  });
});
