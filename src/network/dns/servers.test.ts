/** How servers are asked: which of them, how often, with what, and what becomes of their answers' size. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  answers,
  asking,
  deadPort,
  ip,
  questionOf,
  TestResolver,
  told,
} from "../../../test/support/dns-resolver.ts";
import { addressRecord, DnsServer, type AskedOfServer } from "../../../test/support/dns-server.ts";

for (const rcode of ["SERVFAIL", "REFUSED", "NXDOMAIN", "FORMERR", "NOTIMP"]) {
  test(`${rcode} of the first server is final`, async () => {
    await using first = await DnsServer.start(({ say, reply }) => say(reply({ rcode })));
    await using second = await DnsServer.start(answers);
    const nameservers = [first, second].map(({ port }) => `127.0.0.1:${port}`);
    using guest = new TestResolver({ dns: { nameservers } });
    guest.bindings.bind("example.com", [ip("93.184.216.34")], 60);
    assert.equal((await guest.ask("example.com")).rcode, rcode);
    assert.deepEqual([first.asked.length, second.asked.length], [1, 0]);
    assert.deepEqual([guest.lastEvent.outcome, guest.lastEvent.rcode], ["answered", rcode]);
    // A server that is in trouble says nothing about the name.
    assert.equal(guest.bindings.namesOf(ip("93.184.216.34")).length, rcode === "SERVFAIL" ? 1 : 0);
  });
}

test("a failure that says nothing but its code is passed on with the question", async () => {
  await using server = await DnsServer.start(({ bytes, say }) => {
    const header = Buffer.alloc(12);
    bytes.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8081, 2);
    say(header);
  });
  using guest = asking(server);
  const answer = await guest.ask("example.com", "A", { udpSize: 1232 });
  assert.deepEqual([answer.rcode, answer.packet.questions?.[0]?.name], ["FORMERR", "example.com"]);
});

for (const transport of ["udp", "tcp"] as const) {
  test(`servers that are dead or silent cost only the first question by ${transport} its time`, async () => {
    const dead = await deadPort();
    await using silent = await DnsServer.start(() => undefined);
    await using last = await DnsServer.start(answers);
    const nameservers = [dead, silent.port, last.port].map((port) => `127.0.0.1:${port}`);
    using guest = new TestResolver({ dns: { nameservers, queryTimeoutMs: 100 } });
    assert.deepEqual((await guest.ask("one.example", "A", { transport })).addresses, ["93.184.216.34"]);
    assert.deepEqual((await guest.ask("two.example", "A", { transport })).addresses, ["93.184.216.34"]);
    assert.deepEqual(
      silent.asked.map(({ name }) => name),
      ["one.example"],
    );
  });

  test(`when no server answers by ${transport}: SERVFAIL, and every one was asked`, async () => {
    const dead = await deadPort();
    await using silent = await DnsServer.start(() => undefined);
    const nameservers = [dead, silent.port].map((port) => `127.0.0.1:${port}`);
    using guest = new TestResolver({ dns: { nameservers, queryTimeoutMs: 100 } });
    const answer = await guest.ask("example.com", "A", { transport, udpSize: 1232 });
    assert.equal(answer.rcode, "SERVFAIL");
    assert.deepEqual([guest.lastEvent.outcome, silent.asked.length], ["failed", 1]);
    // Whoever speaks EDNS is told why.
    assert.ok(answer.bytes.includes(`127.0.0.1 ${dead}`) && answer.bytes.includes("timeout"));
  });
}

for (const transport of ["udp", "tcp"] as const) {
  test(`a server that there is no way to is passed over by ${transport}`, async () => {
    await using server = await DnsServer.start(answers);
    // Of an interface that is not there, and a broadcast address, which the kernel allows nobody.
    const nameservers = ["fe80::1%nosuch0", "255.255.255.255", `127.0.0.1:${server.port}`];
    using guest = new TestResolver({ dns: { nameservers, queryTimeoutMs: 100 } });
    assert.equal((await guest.ask("example.com", "A", { transport })).rcode, "NOERROR");
    using without = new TestResolver({ dns: { nameservers: nameservers.slice(0, 2), queryTimeoutMs: 100 } });
    assert.equal((await without.ask("example.com", "A", { transport })).rcode, "SERVFAIL");
  });
}

test("questions leave no sockets behind, whether they are answered, given up at once or never answered", async () => {
  const sockets = (): number =>
    process.getActiveResourcesInfo().filter((one) => /^(?:UDP|TCPSocket)/.test(one)).length;
  await using server = await DnsServer.start((asked) => {
    if (!asked.name.startsWith("silent")) answers(asked);
  });
  const before = sockets();
  using guest = asking(server, { dns: { queryTimeoutMs: 50 } });
  for (let round = 0; round < 10; round++) {
    const all = Array.from({ length: 60 }, (_, index) => {
      const over = new AbortController();
      const transport = index % 2 === 0 ? "udp" : "tcp";
      const name = `${index % 10 === 0 ? "silent" : "name"}-${round}-${index}.example`;
      const answer = guest.send(questionOf(name, "A"), transport, undefined, over.signal);
      if (index % 3 === 0) over.abort();
      else if (index % 7 === 0) setImmediate(() => over.abort());
      return answer;
    });
    await Promise.all(all);
  }
  // The server's ends of connections close when it hears of ours.
  while (sockets() > before) await new Promise(setImmediate);
});

test("nameservers that are names are looked up once; when there is none, there is no answer", async () => {
  await using server = await DnsServer.start(answers);
  const lookedUp: string[] = [];
  const lookUp = async (host: string): Promise<string> => {
    lookedUp.push(host);
    if (host === "missing.example") throw new Error("there is no such name");
    return "127.0.0.1";
  };
  const nameservers = ["missing.example", `resolver.example:${server.port}`];
  using guest = new TestResolver({ dns: { nameservers }, sources: { lookUp } });
  assert.equal((await guest.ask("one.example")).rcode, "NOERROR");
  assert.equal((await guest.ask("two.example")).rcode, "NOERROR");
  assert.deepEqual(lookedUp, ["missing.example", "resolver.example"]);
  assert.match(guest.warnings.join("\n"), /missing\.example is left out: there is no such name/);

  using without = new TestResolver({ dns: { nameservers: ["missing.example"] }, sources: { lookUp } });
  for (const transport of ["udp", "tcp"] as const)
    assert.equal(await without.send(questionOf("example.com", "A"), transport), null);
});

/** Size that the guest takes, bytes of addresses in the answer, and whether it comes whole. */
const sizes: readonly (readonly ["udp" | "tcp", number | undefined, number, boolean])[] = [
  ["udp", undefined, 15, true],
  ["udp", undefined, 40, false],
  ["udp", 100, 15, true],
  ["udp", 100, 40, false],
  ["udp", 1232, 40, true],
  ["udp", 1232, 80, false],
  ["udp", 4096, 150, true],
  ["udp", 65535, 300, false],
  ["tcp", undefined, 300, true],
];

for (const [transport, udpSize, count, isWhole] of sizes) {
  test(`an answer with ${count} addresses by ${transport} to who takes ${udpSize ?? "no EDNS"}: ${isWhole ? "whole" : "truncated"}`, async () => {
    await using server = await DnsServer.start(({ name, say, reply }) => {
      const list = Array.from({ length: count }, (_, index) =>
        addressRecord(name, `8.8.${index >> 8}.${index & 0xff}`),
      );
      say(reply({ answers: list }));
    });
    using guest = asking(server);
    const size = udpSize === undefined ? {} : { udpSize };
    const answer = await guest.ask("example.com", "A", { transport, ...size });
    assert.deepEqual([answer.isTruncated, answer.addresses.length], [!isWhole, isWhole ? count : 0]);
    assert.equal(answer.packet.questions?.[0]?.name, "example.com");
  });
}

test("a server's truncated answer is passed on as one, by UDP, and says nothing about the name", async () => {
  await using server = await DnsServer.start(({ bytes, say }) => {
    const answer = Buffer.concat([bytes, Buffer.from([0xc0])]);
    answer.writeUInt16BE(0x8380, 2);
    answer.writeUInt16BE(3, 6);
    say(answer);
  });
  using guest = asking(server);
  guest.bindings.bind("example.com", [ip("93.184.216.34")], 60);
  const answer = await guest.ask("example.com");
  assert.deepEqual([answer.isTruncated, answer.rcode, answer.bytes.length], [true, "NOERROR", 12 + 13 + 4]);
  assert.equal(guest.bindings.namesOf(ip("93.184.216.34")).length, 1);
});

test("what a server is asked has the guest's question and flags, EDNS made anew, and an id of its own", async () => {
  await using server = await DnsServer.start(answers);
  using guest = asking(server);
  for (let id = 1; id <= 20; id++)
    await guest.ask(`Name-${id}.example`, "A", { id, udpSize: 60_000, isDnssecOk: true });
  const seen = server.asked.map(({ packet }) => packet);
  assert.equal(seen[0]?.questions?.[0]?.name, "Name-1.example");
  const [opt] = server.asked[0]?.packet.additionals ?? [];
  assert.deepEqual(opt?.type === "OPT" ? [opt.udpPayloadSize, opt.flag_do, opt.options] : opt, [
    4096,
    true,
    [],
  ]);
  assert.ok(new Set(seen.map(({ id }) => id)).size > 15);
  assert.ok(seen.some(({ id }, index) => id !== index + 1));
  await guest.ask("plain.example");
  assert.deepEqual(server.asked.at(-1)?.packet.additionals, []);
});

test("the same question at the same time is asked once; sent again, it is asked again, and both are answered", async () => {
  const asked: AskedOfServer[] = [];
  const twice = Promise.withResolvers<void>();
  await using server = await DnsServer.start((question) => {
    asked.push(question);
    // The first one is lost.
    if (asked.length === 2) twice.resolve();
  });
  using guest = asking(server);
  const first = guest.ask("example.com", "A", { id: 1 });
  while (asked.length === 0) await new Promise(setImmediate);
  const second = guest.ask("example.com", "A", { id: 2 });
  await twice.promise;
  assert.equal(asked[0]?.packet.id, asked[1]?.packet.id);
  answers(asked[1] ?? assert.fail());
  assert.deepEqual([(await first).id, (await second).id], [1, 2]);
  assert.deepEqual((await first).addresses, ["93.184.216.34"]);
});

test("a question whose connection has ended is given up, and leaves no socket", async () => {
  await using server = await DnsServer.start(() => undefined);
  using guest = asking(server);
  const over = new AbortController();
  const answer = guest.send(questionOf("example.com", "A"), "udp", undefined, over.signal);
  while (server.asked.length === 0) await new Promise(setImmediate);
  over.abort();
  assert.equal(await answer, null);
  const open = guest.send(questionOf("example.com", "A"), "tcp");
  while (server.asked.length === 1) await new Promise(setImmediate);
  guest.resolver.close();
  assert.equal(await open, null);
  assert.equal(await guest.send(questionOf("example.com", "A")), null);
  assert.equal(guest.events.length, 0);
});

test("a guest that asks without end is answered up to a bound, and again afterwards", async () => {
  const held: AskedOfServer[] = [];
  await using server = await DnsServer.start((asked) => held.push(asked));
  using guest = asking(server);
  const given = Array.from({ length: 300 }, (_, index) => guest.send(questionOf(`n${index}.example`, "A")));
  const dropped = await Promise.all(given.slice(256));
  assert.deepEqual(new Set(dropped), new Set([null]));
  while (held.length < 256) await new Promise(setImmediate);
  server.handler = answers;
  for (const asked of held) answers(asked);
  const answered = await Promise.all(given.slice(0, 256));
  assert.ok(answered.every((answer) => answer !== null && told(answer).rcode === "NOERROR"));
  assert.equal((await guest.ask("later.example")).rcode, "NOERROR");
});
