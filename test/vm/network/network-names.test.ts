import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import type { NetworkPolicy, Sandbox } from "../../../src/index.ts";
import { addressRecord, response, types } from "../../internet/dns-message.ts";
import { places } from "../../internet/places.ts";
import type { Needs } from "../tags.ts";
import { furnish, muslProgram, onTheInternet, said, useInternet } from "./network-support.ts";

export const needs: Needs = ["running", "internet"];

// Rules about names, and what a guest does to get around them. `only`: nothing but example.com and what is below it.
// `without`: everything but other.test and what is below it.

const timeout = 120_000;
const rules = (defaultEgress: "allow" | "deny", rules: NetworkPolicy["rules"]): NetworkPolicy => ({
  defaultEgress,
  defaultIngress: "allow",
  rules,
});
const every = { direction: "egress", protocols: [], ports: [] } as const;

const { internet } = await useInternet();
let only: Sandbox;
let without: Sandbox;
before(async () => {
  only = await onTheInternet("only")
    .network((n) =>
      n.policy(
        rules("deny", [
          { ...every, action: "allow", destination: { kind: "domainSuffix", suffix: "example.com" } },
        ]),
      ),
    )
    .create();
  without = await onTheInternet("without")
    .network((n) =>
      n.policy(
        rules("allow", [
          { ...every, action: "deny", destination: { kind: "domainSuffix", suffix: "other.test" } },
        ]),
      ),
    )
    .create();
  const lookup = await muslProgram(internet, join(import.meta.dirname, "guest/lookup.c"));
  for (const sandbox of [only, without]) {
    await furnish(sandbox, internet, "dns.py", "tls.py");
    await sandbox.fs().write("/tmp/lookup", lookup);
    await sandbox.shell("chmod 755 /tmp/lookup");
  }
  internet.resolver.host("*.other.test", places.other4);
  internet.resolver.host("unknown.test", places.other4);
});

async function forget(): Promise<void> {
  await internet.wire.take();
  internet.resolver.takeNames();
  internet.web.takeVisits();
}

const tls = (sandbox: Sandbox, address: string, name: string, how: string): Promise<string> =>
  said(sandbox, `python3 /tmp/tls.py ${address} ${name} ${how}`);

test("a name that is not allowed is not asked, whichever resolver the guest wants", { timeout }, async () => {
  await forget();
  assert.equal(
    await said(only, "python3 /tmp/dns.py elsewhere secret.unknown.test"),
    [
      ...["1.1.1.1", "2606:4700:4700::1111", "8.8.8.8"].map(
        (server) => `${server} NXDOMAIN 0 answers NXDOMAIN 0 answers`,
      ),
      ...[5353, 5355, 137, 853, 784, 8853].map((port) => `${port} nothing`),
      ...[853, 5300, 443].map((port) => `${port} ConnectionRefusedError`),
    ].join("\n"),
  );
  assert.deepEqual(internet.resolver.takeNames(), []);
  await internet.wire.nothingTo(places.otherResolver4, places.otherResolver6, places.resolver4);
});

test("a resolver that is not allowed is not asked, whatever the name", { timeout }, async () => {
  await forget();
  assert.equal(await said(only, "python3 /tmp/dns.py ask v4.example.com 1.1.1.1"), "NXDOMAIN 0 answers");
  await internet.wire.nothingTo(places.otherResolver4);
  assert.equal(await said(without, "python3 /tmp/dns.py ask v4.example.com 1.1.1.1"), "NOERROR 1 answers");
  assert.deepEqual(await internet.wire.takeTo(places.otherResolver4), ["udp/53"]);
  // Encrypted DNS is not looked into, so none of it leaves.
  assert.match(
    await said(without, "python3 /tmp/dns.py elsewhere v4.example.com"),
    /^853 ConnectionRefusedError$/m,
  );
  assert.ok(
    !(await internet.wire.takeTo(places.otherResolver4)).some((sent) => /\/(853|5353|5355|137)$/.test(sent)),
  );
});

test("questions of an odd shape", { timeout }, async () => {
  await forget();
  internet.resolver.host("a\\032b\\001\\255.odd.example.com", places.host4);
  assert.deepEqual((await said(without, "python3 /tmp/dns.py odd")).split("\n"), [
    "two questions: FORMERR 0 answers",
    "no question: FORMERR 0 answers",
    "a response: nothing",
    "short: nothing",
    "a pointer to itself: FORMERR 0 answers",
    "odd bytes: NOERROR 1 answers",
    "0x20: NOERROR 1 answers",
    "a label of 63: NOERROR 1 answers",
  ]);
  assert.ok(!internet.resolver.takeNames().includes("response.example.com"));
  assert.deepEqual(internet.resolver.garbage, []);
});

test("DNS over TCP, its length and messages in pieces", { timeout }, async () => {
  assert.deepEqual((await said(without, "python3 /tmp/dns.py split_length")).split("\n"), [
    "NOERROR 1 answers",
    "NOERROR 1 answers",
    "NOERROR 1 answers NOERROR 1 answers",
  ]);
});

test("an allowed name does not open an address that it does not stand for", { timeout }, async () => {
  await forget();
  assert.equal(await tls(only, places.other4, "www.example.com", "whole"), "refused");
  assert.notEqual(
    (await only.shell(`curl -sS -m 5 --resolve example.com:80:${places.other4} http://example.com/`)).code,
    0,
  );
  // Nor over the other family, of which no address is known.
  await said(only, "python3 /tmp/dns.py ask v4.example.com");
  assert.equal(await tls(only, places.host6, "v4.example.com", "whole"), "refused");
  await internet.wire.nothingTo(places.other4, places.host6);
});

const hows = [
  ...["whole", "segments", "bytes", "records", "large", "large-segments", "large-bytes"],
  ...["large-records-segments", "records-bytes"],
];

test("TLS goes by the name that it says, however the ClientHello comes", { timeout }, async () => {
  await forget();
  const attempts = async (
    sandbox: Sandbox,
    rows: readonly (readonly [string, string])[],
  ): Promise<unknown> => {
    const words = hows.flatMap((how) => rows.map(([address, name]) => `${address} ${name} ${how}`));
    const told = (await said(sandbox, `python3 /tmp/tls.py ${words.join(" ")}`)).split("\n");
    return hows.map((how, at) => [how, ...told.slice(at * rows.length, (at + 1) * rows.length)].join(" "));
  };
  await said(only, "getent ahostsv4 example.com");
  assert.deepEqual(
    await attempts(only, [
      [places.host4, "www.example.com"],
      [places.host4, "www.other.test"],
    ]),
    hows.map((how) => `${how} answered ended`),
  );
  assert.deepEqual(
    await attempts(without, [
      [places.other4, "fine.test"],
      [places.other4, "www.other.test"],
      [places.host4, "a.b.OTHER.test"],
    ]),
    hows.map((how) => `${how} answered ended ended`),
  );
  const names = internet.web.takeVisits().map(({ serverName }) => serverName);
  assert.deepEqual(names, [...hows.map(() => "www.example.com"), ...hows.map(() => "fine.test")]);
});

test("TLS without a name goes by the address alone", { timeout }, async () => {
  await forget();
  assert.equal(await tls(only, places.other4, "-", "whole"), "refused");
  assert.equal(
    await said(only, `getent ahostsv4 example.com > /dev/null; python3 /tmp/tls.py ${places.host4} - whole`),
    "answered",
  );
  await internet.wire.nothingTo(places.other4);
});

test("a Host header opens nothing", { timeout }, async () => {
  await forget();
  await said(only, "curl -sS -4 -m 10 -H 'Host: www.other.test' http://example.com/hello");
  assert.deepEqual(
    internet.web.takeVisits().map(({ at, host }) => `${at} ${host}`),
    [`${places.host4} www.other.test`],
  );
  assert.notEqual(
    (await only.shell(`curl -sS -m 5 -H 'Host: example.com' http://${places.other4}/hello`)).code,
    0,
  );
  await internet.wire.nothingTo(places.other4);
});

test(
  "a denied name and the names below it are not asked; with another spelling neither",
  { timeout },
  async () => {
    await forget();
    for (const name of ["other.test", "a.b.other.test", "OTHER.test", "oThEr.TeSt."])
      assert.equal(await said(without, `python3 /tmp/dns.py ask ${name}`), "NXDOMAIN 0 answers", name);
    assert.equal(await said(without, "python3 /tmp/dns.py ask another.test"), "NXDOMAIN 0 answers");
    assert.deepEqual(internet.resolver.takeNames(), ["another.test"]);
  },
);

test("a port that is used again is judged again", { timeout }, async () => {
  await forget();
  const script = `
import socket, struct
def reach(address):
    one = socket.socket(); one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.bind(("", 5555)); one.settimeout(10)
    try: one.connect((address, 7)); one.send(b"x"); return one.recv(1) == b"x"
    except OSError: return False
    finally: one.close()
socket.getaddrinfo("example.com", 7)
print([reach(address) for _ in range(20) for address in ("${places.host4}", "${places.other4}")] == [True, False] * 20)`;
  await only.fs().write("/tmp/again.py", script);
  assert.equal(await said(only, "python3 /tmp/again.py"), "True");
  await internet.wire.nothingTo(places.other4);
});

test("a name whose addresses take turns does not cut off who has learnt one", { timeout }, async () => {
  let turn = 0;
  internet.resolver.answer("turns.example.com", ({ message, name, type }) =>
    response(message, {
      records:
        type === types.A
          ? [
              addressRecord(name, turn++ % 2 === 0 ? places.first4 : places.second4, 30),
              // Keeps the answer out of caches, so that each question finds another one.
              addressRecord("beside.example.com", places.host4, 0),
            ]
          : [],
    }),
  );
  const each = (address: string): string => `printf x | nc -N -w 5 ${address} 7`;
  const look = "python3 /tmp/dns.py ask turns.example.com > /dev/null";
  const [first, second] = [each(places.first4), each(places.second4)];
  assert.equal(
    await said(only, `${first}; ${look}; ${first}; ${look}; ${first}; ${second}; ${look}; ${second}`),
    "xxxx",
  );
});

test("musl's resolver finds names of one family, of both and of none", { timeout }, async () => {
  const told = await said(only, "/tmp/lookup v4.example.com v6.example.com example.com unknown.test");
  // Which family comes first is for the guest to say.
  assert.deepEqual(
    told.split("\n").map((line) => line.split(" ").sort().join(" ")),
    [
      `${places.host4} v4.example.com:`,
      `${places.host6} v6.example.com:`,
      `${places.host6} ${places.host4} example.com:`,
      "Name does not resolve unknown.test:",
    ],
  );
});

test("a name for a private address is told without it, and so is one for the host", { timeout }, async () => {
  internet.resolver.host("rebound.example.com", places.private4, "127.0.0.1", places.metadata4);
  internet.resolver.host("half.example.com", places.private4, places.host4);
  assert.equal(await said(only, "dig +short rebound.example.com; dig +short half.example.com"), places.host4);
  assert.match(await said(only, "dig rebound.example.com"), /status: NOERROR/);
});
