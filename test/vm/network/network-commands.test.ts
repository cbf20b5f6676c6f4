import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { connect } from "node:net";
import { before, test } from "node:test";
import { text } from "node:stream/consumers";
import { places, ports } from "../../internet/places.ts";
import { MsbHome } from "../cli/cli-support.ts";
import { eventually } from "../support.ts";
import type { Needs } from "../tags.ts";
import { imageName } from "../../internet/debian-tree.ts";
import { openSockets, useInternet } from "./network-support.ts";

export const needs: Needs = ["running", "internet"];

// The network of a sandbox that runs, by `msb` alone.

const timeout = 120_000;
const { home, internet } = await useInternet();
const msb = new MsbHome({ path: home });

/** Runs `msb`, which must succeed. @returns its output without the last line end */
async function run(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await msb.msb(...args);
  assert.equal(code, 0, `msb ${args.join(" ")}: ${stderr}`);
  return stdout.trimEnd();
}

const shell = async (script: string): Promise<string> => {
  const { stdout } = await msb.msb("exec", "busy", "--", "sh", "-c", script);
  return stdout.trimEnd();
};

async function saidAt(port: number): Promise<string> {
  return await text(connect(port, "127.0.0.1"));
}

before(async () => {
  const policy = ["--net-default-egress", "deny"];
  await run(
    "create",
    imageName,
    "-n",
    "busy",
    "-q",
    "-m",
    "512M",
    "-c",
    "1",
    ...policy,
    "-p",
    "0:7",
    "-p",
    "0:7/udp",
  );
  await run(
    "exec",
    "busy",
    "--",
    "sh",
    "-c",
    "for p in 7 9; do (while :; do echo from $p | nc -N -l -p $p; done > /dev/null 2>&1 &); done",
  );
});

test("msb port: where the ports are", { timeout }, async () => {
  const [, tcp, udp] =
    /^7\/tcp -> 127\.0\.0\.1:(\d+)\n7\/udp -> 127\.0\.0\.1:(\d+)$/.exec(await run("port", "busy")) ?? [];
  assert.ok(tcp !== undefined && udp !== undefined);
  assert.equal(await run("port", "busy", "7"), `127.0.0.1:${tcp}`);
  assert.equal(await run("port", "busy", "7/udp"), `127.0.0.1:${udp}`);
  const told = JSON.parse(await run("port", "busy", "--format", "json")) as { host_port: number }[];
  assert.deepEqual(
    told.map(({ host_port: port }) => String(port)),
    [tcp, udp],
  );
  const none = await msb.msb("port", "busy", "9");
  assert.equal(none.code, 1);
  assert.match(none.stderr, /msb net publish busy 9:9/);
  assert.equal(
    await eventually("the guest's server", async () => (await saidAt(Number(tcp))) || null),
    "from 7\n",
  );
});

test("msb net allow and deny: at once, and what is denied ends", { timeout }, async () => {
  const ask = "curl -sS -4 -m 20 http://example.com/hello 2>&1";
  const hello = `hello from ${places.host4} as example.com`;
  await internet.wire.take();
  assert.notEqual(await shell(ask), hello);
  await internet.wire.nothingTo(places.host4);
  const allowed = await msb.msb("net", "allow", "busy", "example.com:80", "example.com:7");
  assert.equal(allowed.code, 0, allowed.stderr);
  assert.match(allowed.stderr, /Allowed.* busy allow@example\.com:tcp:80, allow@example\.com:tcp:7/);
  assert.equal(await shell(ask), hello);
  const held = msb.start(["exec", "busy", "--", "sh", "-c", "nc -d example.com 7; echo over"]);
  const open = (): number => openSockets().filter(({ local }) => local === ports.echo).length;
  await eventually("a connection", async () => (open() === 1 ? true : null));
  const { flows } = JSON.parse(await run("net", "ls", "busy", "--format", "json")) as {
    flows: { port: number }[];
  };
  assert.deepEqual(
    flows.map(({ port }) => port),
    [ports.echo],
  );
  assert.match(
    await run("net", "ls", "busy"),
    /^tcp +to example\.com:7 \(\S+\) +1 allow@example\.com:tcp:7 /m,
  );
  await run("net", "deny", "busy", "example.com:7", "-q");
  await eventually("it to end", async () => (open() === 0 ? true : null));
  await held.stdoutHas("over");
  // The first rule about a name also decides whether it may be asked for.
  assert.notEqual(await shell(ask), hello);
  await run("net", "allow", "busy", "example.com:80", "-q");
  assert.equal(await shell(ask), hello);
  await run("net", "deny", "busy", "example.com", "-q");
  assert.notEqual(await shell(ask), hello);
  const wrong = await msb.msb("net", "allow", "busy", "example.com:99999");
  assert.equal(wrong.code, 2);
});

test("msb net publish and unpublish", { timeout }, async () => {
  const [, port] = /^127\.0\.0\.1:(\d+)->9\/tcp$/.exec(await run("net", "publish", "busy", "0:9")) ?? [];
  assert.ok(port !== undefined);
  assert.equal(
    await eventually("the guest's server", async () => (await saidAt(Number(port))) || null),
    "from 9\n",
  );
  assert.match(await run("port", "busy"), new RegExp(`^9/tcp -> 127\\.0\\.0\\.1:${port}$`, "m"));
  const twice = await msb.msb("net", "publish", "busy", `${port}:7`);
  assert.equal(twice.code, 1);
  assert.match((await msb.msb("net", "unpublish", "busy", port)).stderr, /Unpublished +busy \d+/);
  await assert.rejects(saidAt(Number(port)), { code: "ECONNREFUSED" });
});

test("msb logs --network: a line for each thing that came to pass", { timeout }, async () => {
  // What ends between the two readings would be told in one of them.
  await eventually("all flows to end", async () => {
    const { flows } = JSON.parse(await run("net", "ls", "busy", "--format", "json")) as { flows: unknown[] };
    return flows.length === 0 || null;
  });
  const lines = (await run("logs", "busy", "--network")).split("\n");
  const time = String.raw`^\d{4}-\d\d-\d\dT[\d:.]+Z `;
  for (const what of [
    "POLICY egress deny, ingress allow, 0 rules \\(start\\)$",
    "DNS    A example\\.com: NXDOMAIN, denied by default$",
    "POLICY egress deny, ingress allow, 2 rules \\(.*\\)$",
    `DNS    A example\\.com: ${places.host4.replaceAll(".", "\\.")}$`,
    "OPEN   tcp to example\\.com:80 \\(\\S+\\), allowed by rule 0 \\(allow@example\\.com:tcp:80.*\\)$",
    "CLOSE  tcp to example\\.com:80 \\(\\S+\\), .* sent, .* received, closed$",
    "CLOSE  tcp to example\\.com:7 \\(\\S+\\), .*, policy$",
    "OPEN   tcp from 127\\.0\\.0\\.1 to port 7, allowed by default$",
  ])
    assert.ok(
      lines.some((line) => new RegExp(time + what).test(line)),
      `${what} is not among\n${lines.join("\n")}`,
    );
  const told = (await run("net", "events", "busy", "--json"))
    .split("\n")
    .map((line) => JSON.parse(line) as { kind: string });
  assert.equal(told.length, lines.length);
  const follow = msb.start(["logs", "busy", "--network", "-f", "--tail", "0"]);
  const denied = follow.stdoutHas(`DENY   tcp to ${places.metadata4}:80, denied by default`);
  // Nothing says from when on it follows.
  let isTold = false;
  void denied.then(() => (isTold = true));
  await eventually("the refusal to be told", async () => {
    await shell(`nc -w 5 ${places.metadata4} 80`);
    return isTold || null;
  });
  await denied;
  follow.child.kill("SIGINT");
  await follow.result;
});

test("msb net suggest: the options of a sandbox that may do the same, and no more", { timeout }, async () => {
  const doings = `curl -sS -4 -m 20 http://example.com/hello; printf x | nc -N -w 10 ${places.private4} 7`;
  const done = `hello from ${places.host4} as example.com\nx`;
  const shape = ["-q", "-m", "512M", "-c", "1"];
  await run("create", imageName, "-n", "seen", "-q", "-m", "512M", "-c", "1", "--net-observe");
  assert.equal(await run("exec", "seen", "--", "sh", "-c", doings), done);
  const options = (await run("net", "suggest", "seen")).split(/\s+/);
  await run("rm", "-f", "-q", "seen");
  assert.deepEqual(options.slice(0, 4), ["--net-default-egress", "deny", "--net-default-ingress", "allow"]);
  assert.ok(
    options.includes("allow@example.com:tcp:80") && options.includes(`allow@${places.private4}:tcp:7`),
    options.join(" "),
  );
  await internet.wire.take();
  const other = `; nc -w 5 ${places.other4} 80; nc -w 5 ${places.private4} 80; dig +short other.test`;
  const { stdout, stderr } = await msb.msb(
    "run",
    ...shape,
    ...options,
    imageName,
    "--",
    "sh",
    "-c",
    doings + other,
  );
  assert.equal(stdout.trimEnd(), done, stderr);
  const sent = await internet.wire.take();
  assert.ok(!sent.some(({ destination }) => destination === places.other4));
  assert.deepEqual(
    sent.filter(({ destination }) => destination === places.private4).map(({ port }) => port),
    [ports.echo],
  );
});
