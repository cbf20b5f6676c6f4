import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import {
  allowAll,
  rule,
  testNetwork,
  type TestNetwork,
} from "../../../../test/support/network/guest-peer.ts";

const bytes = 16 * 1024 * 1024;
const blob = randomBytes(bytes);

function sha(data: Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

async function serve(connection: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    connection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as { port: number }).port };
}

describe("connections of the guest to the outside", () => {
  let network: TestNetwork;
  const servers: Server[] = [];
  const serving = async (connection: (socket: Socket) => void): Promise<number> => {
    const { server, port } = await serve(connection);
    servers.push(server);
    return port;
  };
  before(async () => {
    network = await testNetwork();
  });
  after(async () => {
    await network[Symbol.asyncDispose]();
    for (const server of servers) server.close();
  });

  it("brings every byte up and down, and the ends of both directions", async () => {
    const port = await serving((socket) => {
      const hash = createHash("sha256");
      socket.on("data", (data) => hash.update(data));
      socket.on("end", () => {
        socket.write(hash.digest("hex"));
        socket.end(blob);
      });
    });
    for (const family of [4, 6] as const) {
      const conversation = network.guest.connect(port, family);
      await conversation.opened;
      for (let at = 0; at < bytes; at += 1 << 20) await conversation.write(blob.subarray(at, at + (1 << 20)));
      conversation.connection?.end();
      const all = await conversation.has(64 + bytes);
      assert.equal(all.toString("latin1", 0, 64), sha(blob));
      assert.equal(sha(all.subarray(64)), sha(blob));
      await conversation.otherEnded;
      assert.equal(await conversation.over, "closed");
    }
    const closed = await network.event("flow-closed", (event) => event.port === port);
    assert.equal(closed.reason, "closed");
    assert.equal(closed.bytesSent, bytes);
    assert.equal(closed.bytesReceived, bytes + 64);
    assert.equal(closed.address, "172.16.0.1");
  });

  it("lets the server end first and still takes what the guest says", async () => {
    const got = Promise.withResolvers<string>();
    const port = await serving((socket) => {
      socket.end("bye");
      let text = "";
      socket.on("data", (data) => (text += data.toString()));
      socket.on("end", () => got.resolve(text));
    });
    const conversation = network.guest.connect(port);
    await conversation.otherEnded;
    await conversation.write(Buffer.from("after"));
    conversation.connection?.end();
    assert.equal(await got.promise, "after");
    assert.equal(await conversation.over, "closed");
  });

  it("refuses at once where nobody listens", async () => {
    const { server, port } = await serve(() => undefined);
    server.close();
    await once(server, "close");
    const conversation = network.guest.connect(port);
    let isOpen = false;
    void conversation.opened.then(() => {
      isOpen = true;
    });
    assert.equal(await conversation.over, "reset");
    assert.equal(isOpen, false, "the guest's SYN was not answered before");
    assert.equal((await network.event("flow-closed", (event) => event.port === port)).reason, "refused");
  });

  it("tries the host's other loopback address", async () => {
    const server = createServer((socket) => socket.end("six")).listen(0, "::1");
    servers.push(server);
    await once(server, "listening");
    const conversation = network.guest.connect((server.address() as { port: number }).port, 4);
    await conversation.otherEnded;
    assert.equal(Buffer.concat(conversation.received).toString(), "six");
    conversation.connection?.end();
  });

  it("passes resets on in both directions", async () => {
    const port = await serving((socket) => socket.once("data", () => socket.resetAndDestroy()));
    const first = network.guest.connect(port);
    await first.opened;
    await first.write(Buffer.from("x"));
    assert.equal(await first.over, "reset");

    const failure = Promise.withResolvers<NodeJS.ErrnoException>();
    const other = await serving((socket) => {
      socket.on("error", (error) => failure.resolve(error));
      socket.resume();
      socket.write("ready");
    });
    const second = network.guest.connect(other);
    await second.has(5);
    second.connection?.reset();
    assert.equal((await failure.promise).code, "ECONNRESET");
    assert.equal((await network.event("flow-closed", (event) => event.port === other)).reason, "reset");
  });

  it("holds a bounded amount for a guest that does not read, and nobody else waits", async () => {
    const sockets: Socket[] = [];
    const port = await serving((socket) => {
      sockets.push(socket);
      const more = (): void => {
        while (socket.write(blob.subarray(0, 1 << 16)));
        socket.once("drain", more);
      };
      more();
    });
    const slow = network.guest.connect(port);
    slow.reads = false;
    await slow.has(100_000);
    const quick = network.guest.connect(port);
    await quick.has(32 << 20);
    // The guest's window, our send buffer and one read, and what the kernel holds for the server.
    const [written = 0] = sockets.map((socket) => socket.bytesWritten);
    assert.ok(written < 16 << 20, `${written} bytes`);
    slow.connection?.reset();
    quick.connection?.reset();
    for (const socket of sockets) socket.destroy();
  });

  it("holds a bounded amount for a server that does not read", async () => {
    const accepted = Promise.withResolvers<Socket>();
    const port = await serving((socket) => {
      socket.pause();
      accepted.resolve(socket);
    });
    const conversation = network.guest.connect(port);
    await conversation.opened;
    let taken = 0;
    let quietTurns = 0;
    conversation.acknowledged = (count?: number) => {
      taken += count ?? 0;
      quietTurns = 0;
    };
    const sent = conversation.write(blob);
    const socket = await accepted.promise;
    while (taken === 0 || quietTurns++ < 200) await new Promise((resolve) => setImmediate(resolve));
    // The window of the connection, and what the kernel holds for the server.
    assert.ok(taken < 12 << 20, `${taken} bytes`);
    // The other direction still works.
    socket.write("still here");
    await conversation.has(10);
    socket.resume();
    let count = 0;
    socket.on("data", (data: Buffer) => (count += data.length));
    await sent;
    conversation.connection?.end();
    await once(socket, "end");
    assert.equal(count, bytes);
    socket.end();
  });

  it("takes thousands of connections one after the other and keeps nothing of them", async () => {
    const port = await serving((socket) => socket.end("x"));
    const handles = (): number =>
      process.getActiveResourcesInfo().filter((name) => name.startsWith("TCPSocketWrap")).length;
    const earlier = handles();
    for (let done = 0; done < 2000; done++) {
      const conversation = network.guest.connect(port);
      await conversation.otherEnded;
      conversation.connection?.end();
      await conversation.over;
    }
    await network.event("flow-closed", (event) => event.flow === network.gateway.counters.flowsOpened);
    assert.equal(network.gateway.counters.activeFlows, 0);
    assert.ok(handles() <= earlier + 4, `${handles()} sockets, ${earlier} before`);
  });

  it("has no more connections than it may", async () => {
    await network.gateway.update({ maxConnections: 2 });
    const port = await serving((socket) => socket.resume());
    const first = network.guest.connect(port);
    const second = network.guest.connect(port);
    await first.opened;
    await second.opened;
    assert.equal(await network.guest.connect(port).over, "reset");
    const denied = await network.event("flow-denied", (event) => event.port === port);
    assert.equal(denied.reason, "max-connections");
    await network.gateway.update({ maxConnections: 256 });
    const third = network.guest.connect(port);
    await third.opened;
    for (const conversation of [first, second, third]) conversation.connection?.reset();
  });

  it("refuses DNS over TLS whatever the policy says", async () => {
    assert.equal(await network.guest.connect(853).over, "reset");
    assert.equal((await network.event("flow-denied", (event) => event.port === 853)).reason, "blocked-port");
  });
});

describe("what the policy says of connections", () => {
  it("refuses what is denied with a reset, and tells which rule did", async () => {
    const policy = { ...allowAll, rules: [rule({ action: "deny", ports: [{ start: 81, end: 81 }] })] };
    await using network = await testNetwork({ policy });
    assert.equal(await network.guest.connect(81).over, "reset");
    const denied = await network.event("flow-denied");
    assert.deepEqual(
      { ...denied, timestampMs: 0, flow: 0 },
      {
        kind: "flow-denied",
        timestampMs: 0,
        flow: 0,
        direction: "egress",
        protocol: "tcp",
        address: "172.16.0.1",
        group: "host",
        port: 81,
        name: null,
        rule: 0,
        reason: "policy",
        count: 1,
      },
    );
    assert.equal(network.gateway.counters.flowsDenied, 1);
  });

  it("only notes while it observes", async () => {
    const { server, port } = await serve((socket) => socket.end("seen"));
    const policy = { defaultEgress: "deny", defaultIngress: "deny", rules: [] } as const;
    await using network = await testNetwork({ policy, observe: true });
    const conversation = network.guest.connect(port);
    await conversation.otherEnded;
    assert.equal(Buffer.concat(conversation.received).toString(), "seen");
    assert.equal((await network.event("flow-opened")).port, port);
    await network.gateway.update({ observe: false });
    assert.equal(await network.guest.connect(port).over, "reset");
    server.close();
  });

  it("ends flows that are not allowed any more before the change is done", async () => {
    const { server, port } = await serve((socket) => socket.resume());
    await using network = await testNetwork();
    const conversation = network.guest.connect(port);
    await conversation.opened;
    await network.gateway.update({ policy: { ...allowAll, defaultEgress: "deny" } });
    const closed = network.events.find((event) => event.kind === "flow-closed");
    assert.equal(closed?.reason, "policy");
    assert.equal(network.gateway.counters.activeFlows, 0);
    assert.equal(await conversation.over, "reset");
    server.close();
  });

  it("lets a tenant's sandbox publish nothing, decide about everything, and no more be connected than the platform does", async () => {
    await using network = await testNetwork({ deploymentProfile: "multi-tenant" });
    const port = {
      hostBind: "127.0.0.1",
      hostPort: 0,
      guestPort: 1,
      protocol: "tcp",
      proxyProtocol: false,
    } as const;
    const code = "invalidConfig";
    await assert.rejects(network.gateway.update({ publish: [port] }), {
      code,
      message: /publishes no ports/,
    });
    await assert.rejects(network.gateway.update({ maxConnections: 257 }), { code, message: /at most 256/ });
    await assert.rejects(network.gateway.update({ observe: true }), { code, message: /not observed/ });
    // The host is not outside, whatever the tenant's own policy allows.
    assert.equal(await network.guest.connect(80).over, "reset");
    assert.equal((await network.event("flow-denied")).reason, "platform");
  });

  it("changes nothing when a part of a change fails", async () => {
    const { server, port } = await serve((socket) => socket.resume());
    await using network = await testNetwork();
    const conversation = network.guest.connect(port);
    await conversation.opened;
    const taken = {
      hostBind: "127.0.0.1",
      hostPort: port,
      guestPort: 1,
      protocol: "tcp",
      proxyProtocol: false,
    } as const;
    const free = { ...taken, hostPort: 0 };
    await assert.rejects(
      network.gateway.update({ policy: { ...allowAll, defaultEgress: "deny" }, publish: [free, taken] }),
      new RegExp(`127\\.0\\.0\\.1:${port}/tcp cannot be published: it is in use`),
    );
    assert.deepEqual(network.gateway.ports, []);
    assert.equal(network.gateway.counters.activeFlows, 1);
    conversation.connection?.reset();
    server.close();
  });
});
