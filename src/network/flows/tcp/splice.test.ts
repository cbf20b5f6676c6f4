import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { address, testNetwork } from "../../../../test/support/network/guest-peer.ts";
import { connectWithSharedBuffer } from "../../../host/system/shared-read-buffer.ts";
import type { TcpConnection } from "../../tcp/connection.ts";
import { Slabs } from "../slabs.ts";
import { Splice } from "./splice.ts";

/** The guest's side, by hand. */
class ByHand implements TcpConnection {
  readonly remote = { address: address("172.16.0.1"), port: 80 };
  readonly guestPort = 50_000;
  readonly isEstablished = true;
  readonly maxSegment = 65_480;
  readonly consumed: number[] = [];
  readonly written: Uint8Array[] = [];
  isEnded = false;
  isReset = false;
  takesMore = true;

  get bytes(): number {
    return this.written.reduce((sum, { length }) => sum + length, 0);
  }

  write(bytes: Uint8Array): boolean {
    this.written.push(bytes);
    return this.takesMore;
  }

  end(): void {
    this.isEnded = true;
  }

  reset(): void {
    this.isReset = true;
  }

  consume(bytes: number): void {
    this.consumed.push(bytes);
  }
}

interface Spliced extends AsyncDisposable {
  readonly splice: Splice;
  readonly guest: ByHand;
  readonly socket: Socket;
  readonly server: Socket;
  readonly reasons: string[];
}

async function spliced(): Promise<Spliced> {
  const listener = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as { port: number };
  const socket = connectWithSharedBuffer({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.pause();
  const [[server]] = (await Promise.all([once(listener, "connection"), once(socket, "connect")])) as [
    [Socket],
    unknown,
  ];
  server.on("error", () => undefined);
  const reasons: string[] = [];
  const splice = new Splice(new Slabs(), (reason) => reasons.push(reason));
  const guest = new ByHand();
  splice.connection = guest;
  splice.join(socket);
  return {
    splice,
    guest,
    socket,
    server,
    reasons,
    [Symbol.asyncDispose]: async () => {
      splice.abort("reset");
      server.destroy();
      listener.close();
      await once(listener, "close");
    },
  };
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** Both sides have said all, and the guest has not taken what the host said. */
async function left(): Promise<Spliced> {
  const all = await spliced();
  all.server.end("1234567890");
  while (!all.guest.isEnded) await turn();
  const closed = once(all.socket, "close");
  all.splice.ended();
  all.server.resume();
  await closed;
  return all;
}

describe("a connection and a socket that are joined", () => {
  it("keep small segments as few pieces while the host takes nothing", async () => {
    await using all = await spliced();
    const { splice, guest, socket, server } = all;
    let sent = 0;
    const send = async (bytes: number): Promise<void> => {
      splice.data(Buffer.alloc(bytes));
      sent += bytes;
      await turn();
    };
    while (socket.writableLength === 0) await send(1 << 20);
    const before = guest.consumed.length;
    const held = socket.writableLength;
    for (let count = 0; count < 5000; count++) await send(1);
    assert.equal(socket.writableLength, held);
    let received = 0;
    server.on("data", (bytes) => (received += bytes.length)).resume();
    splice.ended();
    await once(server, "end");
    assert.equal(received, sent);
    assert.equal(
      guest.consumed.reduce((sum, bytes) => sum + bytes, 0),
      sent,
    );
    assert.ok(guest.consumed.length - before < 50, `${guest.consumed.length - before} pieces`);
  });

  it("read no more of the host than one read while the guest takes no more", async () => {
    await using all = await spliced();
    const { splice, guest, server } = all;
    guest.takesMore = false;
    server.end(Buffer.alloc(16 << 20));
    const turns = async (): Promise<void> => {
      for (let count = 0; count < 300; count++) await turn();
    };
    const read = 256 * 1024;
    while (guest.bytes === 0) await turn();
    await turns();
    const first = guest.bytes;
    assert.ok(first <= read, `${first} bytes`);
    splice.drained();
    while (guest.bytes === first) await turn();
    await turns();
    assert.ok(guest.bytes <= first + read, `${guest.bytes} bytes`);
  });

  it("are over when the guest has taken what the host said last", async () => {
    await using all = await left();
    const { splice, guest, reasons } = all;
    assert.deepEqual(reasons, []);
    assert.equal(Buffer.concat(guest.written).toString(), "1234567890");
    splice.acknowledged(10);
    assert.deepEqual(reasons, []);
    splice.closed("closed");
    assert.deepEqual(reasons, ["closed"]);
    assert.equal(guest.isReset, false);
  });

  it("are over when the guest takes nothing of it for a minute", async (test) => {
    test.mock.timers.enable({ apis: ["setTimeout"] });
    await using all = await left();
    const { splice, guest, reasons } = all;
    test.mock.timers.tick(59_999);
    splice.acknowledged(5);
    test.mock.timers.tick(59_999);
    assert.deepEqual(reasons, []);
    test.mock.timers.tick(1);
    assert.deepEqual(reasons, ["timeout"]);
    assert.equal(guest.isReset, true);
  });

  it("count as long as they last, and with the bytes that the guest has", async () => {
    await using network = await testNetwork();
    const listener = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.resume().end(Buffer.alloc(1_300_000));
    }).listen(0, "127.0.0.1");
    await once(listener, "listening");
    const conversation = network.guest.connect((listener.address() as { port: number }).port);
    conversation.reads = false;
    const accepted = once(listener, "connection") as Promise<[Socket]>;
    conversation.connection?.end();
    const [socket] = await accepted;
    // More than its window.
    const closed = socket.closed ? null : once(socket, "close");
    await conversation.has(60_000);
    await closed;
    for (let count = 0; count < 20; count++) await turn();
    assert.equal(network.gateway.counters.activeFlows, 1);
    conversation.connection?.reset();
    const { reason, bytesReceived } = await network.event("flow-closed");
    assert.equal(reason, "reset");
    assert.ok(bytesReceived < 1_300_000 && bytesReceived <= conversation.bytes, `${bytesReceived} bytes`);
    listener.close();
  });
});
