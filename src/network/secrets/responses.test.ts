import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { pick, randomBytes, rounds, seeded } from "../../../test/support/fuzz.ts";
import {
  basic,
  get,
  Guarded,
  pass,
  places,
  post,
  secret,
  tlsTo,
} from "../../../test/support/secret-sample.ts";
import type { HttpField, ResponseHead } from "../http/message.ts";

const scrubbed = secret({ scrubResponses: true });

function response(status: number, ...fields: HttpField[]): ResponseHead {
  return { status, fields };
}

/** What comes to the guest of a response to `GET /`. */
async function received(
  guarded: Guarded,
  pieces: readonly (string | Buffer)[],
  head = response(200),
): Promise<string> {
  const { head: request } = await guarded.request(get("/"));
  const { body } = await guarded.guard.response(head, request);
  const bytes = pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece) : piece));
  return pass(body, bytes).toString();
}

suite("A value that comes back", () => {
  test("is the placeholder again, in fields and in bodies, when that is wanted", async () => {
    const guarded = new Guarded([scrubbed]);
    const head = response(200, ["X-Echo", "a real-secret b"], ["Location", "/?k=real%2dsecret"], ["B", "1"]);
    const { head: request } = await guarded.request(get("/"));
    const verdict = await guarded.guard.response(head, request);
    assert.deepEqual(verdict.head.fields, [
      ["X-Echo", "a $KEY b"],
      ["Location", "/?k=%24KEY"],
      ["B", "1"],
    ]);
    assert.equal(verdict.body?.changesLength, true);
    assert.equal(await received(guarded, ["your key: real-se", "cret!"]), "your key: $KEY!");
    assert.equal(await received(new Guarded([secret()]), ["real-secret"]), "real-secret");
    const other = new Guarded([{ ...scrubbed, hosts: ["other.test"] }]);
    assert.equal(await received(other, ["real-secret"]), "real-secret");
  });

  test("is found percent-encoded, in JSON and in base64 too", async () => {
    const values = { KEY: 'a/"b\\c\n-$é' };
    const guarded = new Guarded([scrubbed], undefined, { values });
    const escaped = JSON.stringify({ key: values.KEY });
    assert.equal(await received(guarded, [escaped]), '{"key":"$KEY"}');
    assert.equal(
      await received(guarded, [escaped.replace("/", "\\/").replace("é", "\\u00E9")]),
      '{"key":"$KEY"}',
    );
    assert.equal(await received(guarded, [encodeURIComponent(values.KEY)]), "%24KEY");
    assert.equal(await received(guarded, [basic(values.KEY)[1]]), "Basic JEtFWV8=");
  });

  test("in base64 is exchanged with all around it as it was", async (context) => {
    const random = seeded(context);
    for (let round = rounds(500); round > 0; round--) {
      const value = randomBytes(random, 4 + random(20)).toString("hex");
      const guarded = new Guarded([scrubbed], undefined, { values: { KEY: value } });
      const [before, after] = [randomBytes(random, random(7)), randomBytes(random, random(7))];
      const coding = pick(random, ["base64", "base64url"] as const);
      const whole = Buffer.concat([before, Buffer.from(value), after]).toString(coding);
      const at = random(whole.length);
      const out = Buffer.from(await received(guarded, [whole.slice(0, at), whole.slice(at)]), "base64");
      const fill = "_".repeat((((value.length - 4) % 3) + 3) % 3);
      assert.deepEqual(out, Buffer.concat([before, Buffer.from(`$KEY${fill}`), after]));
    }
  });

  test("is the placeholder in what informs before the head, and in what follows the body", async () => {
    const values = { KEY: "first-value" };
    const guarded = new Guarded([scrubbed], undefined, { values });
    const { head: request } = await guarded.request(get("/", ["X", "$KEY"]));
    const fields: readonly HttpField[] = [
      ["A", "first-value"],
      ["B", "second-value"],
    ];
    assert.deepEqual(guarded.guard.responseFields(fields, request), [["A", "$KEY"], fields[1]]);
    values.KEY = "second-value";
    await guarded.guard.response(response(200, ["Content-Encoding", "br"]), request);
    assert.deepEqual(guarded.guard.responseFields(fields, request), [
      ["A", "$KEY"],
      ["B", "$KEY"],
    ]);
    const none: readonly HttpField[] = [["A", "1"]];
    assert.equal(guarded.guard.responseFields(none, request), none);
    for (const other of [secret(), { ...scrubbed, hosts: ["other.test"] }]) {
      const without = new Guarded([other]);
      const { head } = await without.request(get("/"));
      await without.guard.response(response(200), head);
      assert.equal(without.guard.responseFields(fields, head), fields);
    }
  });

  test("of a response that is coded is said to be unscrubbed, once for a connection", async () => {
    const guarded = new Guarded([scrubbed]);
    const gzip = response(200, ["Content-Encoding", "gzip"], ["X", "real-secret"]);
    const { head: request } = await guarded.request(get("/a?b"));
    const verdict = await guarded.guard.response(gzip, request);
    assert.equal(verdict.body, null);
    assert.deepEqual(verdict.head.fields[1], ["X", "$KEY"]);
    await guarded.guard.response(gzip, request);
    assert.equal(guarded.events.length, 1);
    const { timestampMs: _, ...event } = guarded.events[0] ?? assert.fail();
    assert.deepEqual(event, {
      ...{ kind: "secret-problem", address: "192.0.2.7", port: 443, envVar: "KEY", host: "api.openai.com" },
      ...{ method: "GET", path: "/a", problem: "unscrubbed", reason: "the body has the content coding gzip" },
    });
  });

  test("is not looked for where there is no body", async () => {
    const guarded = new Guarded([scrubbed]);
    const { head: request } = await guarded.request({ ...get("/"), method: "HEAD" });
    const gzip = response(200, ["Content-Encoding", "gzip"]);
    assert.equal((await guarded.guard.response(gzip, request)).body, null);
    const { head: second } = await guarded.request(get("/"));
    for (const status of [101, 204, 304])
      assert.equal(
        (await guarded.guard.response(response(status, ["Content-Encoding", "br"]), second)).body,
        null,
      );
    assert.deepEqual(guarded.events, []);
  });

  test("is still known when it was replaced meanwhile", async () => {
    const values = { KEY: "first-value" };
    const guarded = new Guarded([scrubbed], undefined, { values });
    await guarded.request(get("/", ["X", "$KEY"]));
    const { head: request } = await guarded.request(get("/", ["X", "$KEY"]));
    values.KEY = "second-value";
    const { body } = await guarded.guard.response(response(200), request);
    const pieces = [Buffer.from("first-value, second-value")];
    assert.equal(pass(body, pieces).toString(), "$KEY, $KEY");
  });

  test("of one that is too short or too long is said to be unscrubbed", async () => {
    for (const value of ["abc", "x".repeat(8193)]) {
      const guarded = new Guarded([scrubbed], undefined, { values: { KEY: value } });
      assert.equal(await received(guarded, [value]), value);
      assert.ok(guarded.events[0]?.kind === "secret-problem" && guarded.events[0].problem === "unscrubbed");
      assert.ok(!JSON.stringify(guarded.events).includes(value.slice(0, 100)));
    }
  });

  test("keeps nothing back that can be no part of one, and little that can", async () => {
    const guarded = new Guarded([scrubbed]);
    const { head: request } = await guarded.request(get("/"));
    const { body } = await guarded.guard.response(response(200), request);
    const through = (text: string): string => Buffer.concat(body?.push(Buffer.from(text)) ?? []).toString();
    for (const event of ['data: {"a": 1}\n\n', "retry: 5\r\n", "<p>\n", "rea\n"])
      assert.equal(through(event), event);
    assert.equal(through("a real-"), "a ");
    assert.equal(through("estate\n"), "real-estate\n");
  });

  test("of several secrets are told apart, the longest first", async () => {
    const other = secret({ envVar: "OTHER", placeholder: "$OTHER", scrubResponses: true });
    const guarded = new Guarded([scrubbed, other], undefined, { values: { KEY: "token", OTHER: "token-2" } });
    assert.equal(await received(guarded, ["token token-", "2 tok", "en-3"]), "$KEY $OTHER $KEY-3");
  });
});

suite("A value that the server refuses", () => {
  test("is said to be refused, when it was sent", async () => {
    const guarded = new Guarded([secret(), secret({ envVar: "B", placeholder: "$B" })]);
    const { head } = await guarded.request(get("/", ["X", "$KEY"]));
    await guarded.guard.response(response(200), head);
    assert.deepEqual(guarded.refused, []);
    await guarded.guard.response(response(401), head);
    assert.deepEqual(guarded.refused, ["KEY api.openai.com"]);
    const { head: without } = await guarded.request(get("/"));
    await guarded.guard.response(response(401), without);
    assert.equal(guarded.refused.length, 1);
  });

  test("in a body too", async () => {
    const guarded = new Guarded([secret(places({ body: true }))], tlsTo("api.openai.com"));
    const { head, body } = await guarded.request(post("/"));
    body?.push(Buffer.from("$KEY"));
    await guarded.guard.response(response(401), head);
    assert.deepEqual(guarded.refused, ["KEY api.openai.com"]);
  });
});
