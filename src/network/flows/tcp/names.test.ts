import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { duplexPair } from "node:stream";
import { after, before, describe, it, mock } from "node:test";
import { connect as connectTls } from "node:tls";
import { encode } from "dns-packet";
import { DnsServer } from "../../../../test/support/dns-server.ts";
import { helloMessage, inRecords } from "../../../../test/support/client-hello-builder.ts";
import {
  allowAll,
  type Conversation,
  networkConfig,
  rule,
  testNetwork,
  type TestNetwork,
} from "../../../../test/support/network/guest-peer.ts";
import type { NetworkPolicy } from "../../../config/network/policy-type.ts";
import type { TcpHandler } from "../../tcp/connection.ts";
import { FirstFlight, type Said } from "./first-flight.ts";

/** What a real client says first. */
async function clientHello(servername: string | null): Promise<Buffer> {
  const [near, far] = duplexPair();
  const client = connectTls({ socket: near, ...(servername === null ? {} : { servername }) });
  client.on("error", () => undefined);
  const [hello] = (await once(far, "data")) as [Buffer];
  client.destroy();
  return hello;
}

describe("names as evidence", () => {
  let resolver: DnsServer;
  let server: Server;
  let port: number;
  const connections: string[] = [];
  /** Bytes of each first read. */
  const heard: number[] = [];
  before(async () => {
    resolver = await DnsServer.start(({ name, say, reply }) =>
      say(reply({ answers: [{ type: "A", name, ttl: 300, data: "172.16.0.1" }] })),
    );
    server = createServer((socket: Socket) => {
      socket.on("error", () => undefined);
      connections.push("open");
      socket.once("data", (data) => {
        heard.push(data.length);
        socket.end(`got ${data.length}`);
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as { port: number }).port;
  });
  after(async () => {
    server.close();
    await resolver[Symbol.asyncDispose]();
  });

  /** A network whose guest has asked for some names, all of which stand for the gateway. */
  async function asked(policy: NetworkPolicy, ...names: string[]): Promise<TestNetwork> {
    const { dns } = networkConfig();
    const nameservers = [`127.0.0.1:${resolver.port}`];
    const network = await testNetwork({ policy, dns: { ...dns, nameservers, rebindProtection: false } });
    for (const name of names) {
      const message = encode({ type: "query", id: 1, flags: 256, questions: [{ type: "A", name }] });
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      const question = network.guest.connect(53);
      await question.write(Buffer.concat([length, message]));
      await network.event("dns", (event) => event.name === name && event.outcome === "answered");
      question.connection?.reset();
    }
    return network;
  }

  function says(network: TestNetwork, ...parts: Buffer[]): Conversation {
    const conversation = network.guest.connect(port);
    void conversation.opened.then(async () => {
      for (const part of parts) await conversation.write(part);
    });
    return conversation;
  }

  const onlyGood: NetworkPolicy = {
    defaultEgress: "deny",
    defaultIngress: "allow",
    rules: [
      rule({
        destination: { kind: "group", group: "host" },
        protocols: ["tcp", "udp"],
        ports: [{ start: 53, end: 53 }],
      }),
      rule({ destination: { kind: "domain", domain: "good.test" } }),
    ],
  };

  it("are noted while the network is observed, and nothing waits for them", async () => {
    const hello = await clientHello("GOOD.test");
    await using network = await testNetwork({ policy: onlyGood, observe: true });
    const first = hello.subarray(0, 7);
    const conversation = says(network, first, hello.subarray(7));
    await conversation.otherEnded;
    // The server has heard it without the rest of the message, at the latest when that came.
    assert.match(Buffer.concat(conversation.received).toString(), new RegExp(`^got (7|${hello.length})$`));
    conversation.connection?.end();
    assert.equal((await network.event("flow-opened")).name, null);
    const closed = await network.event("flow-closed");
    assert.deepEqual([closed.name, closed.reason], ["good.test", "closed"]);
    // What is no TLS passes as it is.
    const plain = says(network, Buffer.from("hello"));
    await plain.otherEnded;
    assert.equal(Buffer.concat(plain.received).toString(), "got 5");
    plain.connection?.end();
    assert.equal((await network.event("flow-closed", ({ flow }) => flow !== closed.flow)).name, null);
  });

  it("let a TLS connection through by the name that it says, byte by byte too", async () => {
    const hello = await clientHello("GOOD.test");
    await using network = await asked(onlyGood, "good.test");
    for (const parts of [[hello], Array.from(hello, (byte) => Buffer.from([byte]))]) {
      const conversation = says(network, ...parts);
      // All that was looked at comes to the server.
      assert.equal((await conversation.has(8)).toString(), `got ${hello.length}`);
      conversation.connection?.reset();
    }
    const opened = await network.event("flow-opened");
    assert.deepEqual([opened.name, opened.rule, opened.port], ["good.test", 1, port]);
  });

  it("refuse another name at the same address, and let nothing of it out", async () => {
    await using network = await asked(onlyGood, "good.test", "evil.test");
    const before = connections.length;
    assert.equal(await says(network, await clientHello("evil.test")).over, "reset");
    const denied = await network.event("flow-denied", (event) => event.port === port);
    assert.deepEqual([denied.name, denied.reason], ["evil.test", "policy"]);
    assert.equal(connections.length, before);
    assert.equal(network.gateway.counters.activeFlows, 0);
  });

  it("refuse at once what no name could allow", async () => {
    await using network = await asked(onlyGood);
    const conversation = says(network, await clientHello("good.test"));
    assert.equal(await conversation.over, "reset");
    assert.equal(conversation.connection?.isEstablished, false);
  });

  it("refuse a hello that may be read in two ways", async () => {
    const denyEvil = {
      ...allowAll,
      rules: [rule({ action: "deny", destination: { kind: "domain", domain: "evil.test" } })],
    };
    await using network = await asked(denyEvil);
    const hello = await clientHello("good.test");
    // Records of a length that no client sends.
    assert.equal(await says(network, Buffer.from([22, 3, 1, 0, 0]), hello).over, "reset");
    // One that ends in the middle.
    const half = says(network, hello.subarray(0, 40));
    await half.opened;
    half.connection?.end();
    assert.equal(await half.over, "reset");
    const fine = says(network, hello);
    assert.equal((await fine.has(8)).toString(), `got ${hello.length}`);
    fine.connection?.reset();
  });

  it("refuse a denied name that is said after the wait, and let none of it out", async () => {
    const denyEvil = {
      ...allowAll,
      rules: [rule({ action: "deny", destination: { kind: "domain", domain: "evil.test" } })],
    };
    await using network = await asked(denyEvil);
    const [good, evil] = [await clientHello("good.test"), await clientHello("evil.test")];
    mock.timers.enable({ apis: ["setTimeout"] });
    const late = [network.guest.connect(port), network.guest.connect(port)] as const;
    await Promise.all(late.map(({ opened }) => opened));
    mock.timers.tick(5000);
    mock.timers.reset();
    await network.event("flow-opened");
    await late[0].write(good);
    assert.equal((await late[0].has(8)).toString(), `got ${good.length}`);
    const before = heard.length;
    await late[1].write(evil);
    assert.equal(await late[1].over, "reset");
    const denied = await network.event("flow-denied", (event) => event.port === port);
    assert.deepEqual([denied.name, denied.reason], ["evil.test", "policy"]);
    assert.equal(heard.length, before);
    late[0].connection?.reset();
  });

  it("are what DNS has told where it is no TLS", async () => {
    await using network = await asked(onlyGood, "good.test");
    const conversation = says(network, Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    assert.equal((await conversation.has(6)).toString(), "got 18");
    conversation.connection?.reset();
  });

  it("stay evidence for a flow when the policy changes", async () => {
    await using network = await asked(onlyGood, "good.test");
    const conversation = says(network, Buffer.from("G"));
    await network.event("flow-opened");
    const suffix = {
      ...onlyGood,
      rules: [rule({ destination: { kind: "domainSuffix", suffix: "good.test" } })],
    };
    await network.gateway.update({ policy: suffix });
    assert.equal(network.gateway.counters.activeFlows, 1);
    const other = { ...onlyGood, rules: [rule({ destination: { kind: "domain", domain: "other.test" } })] };
    await network.gateway.update({ policy: other });
    assert.equal(network.gateway.counters.activeFlows, 0);
    assert.equal(await conversation.over, "reset");
  });
});

describe("the first words of a flow", () => {
  function said(act: (first: FirstFlight) => void): Said[] {
    mock.timers.enable({ apis: ["setTimeout"] });
    const all: Said[] = [];
    const closed = (): void => undefined;
    const first = new FirstFlight({ said: (what) => all.push(what), saidLate: () => true, closed }, 5000);
    act(first);
    mock.timers.tick(5000);
    first.ended();
    mock.timers.reset();
    return all;
  }

  for (const [what, act, expected] of [
    ["nothing for 5 s", () => undefined, "silence"],
    ["nothing, and then the end", (first) => first.ended(), "silence"],
    ["no TLS", (first) => first.data(Buffer.from("SSH-2.0")), "other"],
    ["the beginning of TLS", (first) => first.data(Buffer.from([22, 3, 1])), "garbled"],
    ["a message that never ends", (first) => first.data(endless), "garbled"],
    ["no server's name", (first) => first.data(nameless), "hello"],
  ] as const satisfies [string, (first: FirstFlight) => void, Said["kind"]][])
    it(what, () =>
      assert.deepEqual(
        said(act).map(({ kind }) => kind),
        [expected],
      ),
    );

  it("are looked at when they come late, and passed on only if they may be", async () => {
    const hello = await clientHello("late.test");
    for (const isAllowed of [true, false]) {
      mock.timers.enable({ apis: ["setTimeout"] });
      const passed: string[] = [];
      const told: Said[] = [];
      const next = new Proxy({} as TcpHandler, { get: () => () => undefined });
      const first = new FirstFlight(
        {
          said: (what) => told.push(what),
          saidLate: (what) => {
            told.push(what);
            return isAllowed;
          },
          closed: () => told.push({ kind: "garbled", reason: "closed" }),
        },
        5000,
      );
      mock.timers.tick(5000);
      first.next = {
        ...next,
        data: (bytes) => passed.push(bytes.toString("latin1")),
        ended: () => passed.push("end"),
      };
      first.data(hello.subarray(0, 30));
      assert.deepEqual([told, passed], [[{ kind: "silence" }], []]);
      first.data(hello.subarray(30));
      const [, late] = told;
      assert.equal(late?.kind === "hello" ? late.hello.name : late?.kind, "late.test");
      if (isAllowed) {
        first.data(Buffer.from("more"));
        first.ended();
        assert.equal(passed.join(""), `${hello.toString("latin1")}moreend`);
      } else assert.deepEqual(passed, []);
      assert.equal(told.length, 2);
      mock.timers.reset();
    }
  });

  it("wait for whoever takes them", async () => {
    const hello = await clientHello("later.test");
    const passed: string[] = [];
    const first = new FirstFlight(
      { said: () => undefined, saidLate: () => true, closed: () => assert.fail() },
      5000,
    );
    first.data(hello);
    first.data(Buffer.from("more"));
    first.ended();
    first.next = {
      data: (bytes) => passed.push(bytes.toString("latin1")),
      ended: () => passed.push("end"),
      drained: () => assert.fail(),
      acknowledged: () => assert.fail(),
      closed: () => assert.fail(),
    };
    assert.equal(passed.join(""), `${hello.toString("latin1")}moreend`);
  });

  it("are told once, and nothing after they are given up", () => {
    assert.deepEqual(
      said((first) => first.cancel()),
      [],
    );
  });
});

const nameless = inRecords(helloMessage({ names: null }));
/** A ClientHello of 64 KiB, in records that are as long as they may be. */
const endless = inRecords(Buffer.concat([Buffer.from([1, 0, 255, 255]), Buffer.alloc(20_000)]));
