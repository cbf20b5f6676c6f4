import assert from "node:assert/strict";
import { createSecureContext } from "node:tls";
import { test } from "node:test";
import type { HttpConfig } from "../../config/network/interception/http-type.ts";
import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import type { HttpSeen, NetworkEvent } from "../events.ts";
import type { Channel } from "../http/channel.ts";
import {
  type Asking,
  Blocked,
  type BodyFilter,
  isMade,
  type MadeBody,
  type RequestVerdict,
} from "../http/inspector.ts";
import type { HttpField, RequestHead } from "../http/message.ts";
import { createInspector } from "./create-inspector.ts";
import type { HttpHooks, Interception } from "./interception.ts";

const secret: SecretConfig = {
  envVar: "KEY",
  placeholder: "$KEY",
  hosts: ["api.example.com"],
  source: { kind: "stored" },
  injection: { headers: true, basicAuth: true, queryParams: false, body: true },
  requireTlsIdentity: true,
  onViolation: null,
  scrubResponses: false,
};

function interception(more: Partial<Interception> = {}): Interception {
  const context = createSecureContext();
  return {
    tls: null,
    leaves: { contextFor: () => context },
    trust: { optionsFor: () => ({ secureContext: context, verify: true }) },
    secrets: [secret],
    secretViolation: { kind: "block-and-log" },
    values: { value: () => "real-value", refused: () => undefined },
    http: null,
    hooks: null,
    terminate: () => assert.fail("nothing is ended here"),
    ...more,
  };
}

function channel(more: Partial<Channel> = {}): Channel {
  return {
    kind: "tls",
    serverName: "api.example.com",
    isProved: true,
    address: "93.184.216.34",
    port: 443,
    isBoundTo: (matches) => matches("api.example.com"),
    ...more,
  };
}

function get(target: string, fields: readonly HttpField[] = [], host = "api.example.com"): RequestHead {
  return { version: "1.1", method: "GET", target, authority: null, fields: [["Host", host], ...fields] };
}

const asking: Asking = { hasBody: true, whenGone: () => () => undefined };

interface Looked {
  readonly verdict: RequestVerdict | Blocked;
  readonly http: HttpSeen[];
  readonly events: NetworkEvent[];
}

async function look(
  head: RequestHead,
  given: Partial<Interception> = {},
  on: Partial<Channel> = {},
): Promise<Looked> {
  const events: NetworkEvent[] = [];
  const inspector = createInspector(interception(given), channel(on), (event) => events.push(event));
  let verdict: RequestVerdict | Blocked;
  try {
    const said = await inspector.request(head, asking);
    assert.ok(said.kind !== "reading");
    verdict = said;
  } catch (error) {
    assert.ok(error instanceof Blocked, String(error));
    verdict = error;
  }
  return { verdict, events, http: events.filter((event) => event.kind === "http") };
}

function sent({ verdict }: Looked): RequestHead {
  assert.ok(!(verdict instanceof Blocked) && verdict.kind === "forward");
  return verdict.head;
}

test("a secret is put in, and told of by its name only", async () => {
  const looked = await look(get("/v1?x=1", [["Authorization", "Bearer $KEY"]]));
  assert.deepEqual(sent(looked).fields.at(-1), ["Authorization", "Bearer real-value"]);
  assert.equal(looked.http.length, 1);
  assert.deepEqual(
    { ...looked.http[0], timestampMs: 0 },
    {
      kind: "http",
      timestampMs: 0,
      address: "93.184.216.34",
      port: 443,
      version: "1.1",
      method: "GET",
      host: "api.example.com",
      path: "/v1",
      outcome: "forwarded",
      rule: null,
      secrets: ["KEY"],
      reason: null,
    },
  );
  assert.doesNotMatch(JSON.stringify(looked.events), /real-value/);
});

test("of a query, where values and placeholders may be, nothing is told", async () => {
  const injection = { headers: true, basicAuth: true, queryParams: true, body: true };
  const inQuery = { secrets: [{ ...secret, injection }] };
  const target = "/v1?k=$KEY&mark=1#mark";
  const violating = { ...inQuery.secrets[0], hosts: ["other.example.com"] } as SecretConfig;
  const rows: readonly (readonly [HttpSeen["outcome"] | null, RequestHead, Partial<Interception>])[] = [
    ["forwarded", get(target), inQuery],
    ["forwarded", { ...get(target), version: "2", authority: "api.example.com", fields: [] }, inQuery],
    ["forwarded", get(`https://api.example.com${target}`), inQuery],
    ["denied", get(target), { ...inQuery, http: { ...http, denyMessage: "{method} {host} {path}" } }],
    ["malformed", get(target, [], "evil.com"), inQuery],
    ["malformed", get(`ftp://api.example.com${target}`), inQuery],
    [null, get(target), { secrets: [violating] }],
  ];
  for (const [outcome, head, given] of rows) {
    const looked = await look(head, given);
    // It is told at the end of a body that is looked into.
    if (!(looked.verdict instanceof Blocked) && looked.verdict.kind === "forward") {
      const { body } = looked.verdict;
      if (body !== null && !isMade(body)) await body.end();
    }
    const [seen] = looked.events;
    assert.equal(seen?.kind === "http" ? seen.outcome : null, outcome);
    if (outcome === "forwarded") assert.match(sent(looked).target, /k=real-value&mark/);
    assert.equal(looked.events.length, 1);
    const told = [looked.events.map((event) => ({ ...event, placeholder: "" })), looked.verdict];
    const shown = JSON.stringify(outcome === "forwarded" ? told[0] : told, (_, value: unknown) =>
      value instanceof Error ? value.message : Buffer.isBuffer(value) ? value.toString() : value,
    );
    assert.doesNotMatch(shown, /real-value|\$KEY|mark/);
  }
});

test("a request that is not for the connection's host goes nowhere, whether it has a placeholder or not", async () => {
  for (const head of [
    get("/", [], "evil.com"),
    get("/", [["host", "api.example.com"]]),
    get("https://evil.com/"),
    get("/", [["X", "$KEY"]], "api.example.com.evil.com"),
  ]) {
    const looked = await look(head, { secrets: [] });
    assert.ok(looked.verdict instanceof Blocked);
    assert.deepEqual(
      looked.http.map(({ outcome }) => outcome),
      ["malformed"],
    );
  }
});

const http: HttpConfig = {
  rules: [
    { action: "allow", methods: ["GET"], host: "api.example.com", path: "/repos/**" },
    { action: "deny", methods: [], host: "*", path: null },
  ],
  denyResponse: true,
  denyMessage: null,
  hooks: { onRequest: false, onResponse: false, timeoutMs: 30_000 },
};

test("rules come before secrets, and what they refuse is answered", async () => {
  const allowed = await look(get("/repos/a", [["X", "$KEY"]]), { http });
  assert.deepEqual(sent(allowed).fields.at(-1), ["X", "real-value"]);
  assert.equal(allowed.http[0]?.rule, 0);
  const denied = await look(get("/user", [["X", "$KEY"]]), { http });
  assert.ok(!(denied.verdict instanceof Blocked) && denied.verdict.kind === "answer");
  assert.equal(denied.verdict.head.status, 403);
  assert.deepEqual(
    denied.http.map(({ outcome, rule }) => [outcome, rule]),
    [["denied", 1]],
  );
  const broken = await look(get("/user"), { http: { ...http, denyResponse: false } });
  assert.ok(broken.verdict instanceof Blocked);
});

test("on a connection without TLS rules count, and nobody has proved who it is", async () => {
  const plain = { kind: "plain", serverName: null, isProved: false, port: 80 } as const;
  assert.equal(sent(await look(get("/repos/a"), { http }, plain)).target, "/repos/a");
  const denied = await look(get("/user"), { http }, plain);
  assert.ok(!(denied.verdict instanceof Blocked) && denied.verdict.kind === "answer");
  const twice = await look(get("/repos/a", [["host", "api.example.com"]]), { http }, plain);
  assert.ok(twice.verdict instanceof Blocked);
  const unread = await look(get("/repos/a", [["host", "api.example.com"]]), { secrets: [] }, plain);
  assert.equal(sent(unread).target, "/repos/a");
});

test("without TLS a rule about a host is also about the address that DNS has told for it", async () => {
  const plain = { kind: "plain", serverName: null, isProved: false, port: 80 } as const;
  const denied: HttpConfig = {
    ...http,
    rules: [{ action: "deny", methods: [], host: "api.example.com", path: "/admin/**" }],
  };
  for (const host of ["api.example.com", "93.184.216.34", "other.example"]) {
    const { http: told } = await look(get("/admin/x", [], host), { http: denied }, plain);
    assert.deepEqual(
      told.map(({ outcome }) => outcome),
      ["denied"],
      host,
    );
    assert.equal((await look(get("/x", [], host), { http: denied }, plain)).http[0]?.outcome, "forwarded");
  }
  const elsewhere = { ...plain, isBoundTo: () => false };
  assert.equal(
    sent(await look(get("/admin/x", [], "other.example"), { http: denied }, elsewhere)).target,
    "/admin/x",
  );
  // An address is known for itself.
  const address: HttpConfig = {
    ...http,
    rules: [
      { action: "allow", methods: ["GET"], host: "93.184.216.34", path: "/repos/**" },
      { action: "deny", methods: [], host: "*", path: null },
    ],
  };
  const told = await look(get("/repos/a", [], "93.184.216.34"), { http: address }, elsewhere);
  assert.equal(told.http[0]?.outcome, "forwarded");
  const nobody: RequestHead = { ...get("/x"), version: "1.0", fields: [] };
  const looked = await look(nobody, { http: denied }, plain);
  assert.ok(looked.verdict instanceof Blocked);
  assert.deepEqual(
    looked.http.map(({ outcome, reason }) => [outcome, reason]),
    [["malformed", "no Host field"]],
  );
  assert.equal(sent(await look(nobody, {}, plain)).target, "/x");
});

test("of a server that nobody asks for a proof likewise", async () => {
  const unproved = { isProved: false, isBoundTo: () => false };
  assert.equal((await look(get("/repos/a"), { http }, unproved)).http[0]?.outcome, "denied");
  assert.equal((await look(get("/repos/a"), { http }, { isProved: false })).http[0]?.outcome, "forwarded");
});

test("a path that servers may read in several ways is told as that", async () => {
  const { http: told } = await look(get("/repos/../user"), { http });
  assert.deepEqual(
    told.map(({ outcome, rule, reason }) => [outcome, rule, reason]),
    [["denied", 0, "a path that servers may read in several ways"]],
  );
});

test("what cannot be read may pass only where no rule could refuse it, or after an upgrade", () => {
  const inspector = createInspector(interception({ http }), channel(), () => undefined);
  assert.throws(() => inspector.raw(null), Blocked);
  assert.ok(inspector.raw(get("/repos/socket")));
  assert.ok(createInspector(interception(), channel(), () => undefined).raw(null));
});

test("a request whose body never ends is told", async () => {
  const post: RequestHead = { ...get("/b", [["Transfer-Encoding", "chunked"]]), method: "POST" };
  const events: NetworkEvent[] = [];
  const told = (): unknown[] =>
    events.map((event) => (event.kind === "http" ? [event.outcome, event.secrets] : []));
  // Nothing is put into it: it is only looked at.
  const elsewhere = { secrets: [{ ...secret, hosts: ["b.test"] }] };
  const watching = createInspector(interception(elsewhere), channel(), (event) => events.push(event));
  const watched = await watching.request(post, asking);
  assert.ok(!("verdict" in watched) && watched.kind === "forward" && watched.body !== null);
  assert.deepEqual(told(), [["forwarded", []]]);
  events.length = 0;
  const inspector = createInspector(interception(), channel(), (event) => events.push(event));
  const changed = await inspector.request(post, asking);
  assert.ok(!("verdict" in changed) && changed.kind === "forward" && changed.body !== null);
  assert.ok(!isMade(changed.body));
  await changed.body.push(Buffer.from("$KEY and more"));
  assert.deepEqual(told(), []);
  await inspector.response({ status: 200, fields: [] }, changed.head, asking);
  assert.deepEqual(told(), [["forwarded", ["KEY"]]]);
  await changed.body.end();
  assert.equal(events.length, 1);
});

test("where somebody looks at requests, the server is offered no protocol but WebSocket", async () => {
  const offering = (to: string): RequestHead =>
    get("/repos/a", [
      ["Connection", "close-not, Upgrade"],
      ["Upgrade", to],
    ]);
  const none = { secrets: [], http: null, hooks: null };
  const elsewhere = {
    ...http,
    rules: [{ action: "deny", methods: [], host: "b.test", path: null }],
  } as const;
  for (const [given, isWatched] of [
    [none, false],
    [{ ...none, secrets: [{ ...secret, hosts: ["b.test"] }] }, false],
    [{ ...none, http: elsewhere }, false],
    [{ ...none, secrets: [secret] }, true],
    [{ ...none, http }, true],
    [{ ...none, hooks: { ...hooks, request: (head) => ({ kind: "forward", head, body: null }) } }, true],
  ] satisfies [Partial<Interception>, boolean][]) {
    const websocket = offering("websocket");
    assert.equal(sent(await look(websocket, given)), websocket);
    for (const to of ["tcp", "SPDY/3.1", "websocket, other", "web-socket"]) {
      const head = offering(to);
      const { fields } = sent(await look(head, given));
      assert.deepEqual(fields, isWatched ? [head.fields[0], ["Connection", "close-not"]] : head.fields, to);
    }
  }
  // Nobody has proved whose server it is: a rule about any host counts.
  const plain = { kind: "plain", serverName: null, isProved: false, port: 80 } as const;
  const { fields } = sent(await look(offering("tcp"), { ...none, http: elsewhere }, plain));
  assert.equal(fields.length, 2);
});

async function through(body: BodyFilter | MadeBody | null, ...pieces: readonly string[]): Promise<string> {
  assert.ok(body !== null && !isMade(body));
  const out: Buffer[] = [];
  for (const piece of pieces) out.push(...(await body.push(Buffer.from(piece))));
  return Buffer.concat([...out, ...(await body.end())]).toString();
}

const hooks: HttpHooks = {
  request: (head, { host }) => {
    assert.doesNotMatch(JSON.stringify(head), /real-value/);
    if (head.target === "/answered")
      return { kind: "answer", head: { status: 418, fields: [] }, body: Buffer.from("tea") };
    const fields: HttpField[] =
      head.target === "/moved" ? [["Host", "evil.com"]] : [...head.fields, ["X-By", host]];
    const upper: BodyFilter = {
      changesLength: false,
      push: (bytes) => Promise.resolve([Buffer.from(bytes.toString().replace("secret", "$KEY"))]),
      end: () => [],
    };
    return { kind: "forward", head: { ...head, fields }, body: head.method === "POST" ? upper : null };
  },
  response: (head, request, { host }) => ({
    head: { ...head, fields: [...head.fields, ["X-From", `${host}${request.target}`]] },
    body: null,
  }),
};

test("the program's functions see placeholders, may answer, and change all but the host", async () => {
  const looked = await look(get("/a", [["X", "$KEY"]]), { hooks });
  assert.deepEqual(sent(looked).fields, [
    ["Host", "api.example.com"],
    ["X", "real-value"],
    ["X-By", "api.example.com"],
  ]);
  const answered = await look(get("/answered"), { hooks });
  assert.ok(!(answered.verdict instanceof Blocked) && answered.verdict.kind === "answer");
  assert.equal(answered.http[0]?.outcome, "answered");
  assert.ok((await look(get("/moved"), { hooks })).verdict instanceof Blocked);
});

test("a body goes through the program first, and secrets last", async () => {
  const post: RequestHead = { ...get("/b", [["Content-Length", "6"]]), method: "POST" };
  const looked = await look(post, { hooks });
  assert.ok(!(looked.verdict instanceof Blocked) && looked.verdict.kind === "forward");
  assert.equal(await through(looked.verdict.body, "secret"), "real-value");
  assert.deepEqual(
    looked.events.map((event) => (event.kind === "http" ? event.secrets : [])),
    [["KEY"]],
  );
});

test("a response is told to the program with the request that it answers", async () => {
  const inspector = createInspector(interception({ hooks }), channel(), () => undefined);
  const verdict = await inspector.request(get("/c"), asking);
  assert.ok(verdict.kind === "forward");
  const said = await inspector.response({ status: 200, fields: [] }, verdict.head, asking);
  assert.ok(said.kind !== "reading");
  assert.deepEqual(said.head.fields, [["X-From", "api.example.com/c"]]);
});
