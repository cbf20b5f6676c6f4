import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import {
  Agent,
  createServer,
  request,
  type IncomingMessage,
  type RequestOptions,
  type Server,
} from "node:http";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import {
  type OpenInspector,
  openInspector,
  replacing,
} from "../../../../test/support/http1/open-inspector.ts";
import {
  listening,
  portOf,
  RawClient,
  RelayedServer,
} from "../../../../test/support/http1/relayed-server.ts";
import type { Inspector } from "../../http/inspector.ts";
import { Blocked } from "../../http/inspector.ts";
import { fieldValues, type RequestHead } from "../../http/message.ts";

const head = "Host: a.test\r\n";
const get = `GET / HTTP/1.1\r\n${head}\r\n`;

/** What the server has seen. */
interface Seen {
  readonly line: string;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
}

describe("an HTTP/1 connection that is relayed", () => {
  let server: Server;
  let seen: Seen[] = [];
  before(async () => {
    server = await listening(
      createServer((incoming, response) => {
        void text(incoming).then((body) => {
          const line = `${String(incoming.method)} ${String(incoming.url)}`;
          seen.push({ line, rawHeaders: incoming.rawHeaders, body, trailers: incoming.trailers });
          if (incoming.url === "/chunked") {
            response.write("one");
            response.addTrailers({ sum: "1" });
            response.end("two");
          } else if (incoming.url === "/none") response.writeHead(204).end();
          else if (incoming.url === "/not-modified") response.writeHead(304, { etag: '"1"' }).end();
          else {
            const answer = `${line} ${body}`;
            response.writeHead(200, { "content-length": Buffer.byteLength(answer) }).end(answer);
          }
        });
      }),
    );
  });
  after(() => server.close());

  async function relayed(
    changes: Partial<Inspector> = {},
  ): Promise<OpenInspector & { to: RelayedServer } & AsyncDisposable> {
    const open = openInspector(changes);
    const to = await RelayedServer.start(portOf(server), open.inspector);
    seen = [];
    return { ...open, to, [Symbol.asyncDispose]: () => to[Symbol.asyncDispose]() };
  }

  /** Everything that is answered to these words, after which the client says nothing more. */
  async function said(to: RelayedServer, words: string): Promise<string> {
    const client = new RawClient(to.port).say(words).end();
    const all = await client.all();
    assert.deepEqual(await to.ends[0], { kind: "closed" });
    return all;
  }

  const bodies = (all: string): string[] =>
    [...all.matchAll(/\r\n\r\n([^\r\n]*?)(?=HTTP\/1|$)/g)].map(([, body]) => body ?? "");

  it("carries requests of Node's client, on one connection", async () => {
    await using relay = await relayed();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (const [options, body, expected] of [
      [{ path: "/1" }, "", "GET /1 "],
      [{ method: "POST", path: "/2", headers: { "content-length": 5 } }, "hello", "POST /2 hello"],
      [{ method: "PUT", path: "/3" }, "in chunks", "PUT /3 in chunks"],
      [{ method: "HEAD", path: "/4" }, "", ""],
      [{ path: "/none" }, "", ""],
      [{ path: "/not-modified" }, "", ""],
      [{ path: "/chunked" }, "", "onetwo"],
    ] as const satisfies [RequestOptions, string, string][]) {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        request({ host: "127.0.0.1", port: relay.to.port, agent, ...options }, resolve)
          .on("error", reject)
          .end(body);
      });
      assert.equal(await text(response), expected);
    }
    agent.destroy();
    assert.equal(relay.to.ends.length, 1);
    assert.deepEqual(relay.reasons, []);
  });

  it("is passed on byte for byte", async () => {
    await using relay = await relayed();
    const words =
      "POST /a?b=%20 HTTP/1.1\r\nhOST:a.test\r\nX:  two\t \r\nX: \xe9\r\ncontent-length:2\r\n\r\nhi";
    assert.match(await said(relay.to, words), /\r\n\r\nPOST \/a\?b=%20 hi$/);
    assert.deepEqual(seen[0]?.rawHeaders, ["hOST", "a.test", "X", "two", "X", "\xe9", "content-length", "2"]);
  });

  it("keeps the order of pipelined requests, those that are answered here too", async () => {
    await using relay = await relayed({
      request: (asked) =>
        asked.target.startsWith("/denied")
          ? { kind: "answer", head: { status: 403, fields: [["X-Why", "rule"]] }, body: Buffer.from("no") }
          : { kind: "forward", head: asked, body: null },
    });
    const words = ["/1", "/denied", "/2", "/denied/too", "/denied", "/3"].map(
      (path) => `GET ${path} HTTP/1.1\r\n${head}\r\n`,
    );
    const all = await said(relay.to, words.join(""));
    assert.deepEqual(bodies(all), ["GET /1 ", "no", "GET /2 ", "no", "no", "GET /3 "]);
    assert.match(all, /HTTP\/1.1 403 Forbidden\r\nX-Why: rule\r\nContent-Length: 2\r\n\r\nno/);
    assert.deepEqual(
      seen.map(({ line }) => line),
      ["GET /1", "GET /2", "GET /3"],
    );
  });

  it("drops the body of what is answered here, and goes on", async () => {
    await using relay = await relayed({
      request: (asked) =>
        asked.method === "POST"
          ? { kind: "answer", head: { status: 403, fields: [] }, body: Buffer.from("no") }
          : { kind: "forward", head: asked, body: null },
    });
    const all = await said(
      relay.to,
      `POST / HTTP/1.1\r\n${head}Content-Length: ${get.length}\r\n\r\n${get}${get}`,
    );
    assert.deepEqual(bodies(all), ["no", "GET / "]);
    assert.equal(seen.length, 1);
  });

  it("closes after an answer to what may have any body", async () => {
    for (const fields of [
      "Transfer-Encoding: chunked",
      "Content-Length: 9999999",
      "Content-Length: 9\r\nExpect: 100-continue",
    ]) {
      await using relay = await relayed({
        request: () => ({ kind: "answer", head: { status: 403, fields: [] }, body: Buffer.from("no") }),
      });
      const all = await said(relay.to, `POST / HTTP/1.1\r\n${head}${fields}\r\n\r\n`);
      assert.equal(all, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
      assert.equal(seen.length, 0);
    }
  });

  it("has heads and bodies changed", async () => {
    const withKey = (asked: RequestHead): RequestHead => ({
      ...asked,
      fields: asked.fields.map(([name, value]) => [name, value.replace("$KEY", "secret")]),
    });
    await using relay = await relayed({
      request: async (asked) => ({
        kind: "forward",
        head: withKey(asked),
        body: replacing("$KEY", "secret"),
      }),
    });
    const words =
      `POST /1 HTTP/1.1\r\n${head}Content-Length: 8\r\nX: $KEY\r\n\r\na $KEY b` +
      `POST /2 HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n3\r\n$KE\r\n3;x\r\nY b\r\n0\r\nSum: 1\r\n\r\n` +
      `POST /3 HTTP/1.1\r\n${head}X: $KEY\r\n\r\n`;
    assert.deepEqual(bodies(await said(relay.to, words)), [
      "POST /1 a secret b",
      "POST /2 secret b",
      "POST /3 ",
    ]);
    assert.deepEqual(seen[0]?.rawHeaders, ["Host", "a.test", "Content-Length", "10", "X", "secret"]);
    assert.deepEqual(seen[1]?.trailers, { sum: "1" });
    assert.deepEqual(seen[2]?.rawHeaders, ["Host", "a.test", "X", "secret"]);
  });

  it("breaks off both ends when it is blocked", async () => {
    for (const act of [
      {
        request: () => {
          throw new Blocked("no");
        },
      },
      { request: () => Promise.reject(new Blocked("no")) },
      {
        request: (asked: RequestHead) => ({
          kind: "forward" as const,
          head: asked,
          body: {
            changesLength: false,
            push: () => {
              throw new Blocked("no");
            },
            end: () => [],
          },
        }),
      },
      {
        response: () => {
          throw new Blocked("no");
        },
      },
      { response: () => Promise.reject(new Blocked("no")) },
    ] satisfies Partial<Inspector>[]) {
      await using relay = await relayed(act);
      const client = new RawClient(relay.to.port).say(
        `POST / HTTP/1.1\r\n${head}Content-Length: 2\r\n\r\nhi`,
      );
      assert.equal(await client.over, "reset");
      assert.deepEqual(await relay.to.ends[0], { kind: "blocked", error: null });
      assert.equal(client.heard, "");
    }
  });

  it("tells its inspector what is malformed, and lets nothing of it out", async () => {
    await using relay = await relayed();
    const client = new RawClient(relay.to.port).say(`${get}GET /2 HTTP/1.1\r\nHost : a\r\n\r\n${get}`);
    assert.equal(await client.over, "reset");
    assert.equal(relay.reasons.length, 1);
    assert.ok(seen.every(({ line }) => line === "GET /"));
  });

  it("uploads and downloads as it is", async () => {
    await using relay = await relayed();
    const body = randomBytes(3_000_000).toString("base64");
    const answer = await fetch(`http://127.0.0.1:${relay.to.port}/big`, {
      method: "POST",
      body,
      headers: { connection: "close" },
    });
    assert.equal(hash(await answer.text()), hash(`POST /big ${body}`));
    assert.deepEqual(fieldValues(relay.heads[0]?.fields ?? [], "content-length"), [String(body.length)]);
  });
});

function hash(data: string): string {
  return createHash("sha256").update(data).digest("hex");
}
