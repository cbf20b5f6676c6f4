import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  basic,
  get,
  Guarded,
  http2,
  isBlocked,
  pass,
  places,
  plainTo,
  post,
  secret,
  tlsTo,
  toProxy,
} from "../../../test/support/secret-sample.ts";
import type { ViolationAction } from "../../config/network/interception/secret-type.ts";
import type { HttpField, RequestHead } from "../http/message.ts";

const evil = tlsTo("evil.com");
const block: ViolationAction = { kind: "block" };
const log: ViolationAction = { kind: "block-and-log" };
const terminate: ViolationAction = { kind: "block-and-terminate" };
const passTo = (...hosts: string[]): ViolationAction => ({ kind: "passthrough", hosts });
const withKey = get("/", ["X-Key", "$KEY"]);

/** What becomes of `$KEY` on the way to evil.com. */
async function consequence(
  onViolation: ViolationAction,
  own: readonly (ViolationAction | null)[],
  head = withKey,
): Promise<"passed" | ViolationAction["kind"]> {
  const secrets = own.map((action, index) => secret({ envVar: `KEY${index}`, onViolation: action }));
  const guarded = new Guarded(secrets, evil, { onViolation });
  try {
    assert.deepEqual((await guarded.send(head)).head, head);
    assert.deepEqual(guarded.events, []);
    return "passed";
  } catch (error) {
    assert.ok(isBlocked(error));
  }
  const [event] = guarded.events;
  assert.equal(guarded.events.length, event === undefined ? 0 : 1);
  if (event === undefined) return "block";
  assert.equal(event.kind, "secret-violation");
  assert.equal(guarded.terminated.length, event.action === "block-and-terminate" ? 1 : 0);
  return event.action;
}

suite("What is done about a violation", () => {
  const table: readonly (readonly [ViolationAction, readonly (ViolationAction | null)[], string])[] = [
    [block, [null], "block"],
    [log, [null], "block-and-log"],
    [terminate, [null], "block-and-terminate"],
    [block, [terminate], "block-and-terminate"],
    [terminate, [block], "block"],
    [passTo("evil.com"), [null], "passed"],
    [block, [passTo("evil.com")], "passed"],
    [block, [passTo("*.com")], "passed"],
    [block, [passTo("*")], "passed"],
    [block, [passTo("other.com")], "block"],
    [passTo("evil.com"), [passTo("other.com")], "passed"],
    [passTo("a.com"), [passTo("b.com")], "block-and-log"],
    [passTo("a.com"), [null], "block-and-log"],
    [passTo("evil.com"), [block], "block"],
    // Several with one placeholder: the strictest.
    [block, [passTo("evil.com"), null], "block"],
    [block, [null, log], "block-and-log"],
    [log, [terminate, block, null], "block-and-terminate"],
  ];
  for (const [all, own, expected] of table)
    test(`${JSON.stringify(all)} and ${JSON.stringify(own)}: ${expected}`, async () => {
      assert.equal(await consequence(all, own), expected);
    });

  test("one placeholder passes, another does not", async () => {
    const other = secret({ envVar: "OTHER", placeholder: "$OTHER" });
    const guarded = new Guarded([secret({ onViolation: passTo("evil.com") }), other], evil);
    await guarded.send(withKey);
    await assert.rejects(guarded.send(get("/", ["A", "$KEY"], ["B", "$OTHER"])), isBlocked);
  });

  test("of several violations in one head the strictest is told", async () => {
    const other = secret({ envVar: "OTHER", placeholder: "$OTHER", onViolation: terminate });
    const guarded = new Guarded([secret(), other], evil, { onViolation: log });
    await assert.rejects(guarded.send(get("/", ["A", "$KEY"], ["B", "$OTHER"])), isBlocked);
    assert.deepEqual(
      guarded.events.map((event) => event.kind === "secret-violation" && event.envVar),
      ["OTHER"],
    );
    assert.match(guarded.terminated[0] ?? "", /placeholder of OTHER .* evil\.com/);
  });

  test("a placeholder that is too long, or empty, stops every request, and what is no request", async () => {
    for (const placeholder of ["$".repeat(1025), ""]) {
      const guarded = new Guarded([secret({ placeholder })]);
      await assert.rejects(guarded.send(get("/")), isBlocked);
      assert.throws(() => guarded.guard.raw(null), isBlocked);
      assert.deepEqual(
        guarded.events.map((event) => event.kind === "secret-problem" && event.problem),
        ["placeholder", "placeholder"],
      );
    }
    await new Guarded([secret({ placeholder: "$".repeat(1024) })]).send(get("/"));
  });
});

suite("What is told of a violation", () => {
  const told = async (
    head: RequestHead,
    pieces: string[] = [],
    channel = evil,
    host?: string,
  ): Promise<object> => {
    const guarded = new Guarded([secret()], channel, { onViolation: log });
    await assert.rejects(guarded.send(head, pieces, host), isBlocked);
    assert.equal(guarded.events.length, 1);
    const { timestampMs, ...event } = guarded.events[0] ?? assert.fail();
    assert.ok(Math.abs(Date.now() - timestampMs) < 60_000);
    assert.ok(!JSON.stringify(event).includes("real-secret"));
    return event;
  };

  test("all that is known, without the query", async () => {
    const head = { ...post("/v1/chat/completions?q=$KEY#x", basic("u:$KEY")), method: "POST" };
    const noQuery = { ...head, target: "/v1/chat/completions?q=1" };
    assert.deepEqual(await told(noQuery), {
      ...{ kind: "secret-violation", address: "192.0.2.7", port: 443, action: "block-and-log" },
      ...{ envVar: "KEY", placeholder: "$KEY", protocol: "http/1", serverName: "evil.com", host: "evil.com" },
      ...{ method: "POST", path: "/v1/chat/completions", location: "basic-auth", form: "base64" },
    });
    assert.ok(!JSON.stringify(await told(head)).includes("q="));
    const absolute = get("http://u:p@evil.com/a/b?c", ["X", "$KEY"]);
    assert.deepEqual(
      Object.entries(await told(absolute)).find(([key]) => key === "path"),
      ["path", "/a/b"],
    );
    const long = get(`/${"a".repeat(5000)}`, ["X", "$KEY"]);
    const { path } = Object.fromEntries(Object.entries(await told(long))) as { path: string };
    assert.equal(path.length, 1024);
  });

  const gzip: HttpField = ["Content-Encoding", "gzip"];
  const utf16 = Buffer.from('{"a": "$KEY"}', "utf16le");
  const where: readonly (readonly [string, RequestHead, string[], string])[] = [
    ["the path", get("/a/$KEY"), [], "target raw http/1"],
    ["the path, percent", get("/a/%24KEY"), [], "target percent http/1"],
    ["the path, percent in lower case", get("/a/$%4bEY"), [], "target percent http/1"],
    ["the query", get("/?a=$KEY"), [], "query raw http/1"],
    ["the query, percent", get("/?a=%24KEY"), [], "query percent http/1"],
    ["the query, base64", get("/?a=eCRLRVk"), [], "query base64 http/1"],
    ["a field", get("/", ["X", "a $KEY"]), [], "header raw http/1"],
    ["the name of a field", get("/", ["$KEY", "1"]), [], "header raw http/1"],
    ["a field, JSON", get("/", ["X", '{"a":"\\u0024KEY"}']), [], "header json http/1"],
    ["a field, base64", get("/", ["X", "JEtFWQ=="]), [], "header base64 http/1"],
    ["Host", get("/", ["Host", "$KEY.evil.com"]), [], "header raw http/1"],
    ["the method", { ...get("/"), method: "$KEY" }, [], "target raw http/1"],
    ["the authority", http2(get("/"), "$KEY.evil.com"), [], "target raw http/2"],
    ["HTTP/2", http2(get("/", ["X", "$KEY"]), "evil.com"), [], "header raw http/2"],
    [
      "Basic of a proxy",
      get("/", ["proxy-authorization", basic("a:$KEY")[1]]),
      [],
      "basic-auth base64 http/1",
    ],
    [
      "Basic, decoded leniently",
      get("/", ["Authorization", "BASIC \t JEt.FWQ"]),
      [],
      "basic-auth base64 http/1",
    ],
    ["a body", post("/"), ["a", "b$KEY"], "body raw http/1"],
    ["a body in pieces", post("/"), ["b$", "K", "E", "Y"], "body raw http/1"],
    ["a body of a form", post("/"), ["a=b&k=%2", "4KEY"], "body percent http/1"],
    ["a body, JSON", post("/"), ['{"k":"\\u00', '24KEY"}'], "body json http/1"],
    ["a body, JSON, upper case", post("/"), ['{"k":"$\\u004B\\u0045Y"}'], "body json http/1"],
    ["a body, base64", post("/"), ["JEt", "FWQ"], "body base64 http/1"],
    [
      "a body, base64 behind one byte",
      post("/"),
      [Buffer.from("x$KEY").toString("base64")],
      "body base64 http/1",
    ],
    [
      "a body, base64 behind two",
      post("/"),
      [Buffer.from("xy$KEYz").toString("base64")],
      "body base64 http/1",
    ],
    ["a body, UTF-16", post("/"), [utf16.toString("latin1")], "body utf-16 http/1"],
    ["a body, UTF-16 big-endian", post("/"), [utf16.swap16().toString("latin1")], "body utf-16 http/1"],
    ["a body said to be gzip", post("/", gzip), ["a$K", "EY"], "body raw http/1"],
    ["a body of HTTP/2", http2(post("/"), "evil.com"), ["a$K", "EY"], "body raw http/2"],
  ];
  for (const [name, head, pieces, expected] of where)
    test(`in ${name}`, async () => {
      const event = new Map(Object.entries(await told(head, pieces)));
      assert.equal(`${event.get("location")} ${event.get("form")} ${event.get("protocol")}`, expected);
    });

  test("a body that is not the whole yet passes as far as it goes", async () => {
    const { body } = await new Guarded([secret()], evil).request(post("/"));
    assert.ok(body !== null);
    assert.equal(Buffer.concat(body.push(Buffer.from("X-Token: $K"))).toString(), "X-Token: $K");
    assert.throws(() => body.push(Buffer.from("EY")), isBlocked);
  });

  test("in the trailers", async () => {
    const guarded = new Guarded([secret()], evil, { onViolation: log });
    const { head } = await guarded.request(post("/"));
    const fields: HttpField[] = [["X", "1"]];
    assert.equal(guarded.guard.trailers(fields, head), fields);
    assert.throws(() => guarded.guard.trailers([["X", "%24KEY"]], head), isBlocked);
    assert.ok(guarded.events[0]?.kind === "secret-violation" && guarded.events[0].location === "trailer");
    const own = new Guarded([secret()]);
    const sent = await own.request(post("/"));
    assert.deepEqual(own.guard.trailers([["X", "$KEY"]], sent.head), [["X", "$KEY"]]);
  });

  test("in the head of a CONNECT, whoever it is to", async () => {
    const connect = {
      ...get("api.openai.com:443", ["Proxy-Authorization", basic("u:$KEY")[1]]),
      method: "CONNECT",
    };
    assert.deepEqual(await told(connect, [], toProxy, "api.openai.com"), {
      ...{ kind: "secret-violation", address: "192.0.2.8", port: 3128, action: "block-and-log" },
      ...{
        envVar: "KEY",
        placeholder: "$KEY",
        protocol: "connect",
        serverName: null,
        host: "api.openai.com",
      },
      ...{ method: "CONNECT", path: "api.openai.com:443", location: "basic-auth", form: "base64" },
    });
    const inTarget = { ...get("$KEY.evil.com:443"), method: "CONNECT" };
    const event = new Map(Object.entries(await told(inTarget, [], toProxy, "$key.evil.com")));
    assert.equal(event.get("location"), "target");
    // Within TLS to the right host too.
    await told({ ...connect, fields: [["X", "$KEY"]] }, [], tlsTo("api.openai.com"));
    const passing = new Guarded([secret({ onViolation: passTo("api.openai.com") })], toProxy);
    assert.equal((await passing.request(connect, "api.openai.com")).head, connect);
    const ending = new Guarded([secret()], toProxy, { onViolation: terminate });
    await assert.rejects(ending.request(connect, "api.openai.com"), isBlocked);
    assert.equal(ending.terminated.length, 1);
  });

  test("in what is no HTTP", async () => {
    const guarded = new Guarded([secret()], evil, { onViolation: log });
    const raw = guarded.guard.raw(null);
    assert.equal(raw.changesLength, false);
    assert.equal(Buffer.concat(raw.push(Buffer.from("\0\x01$KE"))).toString(), "\0\x01$KE");
    assert.throws(() => raw.push(Buffer.from("Y")), isBlocked);
    const event = guarded.events[0];
    assert.ok(event?.kind === "secret-violation");
    assert.equal(
      `${event.protocol} ${event.location} ${event.method} ${event.path} ${event.host}`,
      "other other null null null",
    );
    // Its own host gets it as it is.
    const own = new Guarded([secret(places({ headers: true, body: true }))]);
    assert.equal(pass(own.guard.raw(null), [Buffer.from("$KEY")]).toString(), "$KEY");
  });

  test("after an upgrade without TLS the host is the one that was asked", async () => {
    const careless = secret({ requireTlsIdentity: false });
    const guarded = new Guarded([careless], plainTo("api.openai.com"), { onViolation: log });
    const { head } = await guarded.request(get("/chat"), "api.openai.com");
    assert.equal(pass(guarded.guard.raw(head), [Buffer.from("$KEY")]).toString(), "$KEY");
    assert.throws(() => guarded.guard.raw(null).push(Buffer.from("$KEY")), isBlocked);
    const other = await guarded.request(get("/chat?a=1"), "evil.com");
    assert.throws(() => guarded.guard.raw(other.head).push(Buffer.from("$KEY")), isBlocked);
    const event = guarded.events.at(-1);
    assert.ok(event?.kind === "secret-violation" && event.host === "evil.com" && event.path === "/chat");
  });
});

test("nothing is put into a TRACE, which servers say back", async () => {
  for (const method of ["TRACE", "trace"]) {
    const guarded = new Guarded([
      secret({ injection: { headers: true, basicAuth: true, queryParams: true, body: true } }),
    ]);
    const { head, body } = await guarded.send(
      { ...post("/?k=$KEY", ["X", "$KEY"], basic("u:$KEY")), method },
      ["$KEY"],
    );
    assert.equal(head.target, "/?k=$KEY");
    assert.deepEqual(head.fields[0], ["X", "$KEY"]);
    assert.deepEqual(head.fields[1], basic("u:$KEY"));
    assert.equal(body, "$KEY");
  }
  const elsewhere = new Guarded([secret()], tlsTo("evil.com"));
  await assert.rejects(elsewhere.send({ ...get("/", ["X", "$KEY"]), method: "TRACE" }));
});
