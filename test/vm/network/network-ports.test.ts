import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { before, test } from "node:test";
import { text } from "node:stream/consumers";
import type { Sandbox } from "../../../src/index.ts";
import { own, places } from "../../internet/places.ts";
import { eventually } from "../support.ts";
import type { Needs } from "../tags.ts";
import { furnish, onTheInternet, succeeds, useInternet } from "./network-support.ts";

export const needs: Needs = ["running", "internet"];

// Published ports: who comes from outside, over both families and both protocols.

const timeout = 120_000;
let sandbox: Sandbox;
const port = { echo: 0, afterEnd: 0, afterEnd6: 0, who: 0, datagrams: 0, datagrams6: 0, silent: 0 };

const { internet } = await useInternet();
before(async () => {
  sandbox = await onTheInternet("published")
    .port(0, 7)
    .network((n) =>
      n
        .portBind("::", 0, 9)
        .portBind("0.0.0.0", 0, 9)
        .portBind("0.0.0.0", 8013, 13)
        .portUdp(0, 7)
        .portUdpBind("::1", 0, 7)
        .port(0, 4444)
        .policy({
          defaultEgress: "deny",
          defaultIngress: "allow",
          rules: [
            {
              direction: "ingress",
              destination: { kind: "cidr", cidr: `${places.other4}/32` },
              protocols: [],
              ports: [],
              action: "deny",
            },
          ],
        }),
    )
    .create();
  await furnish(sandbox, internet, "serve.py");
  await sandbox.execStream("python3", ["/tmp/serve.py"]);
  for (const guestPort of [7, 9, 13]) await sandbox.waitForPort(guestPort);
  const published = await sandbox.ports();
  const chosen = (guestPort: number, protocol = "tcp", bind?: string): number => {
    const found = published.find(
      (one) =>
        one.guestPort === guestPort &&
        one.protocol === protocol &&
        (bind === undefined || one.hostBind === bind),
    );
    assert.ok(found !== undefined && found.hostPort > 0, `${guestPort}/${protocol}`);
    return found.hostPort;
  };
  Object.assign(port, {
    echo: chosen(7),
    afterEnd: chosen(9, "tcp", "0.0.0.0"),
    afterEnd6: chosen(9, "tcp", "::"),
    who: chosen(13),
    datagrams: chosen(7, "udp", "127.0.0.1"),
    datagrams6: chosen(7, "udp", "::1"),
    silent: chosen(4444),
  });
});

async function exchange(host: string, at: number, sent: string, from?: string): Promise<string> {
  const socket = connect({
    host,
    port: at,
    allowHalfOpen: true,
    ...(from === undefined ? {} : { localAddress: from }),
  });
  socket.end(sent);
  return await text(socket);
}

test("what is published is reported, with the ports that were chosen", { timeout }, async () => {
  assert.equal(port.who, 8013);
  assert.equal(new Set(Object.values(port)).size >= 5, true);
});

test("TCP: bytes go both ways, and an end in one direction leaves the other open", { timeout }, async () => {
  const large = "0123456789".repeat(100_000);
  assert.equal(await exchange("127.0.0.1", port.echo, large), large);
  const hosts = {
    "127.0.0.1": port.afterEnd,
    [own.v4]: port.afterEnd,
    "::1": port.afterEnd6,
    [own.v6]: port.afterEnd6,
  };
  for (const [host, at] of Object.entries(hosts))
    assert.equal(await exchange(host, at, "x".repeat(70_000)), "70000 after your end", host);
});

test("a port at 127.0.0.1 is nowhere else", { timeout }, async () => {
  await assert.rejects(exchange(own.v4, port.echo, ""), { code: "ECONNREFUSED" });
  await assert.rejects(exchange("::1", port.echo, ""), { code: "ECONNREFUSED" });
});

test("the guest sees its gateway come, not the peer", { timeout }, async () => {
  const gateway = await succeeds(sandbox, "ip -4 route show default | cut -d' ' -f3");
  assert.match(
    await exchange("127.0.0.1", port.who, ""),
    new RegExp(`'(::ffff:)?${gateway.replaceAll(".", "\\.")}'`),
  );
});

test("who is not to come is refused, and the guest does not notice", { timeout }, async () => {
  assert.equal(await exchange(own.v4, port.afterEnd, "1", own.v4), "1 after your end");
  await assert.rejects(exchange(own.v4, port.afterEnd, "1", places.other4), { code: "ECONNRESET" });
});

test("a port where nobody listens ends the connection", { timeout }, async () => {
  assert.equal(
    await exchange("127.0.0.1", port.silent, "").catch((error: unknown) =>
      String(error).includes("ECONNRESET") ? "" : String(error),
    ),
    "",
  );
});

test("UDP: each peer gets its own answers, over both families", { timeout }, async (t) => {
  const exchangeDatagrams = async (family: "udp4" | "udp6", at: number, name: string): Promise<void> => {
    const socket = createSocket(family);
    t.after(() => socket.close());
    const got: string[] = [];
    socket.on("message", (message) => got.push(message.toString()));
    for (const sent of [name, name.padEnd(8000, ".")]) {
      const answered = eventually(
        `an answer for ${name}`,
        async () => (got.includes(sent) ? true : null),
        60_000,
      );
      // A datagram may get lost, and so may its answer.
      const again = setInterval(() => socket.send(sent, at, family === "udp4" ? "127.0.0.1" : "::1"), 300);
      await answered.finally(() => clearInterval(again));
    }
    assert.deepEqual(
      got.filter((text) => !text.startsWith(name)),
      [],
    );
  };
  const names = ["first", "second", "third"];
  await Promise.all(names.map((name) => exchangeDatagrams("udp4", port.datagrams, name)));
  await Promise.all(names.map((name) => exchangeDatagrams("udp6", port.datagrams6, name)));
});

test("nc: the host's end calls the guest's, which listens once", { timeout }, async () => {
  const listening = await sandbox.execStream("sh", ["-c", "echo from the guest | nc -N -l -p 4444"]);
  await sandbox.shell("until ss -ltn | grep -q :4444; do :; done");
  assert.equal(
    await internet.tree.shell(`echo from the host | nc -N 127.0.0.1 ${port.silent}`),
    "from the guest\n",
  );
  assert.equal((await listening.collect()).stdout(), "from the host\n");
});

test("many connections at once", { timeout }, async () => {
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, index) => exchange("127.0.0.1", port.echo, `number ${index}`)),
  );
  assert.deepEqual(
    answers,
    answers.map((_, index) => `number ${index}`),
  );
});

test("a port that is taken is told before the machine starts", { timeout }, async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port: number } = taken.address() as AddressInfo;
  await assert.rejects(
    onTheInternet("conflict").port(number, 80).create(),
    (error: Error & { hint?: string }) => {
      assert.match(error.message, new RegExp(String(number)));
      assert.notEqual(error.hint ?? "", "");
      return true;
    },
  );
  taken.close();
});

test("ports are published and taken back while it runs", { timeout }, async () => {
  await sandbox.updateNetwork({
    publish: [{ hostBind: "127.0.0.1", hostPort: 0, guestPort: 9 }],
  });
  const added = (await sandbox.ports()).find((one) => one.guestPort === 9 && one.hostBind === "127.0.0.1");
  assert.ok(added !== undefined);
  assert.equal(await exchange("127.0.0.1", added.hostPort, "x"), "1 after your end");
  const { hostBind, hostPort, protocol } = added;
  await sandbox.updateNetwork({ unpublish: [{ hostBind, hostPort, protocol }] });
  await assert.rejects(exchange("127.0.0.1", added.hostPort, ""), { code: "ECONNREFUSED" });
});

test("connect() needs no published port", { timeout }, async () => {
  const socket = await sandbox.connect(9);
  socket.end("hello");
  assert.equal(await text(socket), "5 after your end");
  await assert.rejects(sandbox.connect(4445));
});
