import assert from "node:assert/strict";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { test, type TestContext } from "node:test";
import type { HookedField } from "../../src/config/network/interception/http-hooks.ts";
import type { HttpSeen } from "../../src/network/events.ts";
import { AskingClient, textOf } from "../support/hooks/asking-client.ts";
import {
  type HookedOptions,
  type HookedRelay,
  hookedRelay,
  type Version,
} from "../support/hooks/hooked-relay.ts";

// Functions of a program over its real connection, and both relays, between a real client and a real server.

/** Says what it was sent. */
const echo: RequestListener = (request, response) => {
  void (async () => {
    const body = await textOf(request);
    response.setHeader("x-server", "real");
    response.end(
      JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body }),
    );
  })();
};

interface Heard {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface Talk extends HookedRelay {
  readonly client: AskingClient;
  readonly heard: (...asked: Parameters<AskingClient["ask"]>) => Promise<Heard>;
  readonly seen: () => HttpSeen[];
}

const both = ["1.1", "2"] as const;

function withBoth(
  name: string,
  hooks: (
    version: Version,
  ) => Omit<HookedOptions, "version" | "answer"> & Partial<Pick<HookedOptions, "answer">>,
  act: (talk: Talk, t: TestContext) => Promise<void>,
): void {
  for (const version of both)
    test(`${name} (HTTP/${version})`, { timeout: 30_000 }, async (t) => {
      const warnings: string[] = [];
      t.mock.method(process, "emitWarning", (message: string) => warnings.push(message));
      const relay = await hookedRelay(t, { version, answer: echo, ...hooks(version) });
      const client = new AskingClient(version, relay.port);
      t.after(() => client.close());
      const heard = async (...asked: Parameters<AskingClient["ask"]>): Promise<Heard> => {
        const { status, body } = await client.ask(...asked);
        assert.equal(status, 200, body);
        return JSON.parse(body) as Heard;
      };
      const seen = (): HttpSeen[] => relay.events.filter((event) => event.kind === "http");
      await act({ ...relay, client, heard, seen }, t);
    });
}

const upper = async function* (body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of body) yield Buffer.from(Buffer.from(bytes).toString().toUpperCase());
};

withBoth(
  "a function sees the placeholder and changes all of a head but its host",
  () => ({
    onRequest: ({ method, url, headers, body }) => {
      assert.doesNotMatch(JSON.stringify(headers), /real-value/);
      assert.equal(body, null);
      assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/old\?q=1$/);
      assert.equal(method, "GET");
      return {
        method: "OPTIONS",
        url: url.replace("/old?q=1", "/new?q=2"),
        headers: [...headers, ["x-auth", "Bearer $KEY"]],
      };
    },
    onResponse: ({ status, headers }, request) => {
      assert.doesNotMatch(JSON.stringify(request), /real-value/);
      assert.equal(request.method, "OPTIONS");
      return {
        status: status + 1,
        headers: { "x-of": new Map<string, string>(headers).get("x-server") ?? "" },
      };
    },
  }),
  async ({ client, seen }) => {
    const { status, headers, body } = await client.ask("GET", "/old?q=1", { "x-key": "$KEY" });
    assert.equal(status, 201);
    assert.equal(headers["x-of"], "real");
    assert.equal(headers["x-server"], undefined);
    const heard = JSON.parse(body) as Heard;
    assert.deepEqual([heard.method, heard.url], ["OPTIONS", "/new?q=2"]);
    assert.equal(heard.headers["x-key"], "real-value");
    assert.equal(heard.headers["x-auth"], "Bearer real-value");
    assert.deepEqual(
      seen().map(({ outcome, path, secrets }) => [outcome, path, secrets]),
      [["forwarded", "/new", ["KEY"]]],
    );
  },
);

withBoth(
  "nothing said leaves all as it is, and a body that nobody reads does not travel",
  () => ({ onRequest: () => undefined, onResponse: async () => null }),
  async ({ heard, toProgram }) => {
    const body = "x".repeat(1_000_000);
    const { body: same } = await heard("POST", "/", { "content-type": "text/plain" }, body);
    assert.equal(same.length, body.length);
    assert.ok(toProgram() < 10_000, String(toProgram()));
  },
);

withBoth(
  "an answer is made without the server, in one piece or in many",
  () => ({
    onRequest: ({ url }) =>
      url.endsWith("/short")
        ? { status: 418, headers: { "x-tea": "yes" }, body: "tea\n" }
        : url.endsWith("/none")
          ? { status: 204 }
          : {
              status: 200,
              body: (async function* () {
                yield Buffer.from("one ");
                yield Buffer.from("two");
              })(),
            },
  }),
  async ({ client, seen }) => {
    const short = await client.ask("GET", "/short");
    assert.deepEqual([short.status, short.headers["x-tea"], short.body], [418, "yes", "tea\n"]);
    assert.equal((await client.ask("GET", "/long")).body, "one two");
    const none = await client.ask("GET", "/none");
    assert.deepEqual([none.status, none.body, none.headers["content-length"]], [204, "", undefined]);
    assert.equal((await client.ask("HEAD", "/short")).status, 418);
    assert.equal((await client.ask("POST", "/long", {}, "dropped")).body, "one two");
    assert.ok(seen().every(({ outcome }) => outcome === "answered"));
  },
);

withBoth(
  "bodies go through a function in both directions",
  () => ({
    onRequest: ({ body }) => (body === null ? undefined : { body: upper(body) }),
    onResponse: ({ body }) => (body === null ? undefined : { body: upper(body) }),
  }),
  async ({ client }) => {
    const told = await client.ask("POST", "/", { "content-type": "text/plain" }, "quiet words");
    assert.match(told.body, /"BODY":"QUIET WORDS"/);
    assert.match((await client.ask("GET", "/x")).body, /"URL":"\/X"/);
  },
);

withBoth(
  "a body is replaced, or taken away, with its length kept right",
  () => ({
    onRequest: ({ url }) => ({ body: url.endsWith("/none") ? null : "instead" }),
    onResponse: () => ({ body: new TextEncoder().encode("something else") }),
  }),
  async ({ client }) => {
    const { headers, body } = await client.ask("POST", "/", {}, "what was said");
    assert.equal(body, "something else");
    assert.equal(headers["content-length"], "14");
    assert.equal((await client.ask("POST", "/none", {}, "what was said")).body, "something else");
  },
);

withBoth(
  "what is put in place of a request has its placeholders replaced, and its length said",
  () => ({ onRequest: ({ url }) => ({ body: url.endsWith("/none") ? null : "instead" }) }),
  async ({ heard }) => {
    const one = await heard("POST", "/", {}, "what was said");
    assert.deepEqual([one.body, one.headers["content-length"]], ["instead", "7"]);
    const none = await heard("POST", "/none", {}, "what was said");
    assert.equal(none.body, "");
    assert.equal((await heard("GET", "/")).body, "instead");
  },
);

withBoth(
  "a body that is read and left alone is sent all the same, whether or not all of it was read",
  () => ({
    onRequest: async ({ url, body }) => {
      assert.ok(body !== null);
      if (url.endsWith("/all")) {
        for await (const bytes of body) assert.ok(bytes.length > 0);
      } else {
        const reader = body.getReader();
        await reader.read();
        reader.releaseLock();
      }
      return { headers: { "x-read": "yes" } };
    },
    onResponse: async ({ body }) => {
      assert.ok(body !== null);
      for await (const bytes of body) {
        assert.ok(bytes.length > 0);
        break;
      }
    },
  }),
  async ({ heard }) => {
    const body = "0123456789".repeat(100_000);
    for (const path of ["/all", "/first"]) {
      const one = await heard("POST", path, { "content-type": "text/plain" }, body);
      assert.equal(one.headers["x-read"], "yes");
      assert.ok(one.body === body);
    }
  },
);

withBoth(
  "more of a body than can be kept is refused before the function decides",
  () => ({
    onRequest: async ({ body }) => {
      for await (const bytes of body ?? []) assert.ok(bytes.length > 0);
    },
  }),
  async ({ client }) => {
    const exchange = client.begin("POST", "/");
    exchange.body.on("error", () => undefined);
    const piece = Buffer.alloc(1024 * 1024);
    let sent = 0;
    const send = (): void => {
      while (sent < 20 && !exchange.body.destroyed) {
        sent++;
        if (!exchange.body.write(piece)) {
          exchange.body.once("drain", send);
          return;
        }
      }
    };
    send();
    const { status, stream } = await exchange.answered;
    assert.equal(status, 502);
    assert.match(await textOf(stream).catch(() => "hook_failed"), /hook_failed/);
    exchange.abort();
  },
);

withBoth(
  "a function that throws, or gives what is none, is a 502 that says nothing of its words",
  () => ({
    onRequest: ({ url }) => {
      if (url.endsWith("/throws")) throw new Error("password=hunter2");
      if (url.endsWith("/wrong")) return { headres: [] } as never;
      if (url.endsWith("/type")) return { status: "200" } as never;
      if (url.endsWith("/line")) return { headers: { "x-a": "b\r\nc: d" } };
      if (url.endsWith("/host")) return { url: "http://evil.example/" };
      if (url.endsWith("/field")) return { headers: { Host: "evil.example" } };
      if (url.endsWith("/head")) return { method: "HEAD" };
      return undefined;
    },
    onResponse: (_, { url }) => {
      if (url.endsWith("/answer")) throw new Error("password=hunter2");
      return null;
    },
  }),
  async ({ client, seen }) => {
    const paths = ["/throws", "/wrong", "/type", "/line", "/host", "/field", "/head", "/answer"];
    for (const path of paths) {
      const { status, headers, body } = await client.ask("GET", path);
      assert.equal(status, 502, path);
      assert.equal(headers["x-microsandbox-hook"], "hook_failed");
      assert.equal((JSON.parse(body) as { error: string }).error, "hook_failed");
      assert.doesNotMatch(body, /hunter2/);
    }
    const failed = seen().filter(({ outcome }) => outcome === "hook-failed");
    assert.equal(failed.length, paths.length);
    assert.doesNotMatch(JSON.stringify(failed), /hunter2/);
    const warned = (process.emitWarning as unknown as { mock: { calls: { arguments: string[] }[] } }).mock
      .calls;
    assert.deepEqual(
      warned.map(({ arguments: [message] }) => message),
      ["the function onRequest failed: password=hunter2", "the function onResponse failed: password=hunter2"],
    );
  },
);

withBoth(
  "a function that takes too long is a 504, and is told so",
  () => ({
    timeoutMs: 20,
    onRequest: async ({ url }, { signal }) => {
      if (!url.endsWith("/slow")) return;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      told.push(signal.aborted);
    },
    onResponse: async (_, { url }, { signal }) => {
      if (!url.endsWith("/answer")) return;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      told.push(signal.aborted);
    },
  }),
  async ({ client }) => {
    told.length = 0;
    for (const path of ["/slow", "/answer"]) {
      const { status, headers } = await client.ask("GET", path);
      assert.deepEqual([status, headers["x-microsandbox-hook"]], [504, "hook_timeout"]);
    }
    assert.deepEqual(told, [true, true]);
  },
);
const told: boolean[] = [];

withBoth(
  "a guest that goes away takes the function's time with it",
  () => {
    return {
      onRequest: async (_, { signal }) => {
        began.resolve(undefined);
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        gone.resolve(undefined);
      },
    };
  },
  async ({ client }) => {
    began = Promise.withResolvers();
    gone = Promise.withResolvers();
    const exchange = client.begin("GET", "/");
    exchange.body.end();
    await began.promise;
    exchange.abort();
    await gone.promise;
  },
);
let began = Promise.withResolvers<undefined>();
let gone = Promise.withResolvers<undefined>();

withBoth(
  "rules are asked again about what a function sends",
  () => ({
    rules: [{ action: "deny", methods: [], host: "*", path: "/private/**" }],
    onRequest: ({ url }) => ({ url: url.replace("/public/", "/private/") }),
  }),
  async ({ client, seen }) => {
    assert.equal((await client.ask("GET", "/public/a")).status, 403);
    assert.equal((await client.ask("GET", "/private/a")).status, 403);
    assert.deepEqual(
      seen().map(({ outcome, path }) => [outcome, path]),
      [
        ["denied", "/private/a"],
        ["denied", "/private/a"],
      ],
    );
    assert.equal((await client.ask("GET", "/other")).status, 200);
  },
);

withBoth(
  "events of a server go through a function one by one, as they come",
  () => ({
    onResponse: ({ body }) => (body === null ? null : { body: upper(body) }),
    answer: (request, response) => {
      response.setHeader("content-type", "text/event-stream");
      response.write("data: one\n\n");
      (response as ServerResponse).once("close", () => undefined);
      next = () => response.write("data: two\n\n");
      end = () => response.end();
      request.resume();
    },
  }),
  async ({ client }) => {
    const exchange = client.begin("GET", "/events");
    exchange.body.end();
    const { stream } = await exchange.answered;
    const pieces = stream[Symbol.asyncIterator]();
    assert.equal(String((await pieces.next()).value), "DATA: ONE\n\n");
    next();
    assert.equal(String((await pieces.next()).value), "DATA: TWO\n\n");
    end();
    assert.equal((await pieces.next()).done, true);
  },
);
let next: () => void = () => undefined;
let end: () => void = () => undefined;

withBoth(
  "64 MiB go up through a function, and no side runs ahead of the other",
  () => ({
    onRequest: ({ body }) => ({
      body: (async function* () {
        for await (const bytes of body ?? []) {
          passed += bytes.length;
          most = Math.max(most, passed - arrived);
          yield bytes;
        }
      })(),
    }),
    answer: (request: IncomingMessage, response) => {
      request.on("data", (bytes: Buffer) => (arrived += bytes.length));
      request.on("end", () => response.end(String(arrived)));
    },
  }),
  async ({ client }) => {
    [passed, arrived, most] = [0, 0, 0];
    const exchange = client.begin("POST", "/up");
    const piece = Buffer.alloc(256 * 1024, "a");
    for (let n = 0; n < 256; n++)
      if (!exchange.body.write(piece)) await new Promise((resolve) => exchange.body.once("drain", resolve));
    exchange.body.end();
    const { stream } = await exchange.answered;
    assert.equal(await textOf(stream), String(64 * 1024 * 1024));
    assert.ok(most < 8 * 1024 * 1024, `${most} bytes were on their way`);
  },
);
let [passed, arrived, most] = [0, 0, 0];

withBoth(
  "a server that takes nothing keeps the function from making more",
  () => ({
    onRequest: () => ({
      body: (async function* () {
        for (;;) {
          made += 65_536;
          yield Buffer.alloc(65_536);
        }
      })(),
    }),
    answer: (request) => {
      stuck.resolve(request);
    },
  }),
  async ({ client }) => {
    made = 0;
    stuck = Promise.withResolvers();
    const exchange = client.begin("POST", "/");
    exchange.body.end("begin");
    await stuck.promise;
    // Until nothing has been made for some turns of the event loop.
    for (let before = -1; before !== made;) {
      before = made;
      for (let n = 0; n < 200; n++) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(made < 24 * 1024 * 1024, `${made} bytes were made`);
    exchange.abort();
  },
);
let made = 0;
let stuck = Promise.withResolvers<IncomingMessage>();

withBoth(
  "an answer comes while the guest still sends, and may be made of what it sends",
  () => ({
    onRequest: ({ url, body }) => {
      if (url.endsWith("/early")) return { status: 413, body: "too much" };
      return { status: 200, body: body === null ? "" : upper(body) };
    },
  }),
  async ({ client }) => {
    const early = client.begin("POST", "/early");
    early.body.write("some");
    const first = await early.answered;
    assert.deepEqual([first.status, await textOf(first.stream)], [413, "too much"]);
    early.abort();
    const echoed = client.begin("POST", "/echo");
    echoed.body.write("first ");
    const { stream } = await echoed.answered;
    const pieces = stream[Symbol.asyncIterator]();
    assert.equal(String((await pieces.next()).value), "FIRST ");
    echoed.body.end("last");
    assert.equal(String((await pieces.next()).value), "LAST");
  },
);

withBoth(
  "a body that fails on its way breaks off what it is part of, and is told",
  () => ({
    onResponse: () => ({
      body: (async function* () {
        yield Buffer.from("begun");
        throw new Error("hunter2");
      })(),
    }),
  }),
  async ({ client, seen }) => {
    const exchange = client.begin("GET", "/");
    exchange.body.end();
    const { stream } = await exchange.answered;
    await assert.rejects(textOf(stream));
    assert.deepEqual(
      seen().map(({ outcome }) => outcome),
      ["forwarded", "hook-failed"],
    );
  },
);

withBoth(
  "without its program nothing goes on",
  () => ({ onRequest: () => undefined }),
  async ({ client, killProgram, seen }) => {
    assert.equal((await client.ask("GET", "/")).status, 200);
    killProgram();
    const { status, headers } = await client.ask("GET", "/");
    assert.deepEqual([status, headers["x-microsandbox-hook"]], [503, "hook_unavailable"]);
    assert.equal(seen().at(-1)?.outcome, "hook-failed");
  },
);

withBoth(
  "answers without a body stay so, and scrubbing comes before the function",
  () => ({
    scrubResponses: true,
    onResponse: async ({ status, headers, body }) => {
      assert.doesNotMatch(JSON.stringify(headers), /real-value/);
      let text = "";
      for await (const bytes of body ?? []) text += Buffer.from(bytes).toString();
      read.push(`${status} ${text}`);
      return { headers: [...headers, ["x-seen", "yes"] satisfies HookedField] };
    },
    answer: (request, response) => {
      const status = Number(request.url?.slice(1));
      response.writeHead(status, { "x-echo": String(request.headers["x-key"]) });
      response.end(status === 200 ? `it is ${String(request.headers["x-key"])}` : undefined);
    },
  }),
  async ({ client }) => {
    read.length = 0;
    for (const [method, path] of [
      ["GET", "/200"],
      ["HEAD", "/200"],
      ["GET", "/204"],
      ["GET", "/304"],
    ] as const) {
      const { status, headers, body } = await client.ask(method, path, { "x-key": "$KEY" });
      assert.equal(`/${status}`, path);
      assert.equal(headers["x-seen"], "yes");
      assert.equal(headers["x-echo"], "$KEY");
      assert.equal(body, method === "GET" && status === 200 ? "it is $KEY" : "");
    }
    assert.deepEqual(read, ["200 it is $KEY", "200 ", "204 ", "304 "]);
  },
);
const read: string[] = [];

withBoth(
  "no more functions are called at once than a bound, and the rest wait their turn",
  () => ({
    onRequest: async () => {
      now++;
      highest = Math.max(highest, now);
      if (now === 128) release.resolve(undefined);
      await release.promise;
      await new Promise((resolve) => setImmediate(resolve));
      now--;
    },
  }),
  async ({ port }, t) => {
    [now, highest] = [0, 0];
    release = Promise.withResolvers();
    const version = t.name.includes("HTTP/2") ? "2" : "1.1";
    const clients = Array.from({ length: version === "2" ? 1 : 300 }, () => new AskingClient(version, port));
    const asked = Array.from({ length: 300 }, async (_, n) => clients[n % clients.length]?.ask("GET", "/"));
    for (const one of await Promise.all(asked)) assert.equal(one?.status, 200);
    assert.equal(highest, 128);
    for (const client of clients) client.close();
  },
);
let [now, highest] = [0, 0];
let release = Promise.withResolvers<undefined>();
