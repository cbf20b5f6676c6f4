import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Sandbox } from "../../../src/index.ts";
import { addressRecord, aliasRecord, nameBytes, response, types } from "../../internet/dns-message.ts";
import { lost, places } from "../../internet/places.ts";
import type { Needs } from "../tags.ts";
import { furnish, onTheInternet, said, useInternet } from "./network-support.ts";

export const needs: Needs = ["running", "internet"];

// What resolvers answer: right, wrong, late and hostile. Only names below example.com are allowed, and the first resolver of
// the list never answers.

const { internet } = await useInternet();
const timeout = 120_000;
let sandbox: Sandbox;
before(async () => {
  sandbox = await onTheInternet("answers")
    .network((n) =>
      n
        .dns((dns) =>
          dns
            .nameservers([lost.v4, places.resolver4])
            .queryTimeoutMs(1000)
            .maxQueriesPerMinute(60)
            .maxNameLength(100),
        )
        .policy({
          defaultEgress: "deny",
          defaultIngress: "allow",
          rules: ["example.com", "example.org", "example.net"].map((suffix) => ({
            direction: "egress",
            destination: { kind: "domainSuffix", suffix },
            protocols: [],
            ports: [],
            action: "allow",
          })),
        }),
    )
    .create();
  await furnish(sandbox, internet, "dns.py");
});

/** `dig` of a name: its status, then the addresses. */
async function dig(name: string, ...options: readonly string[]): Promise<string> {
  const text = await said(sandbox, `dig +tries=1 +timeout=8 ${name} ${options.join(" ")}`);
  const [, status = "nothing"] = /status: ([A-Z]+)/.exec(text) ?? [];
  const answers = [...text.matchAll(/^\S+\s+\d+\s+IN\s+A\s+(\S+)$/gm)].map(([, address]) => address);
  return [status, ...answers].join(" ");
}

test("codes of every kind are passed on", { timeout }, async () => {
  const codes = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, YXDOMAIN: 6, NOTAUTH: 9 };
  for (const [name, rcode] of Object.entries(codes)) {
    internet.resolver.answer(`${name.toLowerCase()}.example.com`, ({ message }) =>
      response(message, { rcode }),
    );
    assert.equal(await dig(`${name.toLowerCase()}.example.com`), name);
  }
});

test("the next resolver is asked where one does not answer", { timeout }, async () => {
  await internet.wire.take();
  assert.equal(await dig("v4.example.com"), `NOERROR ${places.host4}`);
  assert.deepEqual(await internet.wire.takeTo(places.resolver4), ["udp/53"]);
});

test("a chain of aliases is followed, and what is beside it opens nothing", { timeout }, async () => {
  const chain = (length: number, at: string) => (asked: { message: Buffer; name: string; type: number }) =>
    response(asked.message, {
      records:
        asked.type === types.A
          ? [
              addressRecord("unrelated.example.com", places.other4),
              ...Array.from({ length }, (_, index) =>
                aliasRecord(index === 0 ? asked.name : `c${index}.example.com`, `c${index + 1}.example.com`),
              ),
              addressRecord(`c${length}.example.com`, at),
            ]
          : [],
    });
  internet.resolver.answer("chain.example.com", chain(10, places.first4));
  assert.match(await dig("chain.example.com"), new RegExp(`^NOERROR.* ${places.first4}$`));
  const reach = (address: string): string => `printf x | nc -N -w 5 ${address} 7 || echo none`;
  assert.equal(await said(sandbox, `${reach(places.first4)}; echo; ${reach(places.other4)}`), "x\nnone");
  await internet.wire.nothingTo(places.other4);
});

test("aliases in a circle, and names that point to themselves, are no answers", { timeout }, async () => {
  internet.resolver.answer("circle.example.com", ({ message, name }) =>
    response(message, { records: [aliasRecord(name, "b.example.com"), aliasRecord("b.example.com", name)] }),
  );
  assert.match(await dig("circle.example.com"), /^(NOERROR|SERVFAIL)$/);
  internet.resolver.answer("pointer.example.com", ({ message, end }) => {
    const whole = response(message, { records: [addressRecord("", places.other4)] });
    // The owner's name, one byte, becomes a pointer to where it begins.
    return Buffer.concat([whole.subarray(0, end), Buffer.from([0xc0, end]), whole.subarray(end + 1)]);
  });
  assert.match(await dig("pointer.example.com"), /^SERVFAIL$/);
});

test("garbage, answers to other questions and with other numbers are not taken", { timeout }, async () => {
  const evil = (asked: { message: Buffer; name: string }, name = asked.name): Buffer =>
    response(asked.message, { records: [addressRecord(name, places.other4)] });
  internet.resolver.answer("numbers.example.com", (asked) => {
    const wrong = Buffer.from(evil(asked));
    wrong.writeUInt16BE(wrong.readUInt16BE(0) ^ 1, 0);
    return [wrong, response(asked.message, { records: [addressRecord(asked.name, places.host4)] })];
  });
  assert.equal(await dig("numbers.example.com"), `NOERROR ${places.host4}`);
  internet.resolver.answer("questions.example.com", (asked) => {
    const other = Buffer.from(evil(asked));
    const at = other.indexOf(nameBytes("questions.example.com"));
    other[at + 1] = 0x78;
    return [other, response(asked.message, { records: [addressRecord(asked.name, places.host4)] })];
  });
  assert.equal(await dig("questions.example.com"), `NOERROR ${places.host4}`);
  for (const [name, bytes] of Object.entries({
    empty: Buffer.alloc(0),
    short: Buffer.alloc(3),
    random: randomBytes(400),
  })) {
    internet.resolver.answer(`${name}.example.com`, ({ message }) =>
      // The right number before it, where there is room.
      Buffer.concat([message.subarray(0, 2), bytes]).subarray(0, bytes.length),
    );
    assert.equal(await dig(`${name}.example.com`), "SERVFAIL", name);
  }
});

test(
  "what is late is waited for, so long as it may take; nothing at all is a failure",
  { timeout },
  async () => {
    internet.resolver.answer("late.example.com", async ({ message, name }) => {
      await sleep(300);
      return response(message, { records: [addressRecord(name, places.host4)] });
    });
    assert.equal(await dig("late.example.com"), `NOERROR ${places.host4}`);
    internet.resolver.answer("never.example.com", () => null);
    assert.equal(await dig("never.example.com"), "SERVFAIL");
    assert.equal(await dig("never.example.com", "+tcp"), "SERVFAIL");
  },
);

test("names that are too long, or too many below one domain, do not leave", { timeout }, async () => {
  internet.resolver.takeNames();
  const long = `${"x".repeat(60)}.${"y".repeat(60)}.example.org`;
  assert.equal(await dig(long), "REFUSED");
  assert.deepEqual(internet.resolver.takeNames(), []);
  internet.resolver.host("*.example.net", places.host4);
  internet.resolver.host("*.example.org", places.host4);
  const script = `
import sys; sys.argv = ["", "ask", "v4.example.org"]
sys.stdout = open("/dev/null", "w"); exec(open("/tmp/dns.py").read()); sys.stdout = sys.__stdout__
told_all = [told(by_udp(question(f"{number:032x}.example.net"))) for number in range(80)]
print(sum(each == "NOERROR 1 answers" for each in told_all), told_all[-1])
print(told(by_udp(question("v4.example.org"))))`;
  await sandbox.fs().write("/tmp/leak.py", script);
  const [many = "", other] = (await said(sandbox, "python3 /tmp/leak.py")).split("\n");
  const [count, last] = [Number.parseInt(many, 10), many.replace(/^\d+ /, "")];
  // The minute goes on while they are asked.
  assert.ok(count >= 60 && count < 80, many);
  assert.match(last, /^REFUSED/);
  assert.equal(other, "NOERROR 1 answers");
  const left = internet.resolver.takeNames().filter((name) => name.endsWith(".example.net"));
  assert.equal(left.length, count);
});
