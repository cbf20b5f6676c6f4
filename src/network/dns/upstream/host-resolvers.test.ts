import assert from "node:assert/strict";
import { mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock, test } from "node:test";
import { HostResolvers, serversFor } from "./host-resolvers.ts";
import { readResolvConf } from "./resolv-conf.ts";
import { readScutil } from "./scutil.ts";

/** Text of a resolv.conf, and its servers. */
const files: readonly (readonly [string, string, readonly string[]])[] = [
  ["one server", "nameserver 1.1.1.1\n", ["1.1.1.1"]],
  ["no end of line", "nameserver 1.1.1.1", ["1.1.1.1"]],
  ["ends of line of Windows", "nameserver 1.1.1.1\r\nnameserver 8.8.8.8\r\n", ["1.1.1.1", "8.8.8.8"]],
  ["a local one", "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n", ["127.0.0.53"]],
  [
    "IPv6 and a zone",
    "nameserver 2606:4700:4700::1111\nnameserver fe80::1%eth0\n",
    ["2606:4700:4700::1111", "fe80::1%eth0"],
  ],
  ["comments", "# nameserver 9.9.9.9\n;nameserver 9.9.9.9\nnameserver\t1.1.1.1 # here\n", ["1.1.1.1"]],
  [
    "more than three",
    [1, 2, 3, 4].map((n) => `nameserver 10.0.0.${n}`).join("\n"),
    ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
  ],
  ["what is no address", "nameserver dns.google\nnameserver 1.1.1\nnameserver\n", ["127.0.0.1"]],
  ["a line that is longer", "nameservers 1.1.1.1\n nameserver 9.9.9.9\n", ["127.0.0.1"]],
  ["nothing", "", ["127.0.0.1"]],
];

for (const [what, text, hosts] of files) {
  test(`resolv.conf with ${what}`, () => {
    assert.deepEqual(
      readResolvConf(text),
      hosts.map((host) => ({ host, port: 53 })),
    );
  });
}

test("the host's servers are read anew when the file has changed, was replaced, or is a link that leads elsewhere", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "resolv-conf-"));
  context.after(() => rm(folder, { recursive: true }));
  let now = 0;
  const clock = mock.method(performance, "now", () => now);
  context.after(() => {
    clock.mock.restore();
  });
  const path = join(folder, "resolv.conf");
  const resolvers = new HostResolvers({ platform: "linux", resolvConf: path });
  const current = async (): Promise<string[]> => (await resolvers.for("example.com")).map(({ host }) => host);

  assert.deepEqual(await current(), ["127.0.0.1"]);
  await writeFile(path, "nameserver 1.1.1.1\n");
  assert.deepEqual(await current(), ["127.0.0.1"], "looked at a moment ago");
  now += 1000;
  assert.deepEqual(await current(), ["1.1.1.1"]);
  await writeFile(`${path}.new`, "nameserver 8.8.8.8\n");
  await rename(`${path}.new`, path);
  now += 1000;
  assert.deepEqual(await current(), ["8.8.8.8"]);
  await rm(path);
  await writeFile(join(folder, "stub"), "nameserver 127.0.0.53\n");
  await symlink("stub", path);
  now += 1000;
  assert.deepEqual(await current(), ["127.0.0.53"]);
  await writeFile(join(folder, "stub"), "nameserver 127.0.0.54\nnameserver 9.9.9.9\n");
  now += 1000;
  assert.deepEqual(await current(), ["127.0.0.54", "9.9.9.9"]);
  await rm(path);
  now += 1000;
  assert.deepEqual(await current(), ["127.0.0.1"]);
});

test("many questions at once look at the file once", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "resolv-conf-"));
  context.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "resolv.conf");
  await writeFile(path, "nameserver 1.1.1.1\n");
  const resolvers = new HostResolvers({ platform: "linux", resolvConf: path });
  const all = await Promise.all(Array.from({ length: 100 }, () => resolvers.for("example.com")));
  assert.equal(new Set(all).size, 1);
});

/** As macOS prints it with a VPN for one company's names. */
const scutil = `DNS configuration

resolver #1
  search domain[0] : home.arpa
  nameserver[0] : 192.0.2.1
  nameserver[1] : 2001:db8::1
  if_index : 15 (en0)
  flags    : Request A records, Request AAAA records
  reach    : 0x00020002 (Reachable,Directly Reachable Address)

resolver #2
  domain   : Corp.example
  nameserver[0] : 10.8.0.1
  port     : 5353
  flags    : Supplemental, Request A records
  reach    : 0x00000003 (Reachable,Transient Connection)
  order    : 102600

resolver #3
  domain   : corp.example
  nameserver[0] : 10.8.0.2
  order    : 103000

resolver #4
  domain   : eu.corp.example
  nameserver[0] : 10.9.0.1

resolver #5
  domain   : local
  options  : mdns
  timeout  : 5
  flags    : Request A records
  reach    : 0x00000000 (Not Reachable)
  order    : 300000

DNS configuration (for scoped queries)

resolver #1
  search domain[0] : home.arpa
  nameserver[0] : 198.51.100.1
  if_index : 15 (en0)
  flags    : Scoped, Request A records
`;

const home = [
  { host: "192.0.2.1", port: 53 },
  { host: "2001:db8::1", port: 53 },
];
const scoped: readonly (readonly [string, readonly object[]])[] = [
  ["example.com", home],
  ["corp.example", [{ host: "10.8.0.1", port: 5353 }]],
  ["git.corp.example", [{ host: "10.8.0.1", port: 5353 }]],
  ["notcorp.example", home],
  ["git.eu.corp.example", [{ host: "10.9.0.1", port: 53 }]],
  ["printer.local", home],
  ["", home],
];

for (const [name, servers] of scoped) {
  test(`on macOS, ${name === "" ? "the root" : name} is asked of ${JSON.stringify(servers)}`, () => {
    assert.deepEqual(serversFor(readScutil(scutil), name), servers);
  });
}

test("the first resolver of macOS is for everything, also when it has a domain", () => {
  const text = "DNS configuration\n\nresolver #1\n  domain : lan\n  nameserver[0] : 192.0.2.1\n";
  assert.deepEqual(serversFor(readScutil(text), "example.com"), [{ host: "192.0.2.1", port: 53 }]);
});

test("on macOS the file counts when the system says nothing", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "resolv-conf-"));
  context.after(() => rm(folder, { recursive: true }));
  const resolvConf = join(folder, "resolv.conf");
  await writeFile(resolvConf, "nameserver 1.1.1.1\n");
  for (const output of [
    async () => "No DNS configuration available\n",
    () => Promise.reject(new Error("none")),
  ]) {
    const resolvers = new HostResolvers({ platform: "darwin", resolvConf, scutil: output });
    assert.deepEqual(await resolvers.for("example.com"), [{ host: "1.1.1.1", port: 53 }]);
  }
  const system = new HostResolvers({ platform: "darwin", resolvConf, scutil: async () => scutil });
  assert.deepEqual(await system.for("a.corp.example"), [{ host: "10.8.0.1", port: 5353 }]);
});
