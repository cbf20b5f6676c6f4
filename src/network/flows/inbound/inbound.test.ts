import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import {
  addresses,
  allowAll,
  Conversation,
  rule,
  testNetwork,
  type TestNetwork,
} from "../../../../test/support/network/guest-peer.ts";
import type { PublishedPort } from "../../../config/network/network-type.ts";
import { IoError } from "../../../errors/index.ts";
import { protocolNumbers } from "../../ip/packet.ts";
import type { TcpRequest } from "../../tcp/connection.ts";
import { PublishedPorts } from "../ports/published-ports.ts";
import { readDatagram, sendDatagram } from "../udp/datagram.ts";

function published(over: Partial<PublishedPort> = {}): PublishedPort {
  return {
    hostBind: "127.0.0.1",
    hostPort: 0,
    guestPort: 80,
    protocol: "tcp",
    proxyProtocol: false,
    ...over,
  };
}

/** Accepts a connection in the guest. */
async function accepted(network: TestNetwork): Promise<Conversation & { readonly request: TcpRequest }> {
  return new Promise((resolve) => {
    network.guest.listener = (request) => {
      const conversation = Object.assign(new Conversation(), { request });
      conversation.connection = request.accept(conversation);
      resolve(conversation);
    };
  });
}

function to(network: TestNetwork, index = 0): Socket {
  const port = network.gateway.ports[index];
  assert.ok(port !== undefined);
  const socket = connect({ host: port.hostBind, port: port.hostPort, allowHalfOpen: true });
  socket.on("error", () => undefined);
  return socket;
}

describe("published TCP ports", () => {
  it("bring connections to the guest, and the ends of both directions", async () => {
    for (const hostBind of ["127.0.0.1", "::1"]) {
      await using network = await testNetwork({ ports: [published({ hostBind })] });
      const inGuest = accepted(network);
      const socket = to(network);
      socket.end("question");
      const conversation = await inGuest;
      await conversation.otherEnded;
      assert.equal(Buffer.concat(conversation.received).toString(), "question");
      const big = Buffer.alloc(5 << 20, 7);
      void conversation.write(big).then(() => conversation.connection?.end());
      assert.deepEqual(Buffer.concat(await socket.toArray()), big);
      assert.equal(await conversation.over, "closed");
      // As the guest sees it, it is the gateway.
      assert.ok(conversation.request.guestPort >= 49_152);
      const closed = await network.event("flow-closed");
      assert.deepEqual(
        [
          closed.direction,
          closed.address,
          closed.port,
          closed.bytesReceived,
          closed.bytesSent,
          closed.reason,
        ],
        ["ingress", hostBind, 80, 8, 5 << 20, "closed"],
      );
    }
  });

  it("tell the guest who connects, when that is asked for", async () => {
    await using network = await testNetwork({ ports: [published({ proxyProtocol: true })] });
    const inGuest = accepted(network);
    const socket = to(network);
    await once(socket, "connect");
    socket.write("hi");
    const bytes = await (await inGuest).has(30);
    const ports = Buffer.alloc(4);
    ports.writeUInt16BE(socket.localPort ?? 0, 0);
    ports.writeUInt16BE(socket.remotePort ?? 0, 2);
    assert.equal(
      bytes.toString("hex"),
      `0d0a0d0a000d0a515549540a2111000c7f0000017f000001${ports.toString("hex")}${Buffer.from("hi").toString("hex")}`,
    );
    socket.destroy();
  });

  it("end at once when nothing in the guest listens, by either family", async () => {
    await using network = await testNetwork({ ports: [published()] });
    const asked: number[] = [];
    network.guest.listener = (request) => {
      asked.push(request.remote.address.family);
      request.refuse("reset");
    };
    const [error] = (await once(to(network), "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
    assert.deepEqual(asked, [4, 6]);
    assert.equal((await network.event("flow-closed")).reason, "reset");
  });

  it("pass resets on", async () => {
    await using network = await testNetwork({ ports: [published()] });
    const inGuest = accepted(network);
    const socket = to(network);
    const failure = once(socket, "error") as Promise<[NodeJS.ErrnoException]>;
    const first = await inGuest;
    await first.opened;
    first.connection?.reset();
    assert.equal((await failure)[0].code, "ECONNRESET");
    const again = accepted(network);
    const other = to(network);
    const conversation = await again;
    await conversation.opened;
    other.resetAndDestroy();
    assert.equal(await conversation.over, "reset");
  });

  it("refuse peers that the policy does not allow", async () => {
    const rules = [
      rule({ direction: "ingress", action: "deny", destination: { kind: "group", group: "loopback" } }),
    ];
    await using network = await testNetwork({ ports: [published()], policy: { ...allowAll, rules } });
    const socket = to(network);
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
    const denied = await network.event("flow-denied");
    assert.deepEqual(
      [denied.direction, denied.address, denied.port, denied.rule],
      ["ingress", "127.0.0.1", 80, 0],
    );
  });

  it("listen before there is a guest: those who come early wait", async () => {
    const ports = await PublishedPorts.bind([published()], () => undefined);
    const [port] = ports.list;
    const socket = connect(port?.hostPort ?? 0, "127.0.0.1");
    socket.end("early");
    await once(socket, "connect");
    const came = new Promise<Socket>((resolve) => {
      ports.serve({
        connection: (_listener, early) => resolve(early),
        datagram: () => undefined,
        closed: () => undefined,
      });
    });
    const early = await came;
    assert.equal(await text(early), "early");
    early.destroy();
    await ports[Symbol.asyncDispose]();
  });

  it("are refused with the port's name when another program has it, and none is kept", async () => {
    await using network = await testNetwork({ ports: [published()] });
    const [port] = network.gateway.ports;
    assert.ok(port !== undefined);
    await assert.rejects(
      PublishedPorts.bind([published(), published({ hostPort: port.hostPort })], () => undefined),
      (error: unknown) => {
        assert.ok(error instanceof IoError);
        assert.equal(error.message, `port 127.0.0.1:${port.hostPort}/tcp cannot be published: it is in use`);
        assert.match(error.hint, /another port of the host/);
        return true;
      },
    );
  });

  it("come and go while it runs", async () => {
    await using network = await testNetwork();
    await network.gateway.update({ publish: [published()] });
    const [port] = network.gateway.ports;
    assert.ok(port !== undefined);
    const inGuest = accepted(network);
    const socket = to(network);
    const conversation = await inGuest;
    // The same port, for another one of the guest.
    await network.gateway.update({
      unpublish: [port],
      publish: [published({ hostPort: port.hostPort, guestPort: 81 })],
    });
    assert.deepEqual(network.gateway.ports, [{ ...port, guestPort: 81 }]);
    assert.equal(await conversation.over, "reset");
    socket.destroy();
    await assert.rejects(network.gateway.update({ publish: [published({ hostPort: port.hostPort })] }), {
      code: "invalidConfig",
      message: /is published already/,
    });
    await network.gateway.update({ unpublish: [port] });
    assert.deepEqual(network.gateway.ports, []);
    await assert.rejects(network.gateway.update({ unpublish: [port] }), {
      code: "invalidConfig",
      message: /is not published/,
    });
    const [error] = (await once(connect(port.hostPort, "127.0.0.1"), "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
  });
});

describe("published UDP ports", () => {
  it("bring datagrams to the guest and its replies back, to whom they are for", async () => {
    for (const hostBind of ["127.0.0.1", "::1"]) {
      await using network = await testNetwork({
        ports: [published({ hostBind, protocol: "udp", guestPort: 5000 })],
      });
      const { guest, gateway } = network;
      guest.ip.on(protocolNumbers.udp, (packet) => {
        const datagram = readDatagram(packet);
        assert.ok(datagram !== null && addresses.ipv4 !== null);
        assert.equal(datagram.port, 5000);
        const payload = packet.buffer.toString("latin1", datagram.payloadAt, datagram.end);
        const reply = Buffer.from(`${payload} from ${datagram.guestPort}`);
        sendDatagram(
          guest.ip.sender,
          { address: addresses.ipv4.guest, port: 5000 },
          datagram.guestPort,
          reply,
        );
      });
      const [port] = gateway.ports;
      assert.ok(port !== undefined);
      const answers = new Set<string>();
      for (const name of ["one", "two"]) {
        const client = createSocket(hostBind === "::1" ? "udp6" : "udp4");
        client.send(name, port.hostPort, hostBind);
        const [answer] = (await once(client, "message")) as [Buffer];
        assert.match(answer.toString(), new RegExp(`^${name} from (49152|49153)$`));
        answers.add(answer.toString());
        client.close();
      }
      assert.equal(answers.size, 2);
      assert.equal(gateway.counters.activeFlows, 2);
    }
  });
});

describe("connections of the host to the guest", () => {
  it("are streams with ends of their own", async () => {
    await using network = await testNetwork();
    const inGuest = accepted(network);
    const stream = await network.gateway.connect(80, AbortSignal.timeout(5000));
    const conversation = await inGuest;
    const big = Buffer.alloc(5 << 20, 3);
    stream.end(big);
    assert.equal(Buffer.compare(await conversation.has(big.length), big), 0);
    await conversation.otherEnded;
    void conversation.write(big).then(() => conversation.connection?.end());
    assert.equal(Buffer.compare(Buffer.concat(await stream.toArray()), big), 0);
    assert.equal(await conversation.over, "closed");
  });

  it("wait for a slow reader on either side", async () => {
    await using network = await testNetwork();
    const inGuest = accepted(network);
    const stream = await network.gateway.connect(80, AbortSignal.timeout(5000));
    const conversation = await inGuest;
    conversation.reads = false;
    let written = 0;
    while (stream.write(Buffer.alloc(1 << 16))) written += 1 << 16;
    await conversation.has(1 << 16);
    assert.ok(written < 4 << 20, `${written} bytes`);
    const sent = conversation.write(Buffer.alloc(8 << 20));
    await once(stream, "readable");
    assert.ok(stream.readableLength < 4 << 20);
    stream.destroy();
    assert.equal(await conversation.over, "reset");
    await sent;
  });

  it("join small segments for a reader that takes nothing, in order and to the end", async () => {
    await using network = await testNetwork();
    const inGuest = accepted(network);
    const stream = await network.gateway.connect(80, AbortSignal.timeout(5000));
    const conversation = await inGuest;
    await conversation.opened;
    let acknowledged = 0;
    conversation.acknowledged = (count?: number) => (acknowledged += count ?? 0);
    const sent = Buffer.from(Array.from({ length: 500 }, (_, n) => n & 0xff));
    for (let n = 0; n < sent.length; n++) {
      await conversation.write(sent.subarray(n, n + 1));
      // Each is a segment of its own.
      while (acknowledged <= n) await new Promise((resolve) => setImmediate(resolve));
    }
    conversation.connection?.end();
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk)).end();
    await once(stream, "end");
    assert.deepEqual(Buffer.concat(chunks), sent);
    // As a buffer each, 1 MiB of them would take 150 MiB.
    assert.ok(chunks.length <= 3, `${chunks.length} buffers`);
  });

  it("fail when nothing listens, and when they are given up", async () => {
    await using network = await testNetwork();
    await assert.rejects(network.gateway.connect(80, AbortSignal.timeout(5000)), {
      code: "runtime",
      message: "nothing in the guest listens on this port",
    });
    network.guest.listener = () => undefined;
    const controller = new AbortController();
    const waiting = network.gateway.connect(80, controller.signal);
    controller.abort(new Error("enough"));
    await assert.rejects(waiting, { message: "enough" });
  });

  it("fail, or end without harm, when the guest breaks them off at once", async () => {
    await using network = await testNetwork();
    network.guest.listener = (request) => request.accept(new Conversation()).reset();
    await assert.rejects(network.gateway.connect(80, AbortSignal.timeout(5000)), { code: "ECONNRESET" });
  });

  it("are not closed before the guest has taken everything, or takes nothing for a minute", async (test) => {
    await using network = await testNetwork();
    const inGuest = accepted(network);
    const stream = await network.gateway.connect(80, AbortSignal.timeout(5000));
    const conversation = await inGuest;
    conversation.reads = false;
    test.mock.timers.enable({ apis: ["setTimeout"] });
    stream.resume();
    conversation.connection?.end();
    await once(stream, "end");
    // The guest takes 1 MiB of it, its window.
    stream.end(Buffer.alloc(1_400_000));
    while (!stream.destroyed) await new Promise((resolve) => setImmediate(resolve));
    const over = new Promise((resolve) => {
      conversation.closed = resolve;
    });
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(stream.closed, false);
    const failed = once(stream, "error") as Promise<[NodeJS.ErrnoException]>;
    test.mock.timers.tick(60_000);
    assert.equal((await failed)[0].code, "ETIMEDOUT");
    assert.equal(await over, "reset");
  });

  it("fail with the gateway while they are made", async () => {
    const network = await testNetwork();
    network.guest.listener = () => undefined;
    const waiting = network.gateway.connect(80, AbortSignal.timeout(5000));
    await Promise.all([
      assert.rejects(waiting, { code: "runtime", message: "the sandbox's network is closed" }),
      network[Symbol.asyncDispose](),
    ]);
  });

  it("end when the guest's cable is cut, with every other flow and port", async () => {
    const ports = [
      { hostBind: "127.0.0.1", hostPort: 0, guestPort: 80, protocol: "tcp", proxyProtocol: false },
    ] as const;
    await using network = await testNetwork({ ports });
    const inGuest = accepted(network);
    const stream = await network.gateway.connect(80, AbortSignal.timeout(5000));
    const closed = once(stream, "close");
    await inGuest;
    const socket = to(network);
    await network.event("flow-opened");
    const reset = once(socket, "error") as Promise<[NodeJS.ErrnoException]>;
    network.guest.close();
    await closed;
    assert.equal((await reset)[0].code, "ECONNRESET");
    assert.equal((await network.event("flow-closed")).reason, "stopped");
    assert.equal(network.gateway.counters.activeFlows, 0);
    assert.deepEqual(network.gateway.ports, []);
  });

  it("end with the gateway", async () => {
    const network = await testNetwork();
    const inGuest = accepted(network);
    const stream = await network.gateway.connect(80, AbortSignal.timeout(5000));
    await inGuest;
    const closed = once(stream, "close");
    await network[Symbol.asyncDispose]();
    await closed;
  });
});
