import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { createConnection, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { textOf } from "../support/hooks/asking-client.ts";
import { type HookedOptions, hookedRelay } from "../support/hooks/hooked-relay.ts";

// What a program's functions do to HTTP/1, byte by byte.

const echo: RequestListener = (request, response) => {
  void textOf(request).then((body) => {
    const { method, url, headers, trailers } = request;
    response.end(JSON.stringify({ method, url, headers, trailers, body }));
  });
};

class Wire {
  readonly socket: Socket;
  #heard = "";
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.socket = createConnection({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.on("data", (bytes) => {
      this.#heard += bytes.toString("latin1");
      this.#wake();
    });
    this.socket.on("error", () => undefined);
    this.socket.on("close", () => this.#wake());
    this.socket.on("end", () => this.#wake());
  }

  say(words: string): this {
    this.socket.write(Buffer.from(words, "latin1"));
    return this;
  }

  /** Waits until this has come, and takes all to its end. */
  async hears(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.#heard);
      if (found !== null) {
        const end = found.index + found[0].length;
        const text = this.#heard.slice(0, end);
        this.#heard = this.#heard.slice(end);
        return text;
      }
      if (this.socket.readableEnded || this.socket.destroyed)
        throw new Error(`the end came after ${JSON.stringify(this.#heard)}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

async function wired(
  t: TestContext,
  hooks: Omit<HookedOptions, "version" | "answer"> & Partial<Pick<HookedOptions, "answer">>,
): Promise<Wire> {
  t.mock.method(process, "emitWarning", () => undefined);
  const { port } = await hookedRelay(t, { version: "1.1", answer: echo, ...hooks });
  const wire = new Wire(port);
  t.after(() => wire.socket.destroy());
  return wire;
}

const upper = async function* (body: AsyncIterable<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  for await (const bytes of body ?? []) yield Buffer.from(Buffer.from(bytes).toString().toUpperCase());
};

test("100-continue is answered here as soon as a function reads, and the server is not asked for it", async (t) => {
  const wire = await wired(t, {
    onRequest: async ({ body }) => ({ body: (await textOfBody(body)).toUpperCase() }),
  });
  wire.say("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  await wire.hears(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
  wire.say("hello");
  const answer = await wire.hears(/"body":"HELLO"\}/);
  assert.doesNotMatch(answer, /100 Continue|"expect"/);
});

test("a made answer to a request that waits for 100 ends its connection", async (t) => {
  const wire = await wired(t, { onRequest: () => ({ status: 403, body: "no" }) });
  wire.say("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  assert.match(await wire.hears(/\r\n\r\nno/), /^HTTP\/1\.1 403 [^]*Connection: close/);
  await once(wire.socket, "end");
});

test("requests that follow each other are answered in their order, whoever makes the answers", async (t) => {
  const wire = await wired(t, {
    onRequest: async ({ url }) => {
      if (!url.endsWith("/made")) return null;
      await new Promise((resolve) => setImmediate(resolve));
      return { status: 200, body: upper(new Blob(["made"]).stream()) };
    },
    onResponse: ({ body }, { url }) => (url.endsWith("/up") ? { body: upper(body) } : undefined),
  });
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
  wire.say(get("/1") + get("/made") + get("/up") + get("/made") + get("/made") + get("/2"));
  const all = await wire.hears(/"url":"\/2"[^]*\}/);
  const order = [...all.matchAll(/MADE|"(?:url|URL)":"(\/\w+)"/g)].map(([found, url]) => url ?? found);
  assert.deepEqual(order, ["/1", "MADE", "/UP", "MADE", "MADE", "/2"]);
});

test("what is in chunks stays so, with its trailers; what says its length and is made anew does too", async (t) => {
  const wire = await wired(t, {
    onRequest: async ({ url, body }) => {
      if (!url.endsWith("/read")) return { body: upper(body) };
      await textOfBody(body);
      return null;
    },
  });
  for (const [path, body] of [
    ["/read", "hello"],
    ["/made", "HELLO"],
  ]) {
    wire.say(
      `POST ${String(path)} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n`,
    );
    wire.say("2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 7\r\n\r\n");
    const answer = await wire.hears(/"body":"\w+"\}/);
    assert.match(
      answer,
      new RegExp(`"transfer-encoding":"chunked"[^]*"x-sum":"7"[^]*"body":"${String(body)}"`),
    );
  }
  wire.say("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  assert.match(await wire.hears(/"body":"hello"\}/), /"content-length":"5"/);
});

test("HTTP/1.0 gets no chunks: a request's length is said first, and an answer ends with its connection", async (t) => {
  const wire = await wired(t, {
    onRequest: ({ body }) => ({ body: upper(body) }),
    onResponse: ({ body }) => ({ body: upper(body) }),
  });
  wire.say("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  const answer = await wire.hears(/"BODY":"HELLO"\}/);
  assert.match(answer, /"CONTENT-LENGTH":"5"/);
  assert.doesNotMatch(answer, /chunked/i);
  await once(wire.socket, "end");
});

test("another protocol begins behind the functions, which see the heads and no more", async (t) => {
  const seen: string[] = [];
  const server: RequestListener = () => assert.fail("it is an upgrade");
  const wire = await wired(t, {
    onRequest: ({ headers, body }) => {
      seen.push(`request ${body === null ? "without" : "with"} a body`);
      return { headers: [...headers.filter(([name]) => name !== "Connection"), ["x-a", "b"]] };
    },
    onResponse: ({ status, headers, body }) => {
      seen.push(`${status} ${body === null ? "without" : "with"} a body`);
      return { headers: [...headers, ["x-c", "d"]] };
    },
    answer: server,
    upgrade: (request: IncomingMessage, socket: Socket) => {
      assert.equal(request.headers["x-a"], "b");
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      socket.pipe(socket);
    },
  });
  wire.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  assert.match(await wire.hears(/\r\n\r\n/), /^HTTP\/1\.1 101 [^]*x-c: d/);
  wire.say("raw bytes");
  await wire.hears(/^raw bytes/);
  assert.deepEqual(seen, ["request without a body", "101 without a body"]);
});

test("an answer that is replaced does not hold up the connection for the rest of the server's", async (t) => {
  const wire = await wired(t, {
    onResponse: () => ({ body: "instead" }),
    answer: (request: IncomingMessage, response: ServerResponse) => {
      response.write("begun");
      if (request.url === "/short") response.end(" and ended");
    },
  });
  wire.say("GET /short HTTP/1.1\r\nHost: a\r\n\r\n");
  await wire.hears(/instead/);
  wire.say("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
  await wire.hears(/instead/);
  // The server would never end it.
  await once(wire.socket, "end");
});

test("a client that only says that it has no more requests gets its answer", async (t) => {
  const wire = await wired(t, {
    onRequest: async () => {
      await new Promise((resolve) => setImmediate(resolve));
    },
  });
  wire.socket.end("GET /last HTTP/1.1\r\nHost: a\r\n\r\n");
  await wire.hears(/"url":"\/last"/);
});

async function textOfBody(body: AsyncIterable<Uint8Array> | null): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const bytes of body ?? []) pieces.push(bytes);
  return Buffer.concat(pieces).toString();
}
