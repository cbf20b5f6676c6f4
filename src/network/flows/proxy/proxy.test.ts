import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { pipeline } from "node:stream";
import { after, before, describe, it } from "node:test";
import { address, testNetwork, type TestNetwork } from "../../../../test/support/network/guest-peer.ts";
import type { OutboundProxy } from "../../../config/network/network-type.ts";
import { IpAddress } from "../../../host/ip/address.ts";
import type { Target } from "../tcp/dial.ts";
import { dialByProxy } from "./dial-by-proxy.ts";
import type { Handshake, Step } from "./handshake.ts";
import { httpConnect } from "./http-connect.ts";
import { socks4 } from "./socks4.ts";
import { socks5 } from "./socks5.ts";

/** Takes so many bytes of a socket, and leaves the rest. */
async function take(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read(count) as Buffer | null;
    if (bytes !== null) return bytes;
    await once(socket, "readable");
  }
}

async function port(socket: Socket): Promise<number> {
  return (await take(socket, 2)).readUInt16BE();
}

/** Proxies that note what is asked of them, and connect to one server whatever it is. */
const servers: Readonly<
  Record<string, (socket: Socket, asked: (what: string) => void) => Promise<Buffer | null>>
> = {
  socks4: async (socket, asked) => {
    await take(socket, 2);
    const to = await port(socket);
    const host = (await take(socket, 4)).join(".");
    let user = "";
    for (let byte = await take(socket, 1); byte[0] !== 0; byte = await take(socket, 1))
      user += byte.toString();
    asked(`${user}@${host}:${to}`);
    return Buffer.from([0, 90, 0, 0, 0, 0, 0, 0]);
  },
  socks5: async (socket, asked) => {
    const [, count = 0] = await take(socket, 2);
    const methods = await take(socket, count);
    let user = "";
    if (methods.includes(2)) {
      socket.write(Buffer.from([5, 2]));
      const [, length = 0] = await take(socket, 2);
      const name = await take(socket, length);
      const [wordLength = 0] = await take(socket, 1);
      user = `${name.toString()}:${(await take(socket, wordLength)).toString()}`;
      socket.write(Buffer.from([1, 0]));
    } else socket.write(Buffer.from([5, 0]));
    const [, , , type] = await take(socket, 4);
    const bytes = await take(socket, type === 1 ? 4 : 16);
    asked(`${user}@${IpAddress.of(bytes).toString()}:${await port(socket)}`);
    // A bound address that is a name.
    return Buffer.from([5, 0, 0, 3, 2, 104, 105, 0, 1]);
  },
  http: async (socket, asked) => {
    let head = "";
    while (!head.endsWith("\r\n\r\n")) head += (await take(socket, 1)).toString();
    asked(head);
    return Buffer.from("HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n");
  },
  refusing: async (socket) => {
    await take(socket, 1);
    socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    return null;
  },
};

describe("an outbound proxy", () => {
  const open: Server[] = [];
  const asked: string[] = [];
  let greeter = 0;

  async function listening(server: Server): Promise<number> {
    server.listen(0, "127.0.0.1");
    open.push(server);
    await once(server, "listening");
    return (server.address() as { port: number }).port;
  }

  async function proxy(kind: string): Promise<string> {
    const serve = servers[kind];
    assert.ok(serve !== undefined);
    const serving = async (socket: Socket): Promise<void> => {
      const reply = await serve(socket, (what) => asked.push(what));
      if (reply === null) return;
      const far = createConnection(greeter, "127.0.0.1");
      // What the other end says first comes with the reply, in one piece.
      const first = await take(far, 5);
      socket.write(Buffer.concat([reply, first]));
      pipeline(socket, far, socket, () => undefined);
    };
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      void serving(socket);
    });
    return `127.0.0.1:${await listening(server)}`;
  }

  async function conversation(network: TestNetwork, family: 4 | 6 = 4): Promise<string> {
    const inGuest = network.guest.connect(7777, family);
    await inGuest.has(5);
    await inGuest.write(Buffer.from("echo"));
    const text = (await inGuest.has(9)).toString();
    inGuest.connection?.reset();
    return text;
  }

  const outside = { ipv4: address("198.51.100.7"), ipv6: address("2001:db8::7") };
  before(async () => {
    greeter = await listening(
      createServer((socket) => {
        socket.on("error", () => undefined);
        socket.write("hello");
        socket.pipe(socket);
      }),
    );
    process.env["MSB_TEST_PROXY_PASSWORD"] = "secret";
  });
  after(() => {
    delete process.env["MSB_TEST_PROXY_PASSWORD"];
    for (const server of open) server.close();
  });

  it("of SOCKS 4 is told address and user", async () => {
    const config: OutboundProxy = { kind: "socks4", address: await proxy("socks4"), userId: "me" };
    await using network = await testNetwork({ proxy: config }, outside);
    assert.equal(await conversation(network), "helloecho");
    assert.equal(asked.pop(), "me@198.51.100.7:7777");
    // It has no room for others.
    assert.equal(await network.guest.connect(7777, 6).over, "reset");
    assert.equal(
      (await network.event("flow-closed", ({ address: to }) => to.includes(":"))).reason,
      "unreachable",
    );
  });

  it("of SOCKS 5 is told address, name and password", async () => {
    const address = await proxy("socks5");
    const passwordEnv = "MSB_TEST_PROXY_PASSWORD";
    for (const username of [null, "me"]) {
      await using network = await testNetwork(
        { proxy: { kind: "socks5", address, username, passwordEnv } },
        outside,
      );
      const user = username === null ? "" : "me:secret";
      assert.equal(await conversation(network), "helloecho");
      assert.equal(asked.pop(), `${user}@198.51.100.7:7777`);
      assert.equal(await conversation(network, 6), "helloecho");
      assert.equal(asked.pop(), `${user}@2001:db8::7:7777`);
    }
  });

  it("of HTTP is told address, name and password", async () => {
    const config = {
      kind: "http",
      address: await proxy("http"),
      username: "me",
      passwordEnv: "MSB_TEST_PROXY_PASSWORD",
    };
    await using network = await testNetwork({ proxy: config as OutboundProxy }, outside);
    assert.equal(await conversation(network, 6), "helloecho");
    assert.equal(
      asked.pop(),
      "CONNECT [2001:db8::7]:7777 HTTP/1.1\r\nHost: [2001:db8::7]:7777\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n",
    );
  });

  it("that does not do it is told of, once", async () => {
    const config = {
      kind: "http",
      address: await proxy("refusing"),
      username: null,
      passwordEnv: null,
    } as const;
    await using network = await testNetwork({ proxy: config }, outside);
    for (let tried = 0; tried < 2; tried++) assert.equal(await network.guest.connect(7777).over, "reset");
    assert.deepEqual(network.warnings, [
      `the outbound proxy ${config.address}: it wants another name and password (407)`,
    ]);
  });

  it("is not asked for the host itself, nor what the policy denies", async () => {
    const config = { kind: "http", address: "127.0.0.1:1", username: null, passwordEnv: null } as const;
    await using network = await testNetwork({ proxy: config });
    const inGuest = network.guest.connect(greeter);
    assert.equal((await inGuest.has(5)).toString(), "hello");
    inGuest.connection?.reset();
    assert.deepEqual(network.warnings, []);
  });

  it("needs its password", () => {
    const config = {
      kind: "socks5",
      address: "127.0.0.1:1",
      username: "me",
      passwordEnv: "NOT_THERE",
    } as const;
    assert.throws(() => dialByProxy(config, {}, () => undefined), {
      code: "invalidConfig",
      message: "the proxy's password is to be in NOT_THERE, which is not set",
    });
  });
});

describe("words with a proxy", () => {
  const target: Target = { host: "192.0.2.1", family: 4, port: 80 };
  const begun = (handshake: Handshake | null): Handshake => {
    assert.ok(handshake !== null);
    return handshake;
  };
  const kind = (step: Step): string => step.kind;

  it("may come byte by byte, and what follows them is the other end's", () => {
    for (const [handshake, answer] of [
      [begun(socks4(null)(target)), Buffer.from([0, 90, 0, 0, 0, 0, 0, 0])],
      [begun(httpConnect(null)(target)), Buffer.from("HTTP/1.0 200 OK\r\nA: b\r\n\r\n")],
    ] as const) {
      for (let length = 0; length < answer.length; length++)
        assert.equal(kind(handshake.next(answer.subarray(0, length))), "more");
      const step = handshake.next(Buffer.concat([answer, Buffer.from("rest")]));
      assert.deepEqual(step, { kind: "done", used: answer.length });
    }
    const five = begun(socks5(null)(target));
    assert.equal(kind(five.next(Buffer.from([5]))), "more");
    assert.equal(kind(five.next(Buffer.from([5, 0]))), "send");
    const answer = Buffer.from([5, 0, 0, 4, ...Buffer.alloc(18)]);
    for (let length = 0; length < answer.length; length++)
      assert.equal(kind(five.next(answer.subarray(0, length))), "more");
    assert.deepEqual(five.next(answer), { kind: "done", used: answer.length });
  });

  it("that are none fail", () => {
    for (const [handshake, answer] of [
      [begun(socks4(null)(target)), Buffer.from([0, 91, 0, 0, 0, 0, 0, 0])],
      [begun(socks4(null)(target)), Buffer.from("HTTP/1.1")],
      [begun(httpConnect(null)(target)), Buffer.from("SSH-2.0-OpenSSH\r\n\r\n")],
      [begun(httpConnect(null)(target)), Buffer.alloc(20_000, "a")],
      [begun(httpConnect(null)(target)), Buffer.from("HTTP/1.1 502 Bad Gateway\r\n\r\n")],
      [begun(socks5(null)(target)), Buffer.from([5, 255])],
      [begun(socks5(null)(target)), Buffer.from([5, 2])],
      [begun(socks5(null)(target)), Buffer.from([4, 0])],
    ] as const)
      assert.equal(kind(handshake.next(answer)), "failed");
    for (const [code, failure] of [
      [5, "refused"],
      [6, "timeout"],
      [4, "host-unreachable"],
      [3, "network-unreachable"],
    ] as const) {
      const five = begun(socks5(null)(target));
      five.next(Buffer.from([5, 0]));
      const step = five.next(Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0]));
      // It works, and nothing is to be told of it.
      assert.deepEqual(step, { kind: "failed", failure, why: null });
    }
  });
});
