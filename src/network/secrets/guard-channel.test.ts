import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  basic,
  get,
  Guarded,
  http2,
  isBlocked,
  places,
  plainTo,
  post,
  secret,
  tlsTo,
} from "../../../test/support/secret-sample.ts";
import { fieldValues, type HttpField } from "../http/message.ts";

const bearer: HttpField = ["Authorization", "Bearer $KEY"];

async function authorization(
  guarded: Guarded,
  head = get("/", bearer),
  host?: string,
): Promise<string | undefined> {
  const sent = await guarded.send(head, [], host);
  return fieldValues(sent.head.fields, "authorization")[0];
}

suite("Where a secret is put in", () => {
  test("its own host gets the value in a field", async () => {
    assert.equal(await authorization(new Guarded([secret()])), "Bearer real-secret");
  });

  test("a request without a placeholder is the same object", async () => {
    const head = get("/v1?x=1", ["Accept", "*/*"]);
    const { head: sent, body, secrets } = await new Guarded([secret()]).request(head);
    assert.equal(sent, head);
    assert.equal(body, null);
    assert.deepEqual([...secrets], []);
  });

  test("only the secret that is meant for the host matters, when only its placeholder is there", async () => {
    const other = secret({ envVar: "OTHER", placeholder: "$OTHER", hosts: ["other.test"] });
    assert.equal(await authorization(new Guarded([other, secret()])), "Bearer real-secret");
  });

  test("one placeholder of two secrets is the one's that is meant for the host", async () => {
    const other = secret({ envVar: "OTHER", hosts: ["other.test"] });
    const guarded = new Guarded([other, secret()], undefined, { values: { KEY: "a", OTHER: "b" } });
    assert.equal(await authorization(guarded), "Bearer a");
  });

  test("all fields, or only those that are named", async () => {
    const head = get("/", bearer, ["X-Key", "a $KEY b $KEY"]);
    const all = await new Guarded([secret()]).send(head);
    assert.deepEqual(all.head.fields, [
      ["Authorization", "Bearer real-secret"],
      ["X-Key", "a real-secret b real-secret"],
    ]);
    const named = await new Guarded([secret(places({ headers: ["x-key"] }))]).send(head);
    assert.deepEqual(named.head.fields, [bearer, ["X-Key", "a real-secret b real-secret"]]);
  });

  test("never a field that says where a request goes, how long it is, or what of it is hop by hop; never a name", async () => {
    const fields: HttpField[] = ["Host", "Connection", "Transfer-Encoding", "Upgrade", "TE"].map((name) => [
      name,
      "$KEY",
    ]);
    fields.push(["$KEY", "1"]);
    const { head } = await new Guarded([secret()]).send(get("/", ...fields));
    assert.deepEqual(head.fields, fields);
  });

  test("Basic credentials are decoded, and encoded again with the values of both", async () => {
    const user = secret({ envVar: "USER", placeholder: "$MSB_USER" });
    const password = secret({ envVar: "PASSWORD", placeholder: "$MSB_PASSWORD" });
    const guarded = new Guarded([user, password], undefined, {
      values: { USER: "alice", PASSWORD: "s3cr3t" },
    });
    const { head, secrets } = await guarded.request(get("/", basic("$MSB_USER:$MSB_PASSWORD")));
    assert.deepEqual(head.fields, [basic("alice:s3cr3t")]);
    assert.deepEqual([...secrets], ["USER", "PASSWORD"]);
  });

  test("only Basic credentials, when that is all that is wanted; and not those when it is not", async () => {
    const fields: HttpField[] = [bearer, ["X-Custom", "$KEY"]];
    const onlyBasic = await new Guarded([secret(places({ basicAuth: true }))]).send(get("/", ...fields));
    assert.deepEqual(onlyBasic.head.fields, fields);
    const notBasic = await new Guarded([secret(places({ headers: true }))]).send(get("/", basic("u:$KEY")));
    assert.deepEqual(notBasic.head.fields, [basic("u:$KEY")]);
  });

  test("a query, raw or with percent escapes, but never the path", async () => {
    const query = secret(places({ queryParams: true }));
    const target = async (text: string, secrets = [query], values = { KEY: "a/b&c" }): Promise<string> =>
      (await new Guarded(secrets, undefined, { values }).send(get(text))).head.target;
    assert.equal(await target("/path/$KEY?token=$KEY"), "/path/$KEY?token=a/b&c");
    assert.equal(await target("/%24KEY?token=%24KEY&b=%24K%45Y"), "/%24KEY?token=a%2Fb%26c&b=a%2Fb%26c");
    assert.equal(await target("/?token=$KEY", [secret()]), "/?token=$KEY");
  });

  test("HTTP/2 like HTTP/1", async () => {
    const injection = { headers: true, basicAuth: true, queryParams: true, body: false };
    const head = http2(get("/$KEY/a?k=$KEY", ["X-Key", "$KEY"], basic("u:$KEY")), "api.openai.com");
    const sent = await new Guarded([secret({ injection })]).send(head);
    assert.equal(sent.head.target, "/$KEY/a?k=real-secret");
    assert.equal(sent.head.authority, "api.openai.com");
    assert.deepEqual(sent.head.fields, [
      ["x-key", "real-secret"],
      ["authorization", basic("u:real-secret")[1]],
    ]);
  });
});

suite("Whom a secret is for", () => {
  test("not another host, not a host that says it is another, not an address of nobody", async () => {
    await assert.rejects(authorization(new Guarded([secret()], tlsTo("evil.com"))), isBlocked);
    await assert.rejects(authorization(new Guarded([secret()]), get("/", bearer), "evil.com"), isBlocked);
    const unbound = tlsTo("api.openai.com", { isBoundTo: () => false });
    await assert.rejects(authorization(new Guarded([secret()], unbound)), isBlocked);
    const nameless = tlsTo("api.openai.com", { serverName: null });
    await assert.rejects(authorization(new Guarded([secret()], nameless)), isBlocked);
  });

  test("not a server that has not proved who it is, unless that is not asked for; it gets the placeholder", async () => {
    const unproved = tlsTo("api.openai.com", { isProved: false });
    assert.equal(await authorization(new Guarded([secret()], unproved)), "Bearer $KEY");
    const careless = secret({ requireTlsIdentity: false });
    assert.equal(await authorization(new Guarded([careless], unproved)), "Bearer real-secret");
    const elsewhere = tlsTo("evil.com", { isProved: false });
    await assert.rejects(authorization(new Guarded([careless], elsewhere)), isBlocked);
  });

  test("a suffix is bound by any name below it; any host needs no binding", async () => {
    const suffix = secret({ hosts: ["*.openai.com"] });
    const elsewhere = tlsTo("api.openai.com", { isBoundTo: (matches) => matches("cdn.openai.com") });
    assert.equal(await authorization(new Guarded([suffix], elsewhere)), "Bearer real-secret");
    await assert.rejects(authorization(new Guarded([secret()], elsewhere)), isBlocked);
    const any = new Guarded([secret({ hosts: ["*"] })], tlsTo("any.test", { isBoundTo: () => false }));
    assert.equal(await authorization(any), "Bearer real-secret");
  });

  test("without TLS only when that is allowed, by the name that the request says", async () => {
    const careless = secret({ requireTlsIdentity: false });
    const plain = plainTo("api.openai.com");
    const head = get("/", bearer);
    assert.equal(
      await authorization(new Guarded([careless], plain), head, "api.openai.com"),
      "Bearer real-secret",
    );
    assert.equal(await authorization(new Guarded([secret()], plain), head, "api.openai.com"), "Bearer $KEY");
    await assert.rejects(authorization(new Guarded([careless], plain), head, "evil.com"), isBlocked);
    await assert.rejects(authorization(new Guarded([careless], plain)), isBlocked);
    await assert.rejects(
      authorization(new Guarded([careless], plainTo("evil.com")), head, "api.openai.com"),
      isBlocked,
    );
    const any = new Guarded([secret({ hosts: ["*"], requireTlsIdentity: false })], plain);
    assert.equal(await authorization(any, get("/", bearer)), "Bearer real-secret");
  });
});

suite("Bodies", () => {
  const inBodies = [secret(places({ body: true }))];

  test("are changed only when that is wanted", async () => {
    const body = ['{"key": "$K', 'EY"}'];
    assert.equal((await new Guarded([secret()]).send(post("/", bearer), body)).body, '{"key": "$KEY"}');
    assert.equal((await new Guarded(inBodies).send(post("/"), body)).body, '{"key": "real-secret"}');
  });

  test("keep every other byte", async () => {
    const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("");
    const { body } = await new Guarded(inBodies).send(post("/"), [bytes, "$KEY", bytes, "$KE", bytes]);
    assert.equal(body, `${bytes}real-secret${bytes}$KE${bytes}`);
    assert.equal((await new Guarded([secret()]).send(post("/"), [bytes, "$KEY"])).body, `${bytes}$KEY`);
  });

  test("say whether their length changes", async () => {
    assert.equal((await new Guarded(inBodies).request(post("/"))).body?.changesLength, true);
    const other = secret({ hosts: ["other.test"] });
    assert.equal((await new Guarded([other]).request(post("/"))).body?.changesLength, false);
  });

  test("of forms and of JSON have placeholders as those are written", async () => {
    const values = { KEY: 'a/"b&c' };
    const sent = async (type: string, body: string): Promise<string> => {
      const guarded = new Guarded(inBodies, undefined, { values });
      const half = body.indexOf("KEY") + 1;
      const head = post("/", ["Content-Type", type]);
      return (await guarded.send(head, [body.slice(0, half), body.slice(half)])).body;
    };
    const form = "application/x-www-form-urlencoded; charset=utf-8";
    assert.equal(await sent(form, "k=%24KEY&l=1"), "k=a%2F%22b%26c&l=1");
    assert.equal(await sent(form, "k=$KEY"), 'k=a/"b&c');
    assert.equal(await sent("application/json", '{"k":"\\u0024KEY"}'), '{"k":"a/\\"b&c"}');
    assert.equal(await sent("application/problem+json", '{"k":"\\u0024KEY"}'), '{"k":"a/\\"b&c"}');
    assert.equal(await sent("text/plain", "%24KEY\\u0024KEY"), "%24KEY\\u0024KEY");
    assert.equal(await sent("application/json", "%24KEY"), "%24KEY");
  });

  test("pass without being copied, whatever their size", async () => {
    const other = secret({ hosts: ["other.test"] });
    for (const secrets of [[other], inBodies]) {
      const { body } = await new Guarded(secrets).request(post("/"));
      assert.ok(body !== null);
      const piece = Buffer.alloc(65536, "all of it is text %20 \n ");
      // 64 MiB
      for (let count = 0; count < 1024; count++) {
        const out: readonly Buffer[] = body.push(piece);
        assert.equal(out.length, 1);
        assert.ok(out[0]?.buffer === piece.buffer && out[0].length === piece.length);
      }
      assert.deepEqual(body.end(), []);
    }
  });

  test("with a content coding, and those of HTTP/2, are stopped when a placeholder is in them", async () => {
    const gzip = post("/", ["Content-Encoding", "gzip"]);
    await assert.rejects(new Guarded(inBodies).send(gzip, ["ab$K", "EYcd"]), isBlocked);
    const two = http2(post("/"), "api.openai.com");
    await assert.rejects(new Guarded(inBodies).send(two, ["$KE", "Y"]), isBlocked);
    const guarded = new Guarded(inBodies);
    await guarded.send(two, ["$KE"]);
    assert.equal((await guarded.send(two, ["Y"])).body, "Y");
    assert.equal((await new Guarded([secret()]).send(two, ["$KEY"])).body, "$KEY");
  });

  test("secrets that were put into one are told when it has passed", async () => {
    const { body, secrets } = await new Guarded(inBodies).request(post("/"));
    assert.deepEqual([...secrets], []);
    body?.push(Buffer.from("$KEY"));
    assert.deepEqual([...secrets], ["KEY"]);
  });
});
