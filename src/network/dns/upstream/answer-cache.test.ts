import assert from "node:assert/strict";
import { test } from "node:test";
import { encode, type Answer as LibraryRecord } from "dns-packet";
import { asking, ip, policyOf, rule } from "../../../../test/support/dns-resolver.ts";
import { addressRecord, DnsServer } from "../../../../test/support/dns-server.ts";
import { readAnswer, type Answer } from "../message/answer.ts";
import { DomainName } from "../message/name.ts";
import { AnswerCache } from "./answer-cache.ts";

const question = Buffer.concat([DomainName.of("example.com").wire, Buffer.from([0, 1, 0, 1])]);

function answer(rcode: number, answers: LibraryRecord[], authorities: LibraryRecord[] = []): Answer {
  const flags = 0x8180 | rcode;
  const questions = [{ name: "example.com", type: "A" as const }];
  const message = encode({ type: "response", id: 1, questions, answers, authorities });
  message.writeUInt16BE(flags, 2);
  return readAnswer(message, 1, question) ?? assert.fail();
}

function soa(ttl: number, minimum: number): LibraryRecord {
  const names = { mname: "ns.example", rname: "host.example" };
  return {
    name: "example",
    type: "SOA",
    ttl,
    data: { ...names, serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
  };
}

/** An answer, and how long it is kept, seconds. */
const cases: readonly (readonly [string, Answer, number])[] = [
  ["an address", answer(0, [addressRecord("example.com", "8.8.8.8", 30)]), 30],
  ["an address for a day", answer(0, [addressRecord("example.com", "8.8.8.8", 86_400)]), 300],
  [
    "the shortest time of all records",
    answer(0, [addressRecord("example.com", "8.8.8.8", 30)], [soa(7, 900)]),
    7,
  ],
  ["an address for no time", answer(0, [addressRecord("example.com", "8.8.8.8", 0)]), 0],
  ["a name that is not there", answer(3, [], [soa(900, 20)]), 20],
  ["a name that is not there, by the SOA's own time", answer(3, [], [soa(15, 20)]), 15],
  ["a name that is not there for a day", answer(3, [], [soa(86_400, 86_400)]), 60],
  ["a name that is not there, and nobody says how long", answer(3, []), 0],
  ["no address", answer(0, [], [soa(900, 20)]), 20],
  ["no address, and nobody says how long", answer(0, []), 0],
  ["a failure", answer(2, [], [soa(900, 900)]), 0],
  ["a refusal", answer(5, [], [soa(900, 900)]), 0],
];

for (const [what, given, seconds] of cases) {
  test(`${what} is known for ${seconds} s`, () => {
    const cache = new AnswerCache();
    cache.put("key", given, 1000);
    assert.equal(cache.get("other", question, 1000), null);
    if (seconds === 0) assert.equal(cache.get("key", question, 1000), null);
    else {
      assert.deepEqual(cache.get("key", question, 1000), given);
      assert.notEqual(cache.get("key", question, 1000 + seconds * 1000 - 1), null);
      assert.equal(cache.get("key", question, 1000 + seconds * 1000), null);
    }
  });
}

test("times run down, in the message as well", () => {
  const cache = new AnswerCache();
  cache.put("key", answer(0, [addressRecord("example.com", "8.8.8.8", 30)]), 0);
  for (const [now, left] of [
    [0, 30],
    [999, 30],
    [1000, 29],
    [29_999, 1],
  ] as const) {
    const known = cache.get("key", question, now) ?? assert.fail();
    assert.equal(known.records[0]?.ttlSeconds, left);
    assert.equal(known.message.readUInt32BE(known.records[0].ttlAt), left);
  }
});

test("no more than 512 answers are kept, the last ones", () => {
  const cache = new AnswerCache();
  const given = answer(0, [addressRecord("example.com", "8.8.8.8", 30)]);
  for (let index = 0; index < 600; index++) cache.put(`key ${index}`, given, 0);
  const kept = Array.from({ length: 600 }, (_, index) => cache.get(`key ${index}`, question, 0)).filter(
    (one) => one !== null,
  );
  assert.equal(kept.length, 512);
  assert.equal(cache.get("key 87", question, 0), null);
  assert.notEqual(cache.get("key 88", question, 0), null);
});

test("a known answer has the guest's id and case, is for either transport, and not for whoever asks otherwise", async () => {
  await using server = await DnsServer.start(({ name, say, reply }) =>
    say(reply({ answers: [addressRecord(name, "8.8.8.8")] })),
  );
  using guest = asking(server);
  await guest.ask("example.com", "A", { id: 1 });
  const known = await guest.ask("Example.COM", "A", { id: 2, transport: "tcp" });
  assert.deepEqual(
    [known.id, known.packet.questions?.[0]?.name, known.addresses],
    [2, "Example.COM", ["8.8.8.8"]],
  );
  assert.equal(server.asked.length, 1);
  await guest.ask("example.com", "AAAA");
  await guest.ask("example.com", "A", { udpSize: 1232 });
  await guest.ask("example.com", "A", { udpSize: 1232, isDnssecOk: true });
  await guest.ask("example.com", "A", { resolver: ip("1.1.1.1") });
  assert.equal(server.asked.length, 4, "the other resolver is the same server in this test, and known");
});

test("policy and filter look at a known answer as they are now", async () => {
  await using server = await DnsServer.start(({ name, say, reply }) =>
    say(reply({ answers: ["8.8.8.8", "10.0.0.1"].map((address) => addressRecord(name, address)) })),
  );
  const isPrivateAllowed = rule("allow", { kind: "cidr", cidr: "10.0.0.0/8" });
  using guest = asking(server, { policy: policyOf("allow", isPrivateAllowed) });
  assert.deepEqual((await guest.ask("example.com")).addresses, ["8.8.8.8", "10.0.0.1"]);
  guest.policy = policyOf("allow");
  assert.deepEqual((await guest.ask("example.com")).addresses, ["8.8.8.8"]);
  guest.policy = policyOf("allow", rule("deny", { kind: "domain", domain: "example.com" }));
  assert.equal((await guest.ask("example.com")).rcode, "NXDOMAIN");
  assert.equal(server.asked.length, 1);
});
