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
  post,
  secret,
  tlsTo,
} from "../../../test/support/secret-sample.ts";
import { pick, rounds, seeded } from "../../../test/support/fuzz.ts";
import type { HttpField } from "../http/message.ts";

const injection = { headers: true, basicAuth: true, queryParams: true, body: true };
const everywhere = secret({ injection });
const value = "real-secret";

suite("A value that may not stand in a head", () => {
  const problemOf = async (text: string, head = get("/", ["X", "$KEY"])): Promise<string> => {
    const guarded = new Guarded([everywhere], undefined, { values: { KEY: text } });
    await assert.rejects(guarded.send(head), (error: Error) => {
      assert.ok(isBlocked(error));
      assert.ok(text === "" || !error.message.includes(text));
      return true;
    });
    const [event] = guarded.events;
    assert.ok(event?.kind === "secret-problem");
    assert.ok(text === "" || !JSON.stringify(event).includes(JSON.stringify(text)));
    assert.equal(event.envVar, "KEY");
    return event.problem;
  };
  const heads = [
    get("/", ["X", "$KEY"]),
    get("/", basic("u:$KEY")),
    get("/?k=$KEY"),
    get("/?k=%24KEY"),
    http2(get("/?k=$KEY", ["X", "$KEY"]), "api.openai.com"),
  ];
  for (const text of ["a\r\nX: 1", "a\nb", "a\rb", "a\0b", "a\x7fb", "\x1b[0m", "end\n"])
    test(JSON.stringify(text), async () => {
      for (const head of heads) assert.equal(await problemOf(text, head), "unfit-value");
    });

  test("in a query also what would end it", async () => {
    for (const text of ["a b", "a#b", "é", "a\tb"]) {
      assert.equal(await problemOf(text, get("/?k=$KEY")), "unfit-value");
      const { head } = await new Guarded([everywhere], undefined, { values: { KEY: text } }).send(
        get("/?k=%24KEY"),
      );
      assert.equal(new URLSearchParams(head.target.slice(2)).get("k"), text);
    }
  });

  test("is in bodies as it is, and in fields byte by byte", async () => {
    const text = "zwei\r\nZeilen\0 é";
    const { body } = await new Guarded([everywhere], undefined, { values: { KEY: text } }).send(post("/"), [
      "$KEY",
    ]);
    assert.equal(Buffer.from(body, "latin1").toString(), text);
    const { head } = await new Guarded([everywhere], undefined, { values: { KEY: "é🔑" } }).send(
      get("/", ["X", "$KEY"]),
    );
    assert.equal(Buffer.from(head.fields[0]?.[1] ?? "", "latin1").toString(), "é🔑");
  });

  test("so much of one that no server would take it", async () => {
    const many = get("/", ["X", "$KEY".repeat(100)], ["Y", "$KEY".repeat(29)]);
    assert.equal(await problemOf("x".repeat(512), many), "unfit-value");
    const { head } = await new Guarded([everywhere], undefined, { values: { KEY: "x".repeat(508) } }).send(
      many,
    );
    assert.equal(head.fields[0]?.[1].length, 50_800);
  });

  test("is one piece of memory, however often it is in a body", async () => {
    const { body } = await new Guarded([everywhere], undefined, {
      values: { KEY: "x".repeat(4096) },
    }).request(post("/"));
    const out = body?.push(Buffer.from("$KEY".repeat(16_000))) ?? [];
    assert.equal(out.length, 16_000);
    assert.ok(out.every((piece) => piece === out[0]));
  });

  test("none, and an empty one", async () => {
    assert.equal(await problemOf(""), "no-value");
    const guarded = new Guarded([everywhere], undefined, { values: {} });
    await guarded.send(get("/"));
    await guarded.send(post("/"), ["$KE", "X"]);
    assert.deepEqual(guarded.events, []);
    await assert.rejects(guarded.send(get("/", ["X", "$KEY"])), /KEY: there is no value for it now/);
    await assert.rejects(guarded.send(post("/"), ["a$K", "EY"]), /KEY: there is no value for it now/);
    assert.equal(guarded.events.length, 2);
  });
});

suite("Values that come later", () => {
  test("are waited for, and asked for only when they are needed", async () => {
    const asked: string[] = [];
    const source = async (envVar: string, host: string): Promise<string> => {
      asked.push(`${envVar} ${host}`);
      await new Promise(setImmediate);
      return value;
    };
    const guarded = new Guarded([secret()], undefined, { source });
    assert.equal((await guarded.send(get("/", ["X", "$KEY"]))).head.fields[0]?.[1], value);
    await guarded.send(get("/"));
    await guarded.send(post("/"), ["$KEY"]);
    assert.deepEqual(asked, ["KEY api.openai.com"]);
  });

  test("a source that fails is like one without a value, and what it says is told nobody", async () => {
    for (const source of [
      () => Promise.reject(new Error(value)),
      () => {
        throw new Error(value);
      },
    ]) {
      const guarded = new Guarded([secret()], undefined, { source });
      const error = await guarded.send(get("/", ["X", "$KEY"])).then(
        () => assert.fail(),
        (reason: unknown) => reason,
      );
      assert.ok(isBlocked(error) && error instanceof Error);
      assert.ok(!`${error.stack} ${String(error.cause)} ${JSON.stringify(guarded.events)}`.includes(value));
    }
  });

  test("two requests at a time do not meet", async () => {
    const waiting: (() => void)[] = [];
    const source = async (): Promise<string> => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return value;
    };
    const guarded = new Guarded([secret()], undefined, { source });
    const slow = guarded.send(get("/a", ["X", "$KEY"]));
    const other = await guarded.send(get("/b"));
    assert.equal(other.head.target, "/b");
    for (const go of waiting) go();
    const { head } = await slow;
    assert.deepEqual([head.target, head.fields[0]?.[1]], ["/a", value]);
  });
});

suite("Placeholders that have to do with each other", () => {
  const a = secret({ envVar: "A", placeholder: "$MSB_A", injection });
  const ab = secret({ envVar: "AB", placeholder: "$MSB_AB", injection });
  const values = { A: "$MSB_AB", AB: "$MSB_A", KEY: "x$KEYx" };

  test("a value that is a placeholder is not replaced again", async () => {
    const guarded = new Guarded([a, ab, everywhere], undefined, { values });
    const head = post("/?$MSB_A&$MSB_AB", ["X", "$MSB_A $MSB_AB $KEY"], basic("$MSB_A:$KEY$MSB_AB"));
    const sent = await guarded.send(head, ["$MSB_A $MSB_AB $KEY$M", "SB_A", "$MSB_A", "B"]);
    assert.equal(sent.head.target, "/?$MSB_AB&$MSB_A");
    assert.deepEqual(sent.head.fields.slice(0, 2), [
      ["X", "$MSB_AB $MSB_A x$KEYx"],
      basic("$MSB_AB:x$KEYx$MSB_A"),
    ]);
    assert.equal(sent.body, "$MSB_AB $MSB_A x$KEYx$MSB_AB$MSB_A");
  });

  test("one that is the beginning of another is not seen in it", async () => {
    for (const [mine, other, text] of [
      [{ ...ab }, { ...a, hosts: ["other.test"] }, "$MSB_AB"],
      [{ ...a }, { ...ab, hosts: ["other.test"] }, "$MSB_A-B"],
    ] as const) {
      const guarded = new Guarded([other, mine], undefined, { values: { A: "1", AB: "1" } });
      const { head } = await guarded.send(get(`/?q=${text}`, ["X", text], basic(`u:${text}`)));
      const short = text.replace(mine.placeholder, "1");
      assert.deepEqual(head, get(`/?q=${short}`, ["X", short], basic(`u:${short}`)));
      for (let at = 0; at <= text.length; at++)
        assert.equal((await guarded.send(post("/"), [text.slice(0, at), text.slice(at)])).body, short);
      const wrong = get("/", ["X", other.placeholder]);
      await assert.rejects(guarded.send(wrong), isBlocked);
      await assert.rejects(guarded.send(post("/"), [other.placeholder]), isBlocked);
    }
  });

  test("what may go nowhere else is not passed on while it could still be another", async () => {
    const notHere = { ...a, hosts: ["other.test"] };
    const here = { ...ab, ...places({ headers: true }) };
    const { body } = await new Guarded([notHere, here], undefined, { values }).request(post("/"));
    assert.ok(body !== null);
    assert.equal(Buffer.concat(body.push(Buffer.from("x$MSB_A"))).toString(), "x");
    assert.equal(Buffer.concat(body.push(Buffer.from("B"))).toString(), "$MSB_AB");
    assert.equal(Buffer.concat(body.push(Buffer.from("$MSB_A"))).toString(), "");
    assert.throws(() => body.end(), isBlocked);
  });

  test("of those that overlap the first is replaced, and the other one found", async () => {
    const first = secret({ envVar: "F", placeholder: "abc", injection });
    const second = secret({ envVar: "S", placeholder: "cde", injection });
    const both = new Guarded([first, second], undefined, { values: { F: "1", S: "2" } });
    assert.equal((await both.send(get("/", ["X", "abcde abc cde"]))).head.fields[0]?.[1], "1de 1 2");
    assert.equal((await both.send(post("/"), ["ab", "cd", "e"])).body, "1de");
    assert.deepEqual((await both.send(get("/", basic("abcde:cde")))).head.fields, [basic("1de:2")]);
    const one = new Guarded([first, { ...second, hosts: ["other.test"] }], undefined, { values: { F: "1" } });
    await assert.rejects(one.send(get("/", ["X", "abcde"])), isBlocked);
  });
});

suite("Ways around", () => {
  const evil = tlsTo("evil.com");
  const inert: readonly (readonly [string, string])[] = [
    ["escaped twice", "%2524KEY"],
    ["a JSON escape of a percent escape", "\\u002524KEY"],
    ["half of it", "$KE"],
    ["folded", "$K EY"],
    ["in upper and lower case", "$key"],
    ["base64 of base64", Buffer.from(Buffer.from("a$KEY").toString("base64")).toString("base64")],
    ["in hexadecimal", Buffer.from("$KEY").toString("hex")],
    ["an escape that is none", "%2gKEY%"],
  ];
  for (const [name, text] of inert)
    test(`${name} it is not seen, and nothing takes its place anywhere`, async () => {
      const fields: HttpField[] = [["X", text]];
      assert.deepEqual(
        (await new Guarded([secret()], evil).send(post(`/?${text}`, ...fields), [text])).body,
        text,
      );
      const sent = await new Guarded([everywhere]).send(post(`/?${text}`, ...fields), [text]);
      assert.ok(!JSON.stringify(sent).includes(value));
      assert.equal(sent.body, text);
    });

  test("escapes in odd places change nothing", async () => {
    for (const text of [
      "\\\\%24KEY",
      "\\\\u0024KEY",
      "%%24KEY",
      "%2%24KEY",
      "\\%24KEY",
      "a%24%4B%45%59b",
      "\\u0024\\u004b\\u0045\\u0059",
    ])
      for (let at = 0; at <= text.length; at++) {
        const guarded = new Guarded([secret()], evil);
        await assert.rejects(guarded.send(post("/"), [text.slice(0, at), text.slice(at)]), isBlocked, text);
      }
  });

  test("two fields that would be one are two", async () => {
    const guarded = new Guarded([everywhere], evil);
    const head = get("/", ["Cookie", "a=$K"], ["Cookie", "EY"], ["X$K", "EY"]);
    assert.equal((await guarded.send(head)).head, head);
  });

  test("a placeholder in base64 is told from one that ends otherwise", async () => {
    const one = secret({ envVar: "ONE", placeholder: "$MSB_KEY_1", hosts: ["evil.com"] });
    const two = secret({ envVar: "TWO", placeholder: "$MSB_KEY_2" });
    for (const before of ["", "a", "ab"]) {
      const body = (text: string): string[] => [Buffer.from(before + text).toString("base64")];
      await new Guarded([one, two], evil).send(post("/"), body("$MSB_KEY_1"));
      await assert.rejects(new Guarded([one, two], evil).send(post("/"), body("$MSB_KEY_2")), isBlocked);
    }
  });

  test("no text of a guest makes it fail, or brings a value out where it may not be", (context) => {
    const random = seeded(context);
    const bits = [
      "$KEY",
      "$KE",
      "%24",
      "\\u0024",
      "KEY",
      "JEtFWQ",
      "?",
      "#",
      " ",
      "\n",
      "\0",
      "é",
      "\\",
      "%",
      ":",
      "Basic ",
    ];
    const some = (): string => Array.from({ length: random(12) }, () => pick(random, bits)).join("");
    const guarded = new Guarded(
      [everywhere, secret({ envVar: "O", placeholder: "$K", hosts: ["o.test"] })],
      evil,
    );
    const own = new Guarded([everywhere]);
    for (let round = rounds(2000); round > 0; round--) {
      const name = pick(random, ["X", "Authorization", "authorization", "Host", "Content-Encoding", some()]);
      const head = post(`/${some()}`, [name, pick(random, ["", "Basic "]) + some()]);
      const bytes = [Buffer.from(some()), Buffer.from(some())];
      for (const one of [guarded, own])
        try {
          const request = one.guard.request(head, null);
          assert.ok(!(request instanceof Promise));
          const sent = request.head;
          const body = pass(request.body, bytes).toString();
          assert.ok(one === own || !JSON.stringify([sent, body]).includes(value));
          assert.ok(!sent.target.split("?", 1)[0]?.includes(value));
        } catch (error) {
          assert.ok(isBlocked(error), String(error));
        }
    }
    assert.ok(!JSON.stringify([guarded.events, own.events]).includes(value));
  });
});
