import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Destination, NetworkPolicy, Rule, type Sandbox } from "../../../src/index.ts";
import { own, places } from "../../internet/places.ts";
import { eventually } from "../support.ts";
import type { Needs } from "../tags.ts";
import { furnish, onTheInternet, succeeds, supervisorUse, useInternet } from "./network-support.ts";

export const needs: Needs = ["running", "internet"];

// What root in the guest writes to the cable itself, with the default policy: what is not allowed is not seen outside.

const { home, internet } = await useInternet();
const timeout = 120_000;
let sandbox: Sandbox;
before(async () => {
  sandbox = await onTheInternet("attacker").create();
  await furnish(sandbox, internet, "frames.py", "attacks.py");
});

async function attack(...names: readonly string[]): Promise<void> {
  await succeeds(sandbox, `python3 /tmp/attacks.py ${names.join(" ")}`);
}

/**
 * Attacks, and then sends what is right. @returns what the echo servers got besides. Whatever the attack sent is in it: what follows has
 * come twice.
 */
async function arrivedAfter(...names: readonly string[]): Promise<string[]> {
  const got = internet.servers.datagrams;
  got.splice(0);
  const honest = (): number => got.filter(({ content }) => content.toString().startsWith("honest")).length;
  for (const round of [1, 2]) {
    await attack(...(round === 1 ? names : []), "honest");
    await eventually("what is honest to arrive", async () => (honest() >= round * 2 ? true : null), 60_000);
  }
  return got
    .splice(0)
    .map(({ content }) => content.toString())
    .filter((text) => !text.startsWith("honest"));
}

/** Where nothing is to come to: everything private, and the host itself. */
const forbidden = [
  ...[
    places.private4,
    places.secondPrivate4,
    places.shared4,
    places.metadata4,
    places.linkLocal4,
    places.private6,
  ],
  ...Object.values(own),
  ...["0.0.0.0", "127.0.0.1", "::", "::1", "127.255.255.254", "0.0.0.1", "255.255.255.255", "224.0.0.251"],
  ...[
    "64:ff9b::a14:1e28",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a14:1e28",
    "::a14:1e28",
    "::ffff:0:a14:1e28",
  ],
  ...["::ffff:10.20.30.40", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::ffff:169.254.169.254"],
];

/** The servers that are allowed send their answers to the host itself. */
const answering: readonly string[] = [places.host4, places.host6, places.resolver4];

async function assertQuiet(...names: readonly string[]): Promise<void> {
  await internet.wire.take();
  assert.deepEqual(await arrivedAfter(...names), []);
  const sent = await internet.wire.take();
  assert.ok(sent.some(({ destination }) => destination === places.host4));
  assert.deepEqual(
    sent.filter(({ source, destination }) => forbidden.includes(destination) && !answering.includes(source)),
    [],
  );
}

test(
  "spoofed, misdirected, routed, hidden and disguised packets are not seen outside",
  { timeout },
  async () => {
    const names = ["spoofed_addresses", "spoofed_macs", "misdirected"];
    await assertQuiet(...names, "source_routes", "extension_headers", "disguised");
  },
);

test("malformed packets: none arrives, and no connection comes of them", { timeout }, async () => {
  await internet.wire.take();
  assert.deepEqual(await arrivedAfter("malformed"), []);
  const sent = await internet.wire.take();
  assert.deepEqual(
    sent.filter(({ port, protocol }) => protocol === "tcp" && port === 9),
    [],
  );
});

test("ICMP errors, redirects and advertisements of the guest's go nowhere", { timeout }, async () => {
  await internet.wire.take();
  assert.deepEqual(await arrivedAfter("errors"), []);
  const sent = await internet.wire.take();
  assert.deepEqual(
    sent.filter(({ protocol }) => protocol.startsWith("icmp")),
    [],
  );
});

test("fragments: whole datagrams arrive whole, others not at all", { timeout }, async () => {
  const whole = (await arrivedAfter("fragments")).map(
    (text) => `${text.slice(0, 8)} ${text.length} ${text.endsWith("v")}`,
  );
  assert.deepEqual(whole.sort(), ["whole 6  2008 false", "whole ww 2008 false", "whole ww 2008 true"]);
  await eventually("fragments to be taken again", async () => {
    return (await arrivedAfter("whole_again")).some((text) => text.startsWith("again")) ? true : null;
  });
});

test("floods of ARP and neighbour advertisements leave the way as it is", { timeout }, async () => {
  const before = await supervisorUse(home, "attacker");
  assert.deepEqual(await arrivedAfter("neighbour_floods"), []);
  const { memoryMib, descriptors } = await supervisorUse(home, "attacker");
  assert.ok(memoryMib < before.memoryMib + 64, `${before.memoryMib} MiB, then ${memoryMib}`);
  assert.ok(descriptors < before.descriptors + 16);
});

for (const [name, count] of Object.entries({
  syn_flood: 3000,
  half_open: 3000,
  datagram_flood: 2000,
  echo_flood: 2000,
})) {
  test(`${name.replace("_", " ")}: bounded, and over when it is over`, { timeout }, async () => {
    const before = await supervisorUse(home, "attacker");
    await attack(`${name}:${count}`);
    await sandbox.ping();
    const { memoryMib, descriptors } = await supervisorUse(home, "attacker");
    assert.ok(memoryMib < before.memoryMib + 96, `${before.memoryMib} MiB, then ${memoryMib}`);
    // As many flows as there may be, and no more: 256 of each protocol.
    assert.ok(descriptors < before.descriptors + 600, `${before.descriptors}, then ${descriptors}`);
    await eventually("a connection to be possible", async () => {
      const { code } = await sandbox.shell("curl -sS -m 5 -o /dev/null http://v4.example.com/hello");
      return code === 0 ? true : null;
    });
  });
}

test("a private address in another spelling is refused whoever asks", { timeout }, async () => {
  await internet.wire.take();
  const hosts = ["169090600", "012.024.036.050", "0x0a141e28", "10.1318440", "10.20.30.40"];
  const six = ["[::ffff:10.20.30.40]", "[::ffff:a14:1e28]", "[64:ff9b::a14:1e28]", "[::10.20.30.40]"];
  const script = [...hosts, ...six]
    .map(
      (host) => `
        curl -sS -m 5 http://${host}/hello && echo "curl ${host}"
        wget -q -t 1 -T 5 -O - http://${host}/hello && echo "wget ${host}"
        git ls-remote http://${host}/git/repository.git && echo "git ${host}"
        nc -w 3 ${host.replace(/[[\]]/g, "")} 80 < /dev/null && echo "nc ${host}"`,
    )
    .join("\n");
  const python = `
import urllib.request
for host in ${JSON.stringify([...hosts, ...six])}:
    try: print("python", host, urllib.request.urlopen(f"http://{host}/hello", timeout=5).read())
    except (OSError, ValueError): pass`;
  await sandbox.fs().write("/tmp/spellings.py", python);
  const answered = await sandbox.shell(`${script}\npython3 /tmp/spellings.py`);
  assert.equal(answered.stdout(), "");
  assert.deepEqual(
    internet.web.takeVisits().filter(({ at }) => forbidden.includes(at)),
    [],
  );
  await internet.wire.nothingTo(...forbidden);
});

test("the host and its metadata are out of reach", { timeout }, async () => {
  await internet.wire.take();
  for (const host of [
    "host.microsandbox.internal",
    own.v4,
    `[${own.v6}]`,
    places.metadata4,
    places.linkLocal4,
    places.shared4,
  ])
    assert.notEqual((await sandbox.shell(`curl -sS -m 5 http://${host}/hello`)).code, 0, host);
  await internet.wire.nothingTo(...forbidden);
});

test("a rule about others does not lead to the host by one of its own addresses", { timeout }, async () => {
  const before = (await sandbox.networkStatus()).policy;
  const ask = `for at in ${own.v4} '[${own.v6}]'; do curl -sS -m 5 http://$at/hello; done`;
  const allowed: NetworkPolicy = { defaultEgress: "allow", defaultIngress: "allow", rules: [] };
  for (const policy of [
    NetworkPolicy.fromProfiles(["public", "private"]),
    { ...allowed, rules: [Rule.denyEgress(Destination.group("host"))] },
  ]) {
    await sandbox.updateNetwork({ policy });
    await internet.wire.take();
    assert.notEqual((await sandbox.shell(ask)).code, 0);
    await internet.wire.nothingTo(...Object.values(own));
  }
  // What would have come there does, once the host itself is allowed.
  await sandbox.updateNetwork({ policy: allowed });
  await internet.wire.take();
  await sandbox.shell(ask);
  const met = new Set((await internet.wire.take()).map(({ destination }) => destination));
  assert.deepEqual(
    Object.values(own).filter((address) => !met.has(address)),
    [],
  );
  await sandbox.updateNetwork({ policy: before });
});

test("after all that the sandbox is well", { timeout }, async () => {
  assert.equal(
    await succeeds(
      sandbox,
      "curl -sS http://example.com/bytes/3000000 | wc -c; curl -sS -6 http://example.com/hello",
    ),
    `3000000\nhello from ${places.host6} as example.com`,
  );
});
