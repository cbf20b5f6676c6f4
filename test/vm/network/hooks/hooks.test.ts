import "../../../internet/namespace.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  InvalidConfigError,
  Sandbox,
  UnsupportedOperationError,
  type HookedRequestHead,
  type RequestHook,
  type ResponseHook,
} from "../../../../src/index.ts";
import { EchoServer } from "../../../internet/echo-server.ts";
import type { Needs } from "../../tags.ts";
import { onTheInternet, said, succeeds, useInternet } from "../network-support.ts";

export const needs: Needs = ["running", "internet"];

// Functions of this program between a guest's curl and a real server.

const timeout = 180_000;
const value = "sk-live-71f0c2d94be8-value";
const { internet } = await useInternet();
const server = await EchoServer.start(internet.certificates, 8443, 8080);
after(() => server[Symbol.asyncDispose]());

const ways = [
  { name: "HTTP/2", curl: "curl -sS --http2", url: "https://api.example.com:8443" },
  { name: "HTTP/1.1 over TLS", curl: "curl -sS --http1.1", url: "https://api.example.com:8443" },
  { name: "HTTP/1.1 without TLS", curl: "curl -sS", url: "http://api.example.com:8080" },
] as const;

/** All that the functions were told. */
const told: string[] = [];
let waiting = Promise.withResolvers<undefined>();
let gone = Promise.withResolvers<undefined>();
let sandbox: Sandbox;

const upper = async function* (body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of body) yield bytes.map((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte));
};

const pathOf = ({ url }: HookedRequestHead): string => new URL(url).pathname;

const onRequest: RequestHook = async (request, { signal }) => {
  const { method, url, headers, body } = request;
  told.push(JSON.stringify({ method, url, headers }));
  switch (pathOf(request)) {
    case "/made":
      return { status: 203, headers: { "x-made": "here" }, body: `made for ${method}\n` };
    case "/up":
      return { body: upper(body ?? new Blob([]).stream()) };
    case "/throws":
      throw new Error(`the password is ${value}`);
    case "/waits":
      waiting.resolve(undefined);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      gone.resolve(undefined);
      return null;
    default:
      return { url: `${url}?by=hook`, headers: [...headers, ["x-hooked", "yes"]] };
  }
};

const onResponse: ResponseHook = ({ headers, body }, request) => {
  told.push(JSON.stringify({ headers, request }));
  const path = pathOf(request);
  const own = { headers: [...headers, ["x-answered", path] as const] };
  return path === "/down" && body !== null ? { ...own, body: upper(body) } : own;
};

const make = (name: string) =>
  onTheInternet(name)
    .network((n) =>
      n
        .tls((t) => t.interceptedPorts([443, 8443]).upstreamCaCert(internet.certificates.caFile))
        .http((h) => h.onRequest(onRequest).onResponse(onResponse).hookTimeoutMs(5_000)),
    )
    .secret((s) => s.env("API_KEY").value(value).allow("api.example.com").scrubResponses(true));

before(async () => {
  sandbox = await make("hooks").create();
});

test("heads are changed, and a function sees the placeholder and never the value", { timeout }, async () => {
  for (const { name, curl, url } of ways) {
    const key = url.startsWith("https") ? '-H "x-key: $API_KEY"' : "";
    const printed = await succeeds(sandbox, `${curl} -D - ${key} ${url}/plain`);
    const [visit] = server.take();
    assert.deepEqual([visit?.url, visit?.headers["x-hooked"]], ["/plain?by=hook", "yes"], name);
    assert.match(printed, /x-answered: \/plain/i);
    if (key === "") continue;
    assert.equal(visit?.headers["x-key"], value);
    assert.match(printed, /x-key-was: \$MSB_API_KEY/i);
  }
  assert.ok(told.some((one) => one.includes("$MSB_API_KEY")));
  assert.ok(!told.some((one) => one.includes(value)));
});

test(
  "answers are made without the server, and bodies go through a function both ways",
  { timeout },
  async () => {
    for (const { name, curl, url } of ways) {
      assert.match(
        await succeeds(sandbox, `${curl} -i ${url}/made`),
        /203[^]*x-made: here[^]*made for GET/i,
        name,
      );
      assert.deepEqual(server.take(), []);
      assert.equal(await succeeds(sandbox, `${curl} -d 'some words' ${url}/up`), "SOME WORDS", name);
      assert.equal(await succeeds(sandbox, `${curl} -d 'some words' ${url}/down`), "SOME WORDS", name);
      assert.equal(await succeeds(sandbox, `${curl} -d 'some words' ${url}/as-is`), "some words", name);
      const sum = "head -c 1048576 /dev/zero | tr '\\0' 'a' |";
      const large = await succeeds(
        sandbox,
        `${sum} ${curl} -T - -H 'Expect:' ${url}/up | tr -d '\\n' | tr 'A' 'a' | cksum; ${sum} cksum`,
      );
      const [came, went] = large.split("\n");
      assert.equal(came, went, name);
      server.take();
    }
  },
);

test(
  "a function that throws or takes too long fails its request, and nothing of its words gets out",
  { timeout },
  async () => {
    for (const { name, curl, url } of ways) {
      const thrown = await said(sandbox, `${curl} -i ${url}/throws`);
      assert.match(thrown, /502[^]*"hook_failed"/, name);
      assert.ok(!thrown.includes("password") && !thrown.includes(value));
      assert.match(await said(sandbox, `${curl} -i ${url}/waits`), /504[^]*"hook_timeout"/, name);
      assert.deepEqual(server.take(), []);
    }
    const outcomes: string[] = [];
    for await (const event of sandbox.networkEvents())
      if (event.kind === "http" && event.outcome === "hook-failed")
        outcomes.push(`${event.path} ${String(event.reason)}`);
    const expected = [
      "/throws the function onRequest failed",
      "/waits the function onRequest has not answered in time",
    ];
    assert.deepEqual([...new Set(outcomes)].sort(), expected);
    assert.ok(!outcomes.some((reason) => reason.includes(value)));
  },
);

test("a function hears that the guest's program is gone", { timeout }, async () => {
  for (const { curl, url } of ways.slice(0, 2)) {
    const before = await lateOnes();
    waiting = Promise.withResolvers();
    gone = Promise.withResolvers();
    const guest = said(sandbox, `${curl} ${url}/waits & echo $! >/tmp/curl.pid; wait`);
    await waiting.promise;
    await said(sandbox, "kill -9 $(cat /tmp/curl.pid)");
    await gone.promise;
    await guest;
    // It was not its time that was over.
    assert.equal(await lateOnes(), before);
  }
});

async function lateOnes(): Promise<number> {
  let count = 0;
  for await (const event of sandbox.networkEvents())
    if (event.kind === "http" && event.reason?.includes("in time") === true) count++;
  return count;
}

test(
  "a sandbox with functions is not left without its program, nor started without them",
  { timeout },
  async () => {
    await assert.rejects(sandbox.detach(), UnsupportedOperationError);
    await assert.rejects(make("detached").createDetached(), UnsupportedOperationError);
    await sandbox.stop();
    const handle = await Sandbox.get("hooks");
    assert.equal(handle.config().network?.http?.hooks.onRequest, true);
    await assert.rejects(handle.start(), InvalidConfigError);
    await assert.rejects(
      handle.startDetached({ hooks: { onRequest, onResponse } }),
      UnsupportedOperationError,
    );
    sandbox = await handle.start({
      hooks: { onRequest: () => ({ status: 200, body: "another\n" }), onResponse },
    });
    assert.equal(await succeeds(sandbox, `curl -sS ${ways[0].url}/`), "another");
  },
);
