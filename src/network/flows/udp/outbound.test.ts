import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { after, before, describe, it, test } from "node:test";
import {
  address,
  addresses,
  allowAll,
  type GuestPeer,
  rule,
  testNetwork,
  type TestNetwork,
} from "../../../../test/support/network/guest-peer.ts";
import {
  guestAuthority,
  interceptedNetwork,
  interceptionOf,
} from "../../../../test/support/tls/intercepted-network.ts";
import { IpAddress } from "../../../host/ip/address.ts";
import { protocolNumbers } from "../../ip/packet.ts";
import { readDatagram, sendDatagram } from "./datagram.ts";

interface Received {
  readonly port: number;
  readonly from: string;
  readonly guestPort: number;
  readonly payload: Buffer;
}

/** What a guest gets: datagrams, and ICMP errors as `type/code`. */
class Inbox {
  readonly datagrams: Received[] = [];
  readonly errors: string[] = [];
  readonly #guest: GuestPeer;
  readonly #waiters = new Set<() => void>();

  constructor(guest: GuestPeer) {
    this.#guest = guest;
    guest.ip.on(protocolNumbers.udp, (packet) => {
      const datagram = readDatagram(packet);
      assert.ok(datagram !== null);
      const { guestPort: port, port: guestPort, payloadAt, end } = datagram;
      // The other way round: where it comes from is the sender's.
      const from = IpAddress.read(packet.buffer, packet.sourceAt, packet.family).toString();
      this.datagrams.push({
        port,
        from,
        guestPort,
        payload: Buffer.from(packet.buffer.subarray(payloadAt, end)),
      });
      this.#tell();
    });
    for (const protocol of [protocolNumbers.icmpv4, protocolNumbers.icmpv6])
      guest.ip.on(protocol, ({ buffer, payloadAt }) => {
        this.errors.push(`${buffer[payloadAt] ?? 0}/${buffer[payloadAt + 1] ?? 0}`);
        this.#tell();
      });
  }

  send(from: number, to: number, payload: Buffer | string, family: 4 | 6 = 4): void {
    const own = family === 4 ? addresses.ipv4 : addresses.ipv6;
    assert.ok(own !== null);
    const source = { address: own.guest, port: from };
    assert.ok(sendDatagram(this.#guest.ip.sender, source, to, Buffer.from(payload)));
  }

  async datagram(isWanted: (datagram: Received) => boolean = () => true): Promise<Received> {
    return this.#first(() => this.datagrams.find(isWanted));
  }

  async error(): Promise<string> {
    return this.#first(() => this.errors.shift());
  }

  async #first<Result>(find: () => Result | undefined): Promise<Result> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  #tell(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }
}

async function echo(type: "udp4" | "udp6" = "udp4"): Promise<{ socket: Socket; port: number }> {
  const socket = createSocket(type);
  socket.on("message", (payload, peer) => socket.send(payload, peer.port, peer.address));
  socket.bind(0, type === "udp4" ? "127.0.0.1" : "::1");
  await once(socket, "listening");
  return { socket, port: socket.address().port };
}

describe("datagrams of the guest", () => {
  let network: TestNetwork;
  let inbox: Inbox;
  before(async () => {
    network = await testNetwork();
    inbox = new Inbox(network.guest);
  });
  after(async () => {
    await network[Symbol.asyncDispose]();
  });

  it("go out and come back, whatever their size and family", async () => {
    for (const [type, family] of [
      ["udp4", 4],
      ["udp6", 6],
    ] as const) {
      const { socket, port } = await echo(type);
      for (const size of [0, 1, 1472, 9000, 65_000]) {
        inbox.send(4000, port, Buffer.alloc(size, size & 0xff), family);
        const { payload, from, guestPort } = await inbox.datagram(
          (datagram) => datagram.port === port && datagram.payload.length === size,
        );
        assert.ok(payload.every((byte) => byte === (size & 0xff)));
        assert.equal(from, family === 4 ? "172.16.0.1" : "fd42:6d73:62::1");
        assert.equal(guestPort, 4000);
      }
      socket.close();
    }
  });

  it("come back only from whom they were sent to", async () => {
    const { socket, port } = await echo();
    const other = createSocket("udp4");
    inbox.send(4001, port, "first");
    const [, peer] = (await once(socket, "message")) as [Buffer, { port: number }];
    // Somebody else on the host who knows the port.
    other.send("injected", peer.port, "127.0.0.1");
    other.close();
    await once(other, "close");
    inbox.send(4001, port, "second");
    await inbox.datagram(({ payload }) => payload.toString() === "second");
    assert.ok(!inbox.datagrams.some(({ payload }) => payload.toString() === "injected"));
    socket.close();
  });

  it("come through in bursts, to whom nothing was sent before and then", async () => {
    const { socket, port } = await echo();
    for (const round of ["first", "second"]) {
      // More than may wait for the host's socket; they come with one read of the cable.
      for (let n = 0; n < 120; n++) inbox.send(4100, port, `${round} ${n}`);
      await inbox.datagram(({ payload }) => payload.toString() === `${round} 119`);
    }
    assert.equal(inbox.datagrams.filter(({ guestPort }) => guestPort === 4100).length, 240);
    socket.close();
  });

  it("are told apart by the port of the guest", async () => {
    const { socket, port } = await echo();
    inbox.send(4002, port, "one");
    inbox.send(4003, port, "two");
    assert.equal((await inbox.datagram(({ payload }) => payload.toString() === "one")).guestPort, 4002);
    assert.equal((await inbox.datagram(({ payload }) => payload.toString() === "two")).guestPort, 4003);
    socket.close();
  });

  it("get an ICMP error where nobody listens", async () => {
    const { socket, port } = await echo();
    socket.close();
    await once(socket, "close");
    inbox.send(4004, port, "x");
    assert.equal(await inbox.error(), "3/3");
    inbox.send(4004, port, "x", 6);
    assert.equal(await inbox.error(), "1/4");
  });

  it("to other name services are dropped", async () => {
    for (const port of [853, 5353, 5355, 137]) {
      inbox.send(4005, port, "x");
      assert.equal(
        (await network.event("flow-denied", (event) => event.port === port)).reason,
        "blocked-port",
      );
    }
  });

  it("have at most 256 sessions; the one that was used longest ago ends", async () => {
    const { socket, port } = await echo();
    const opened = network.gateway.counters.flowsOpened;
    // In portions: the echo's own socket has room for some 250.
    for (let from = 10_000; from < 10_300; from += 100) {
      for (let more = 0; more < 100; more++) inbox.send(from + more, port, "x");
      await inbox.datagram(({ guestPort }) => guestPort === from + 99);
    }
    assert.equal(network.gateway.counters.flowsOpened, opened + 300);
    assert.equal(network.gateway.counters.activeFlows, 256);
    socket.close();
  });
});

test("datagrams that are followed by none for a minute end their session", async (context) => {
  let now = performance.now();
  context.mock.method(performance, "now", () => now);
  context.mock.timers.enable({ apis: ["setInterval"] });
  const pass = (ms: number): void => {
    now += ms;
    context.mock.timers.tick(ms);
  };
  const { socket, port } = await echo();
  context.after(() => socket.close());
  await using network = await testNetwork();
  const inbox = new Inbox(network.guest);
  for (const payload of ["first", "second"]) {
    inbox.send(4000, port, payload);
    await inbox.datagram((datagram) => datagram.payload.toString() === payload);
    pass(59_000);
    assert.equal(network.gateway.counters.activeFlows, 1);
  }
  pass(10_000);
  assert.equal(network.gateway.counters.activeFlows, 0);
  assert.equal((await network.event("flow-closed")).reason, "idle");
});

describe("what the policy says of datagrams", () => {
  it("is asked of every one", async () => {
    const { socket, port } = await echo();
    await using network = await testNetwork();
    const inbox = new Inbox(network.guest);
    inbox.send(4000, port, "before");
    await inbox.datagram();
    const rules = [rule({ action: "deny", ports: [{ start: port, end: port }] })];
    await network.gateway.update({ policy: { ...allowAll, rules } });
    assert.equal(network.gateway.counters.activeFlows, 0);
    inbox.send(4000, port, "after");
    assert.equal(await inbox.error(), "3/13");
    const denied = await network.event("flow-denied");
    assert.deepEqual([denied.protocol, denied.port, denied.rule], ["udp", port, 0]);
    assert.equal(inbox.datagrams.length, 1);
    socket.close();
  });

  it("brings questions to the resolver wherever they were sent", async () => {
    await using network = await testNetwork({}, { ipv4: address("8.8.8.8") });
    const inbox = new Inbox(network.guest);
    const question = Buffer.from(
      "1234010000010000000000000468" + "6f73740c6d6963726f73616e64626f7808696e7465726e616c0000010001",
      "hex",
    );
    inbox.send(4000, 53, question);
    const { payload, from } = await inbox.datagram();
    assert.equal(from, "8.8.8.8");
    assert.equal(payload.toString("hex", 0, 2), "1234");
    assert.deepEqual([...payload.subarray(-4)], [172, 16, 0, 1]);
    const answered = await network.event("dns");
    assert.equal(answered.resolver, "8.8.8.8");
    assert.equal(network.gateway.counters.dnsQueries, 1);
  });
});

describe("QUIC to ports where TLS is intercepted", () => {
  it("is refused as where nobody listens, unless it is let be", async () => {
    const authority = guestAuthority();
    const { socket, port } = await echo();
    const options = { authority, hostRoot: authority.pem };
    await using network = await interceptedNetwork({ ...options, tls: { interceptedPorts: [port] } });
    const inbox = new Inbox(network.guest);
    inbox.send(4001, port, "initial");
    assert.equal(await inbox.error(), "3/3");
    inbox.send(4001, port, "initial", 6);
    assert.equal(await inbox.error(), "1/4");
    const denied = await network.event("flow-denied");
    assert.deepEqual([denied.reason, denied.protocol, denied.port], ["blocked-port", "udp", port]);
    const { port: other, socket: free } = await echo();
    inbox.send(4002, other, "through");
    assert.equal(String((await inbox.datagram()).payload), "through");
    const tls = { interceptedPorts: [port], blockQuic: false };
    await network.gateway.update({ interception: interceptionOf({ ...options, tls }) });
    inbox.send(4003, port, "let be");
    assert.equal(String((await inbox.datagram(({ guestPort }) => guestPort === 4003)).payload), "let be");
    await network.gateway.update({
      interception: interceptionOf({ ...options, tls: { interceptedPorts: [port] } }),
    });
    inbox.send(4003, port, "no more");
    assert.equal(await inbox.error(), "3/3");
    assert.equal((await network.event("flow-closed", (event) => event.port === port)).reason, "policy");
    for (const end of [socket, free]) end.close();
  });
});
