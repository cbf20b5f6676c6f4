import assert from "node:assert/strict";
import { once } from "node:events";
import { duplexPair, type Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import {
  extension,
  helloMessage,
  inRecords,
  nameEntry,
} from "../../../../test/support/client-hello-builder.ts";
import type { TestNetwork } from "../../../../test/support/network/guest-peer.ts";
import { InterceptedBench } from "../../../../test/support/tls/intercepted-bench.ts";
import { guestSocket } from "../../../../test/support/tls/intercepted-network.ts";

let bench: InterceptedBench;
let port: number;
let network: TestNetwork;
before(async () => {
  bench = await InterceptedBench.make();
  port = await bench.echo();
  network = await bench.intercepting([port]);
});
after(async () => {
  await network[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

/** A client whose words are cut as `cut` wants it on their way to the gateway. */
function cutting(cut: (bytes: Buffer) => readonly Buffer[], options: ConnectionOptions = {}): TLSSocket {
  const [near, wire] = duplexPair();
  const client = connectTls({ socket: near, servername: "good.test", ca: bench.authority.pem, ...options });
  const far: Duplex = guestSocket(network.guest, port);
  wire.on("data", (bytes: Buffer) => {
    for (const piece of cut(bytes)) far.write(piece);
  });
  wire.on("end", () => far.end());
  far.on("data", (bytes: Buffer) => wire.write(bytes));
  far.on("end", () => wire.end());
  return client;
}

/** A handshake message as records of so few bytes each. */
function reRecorded(bytes: Buffer, size: number): Buffer {
  return bytes[0] === 22 && bytes[5] === 1 ? inRecords(bytes.subarray(5), size) : bytes;
}

describe("a ClientHello that is intercepted", () => {
  for (const [what, cut, options] of [
    ["byte by byte", (bytes) => Array.from(bytes, (byte) => Buffer.of(byte)), {}],
    ["in records of 50 bytes", (bytes) => [reRecorded(bytes, 50)], {}],
    [
      "with a post-quantum key, in two segments",
      (bytes) => [bytes.subarray(0, 1400), bytes.subarray(1400)],
      {},
    ],
    [
      "of TLS 1.2, byte by byte",
      (bytes) => Array.from(bytes, (byte) => Buffer.of(byte)),
      { maxVersion: "TLSv1.2" },
    ],
  ] as const satisfies [string, (bytes: Buffer) => readonly Buffer[], ConnectionOptions][])
    it(what, async () => {
      const client = cutting(cut, options);
      client.end("hello");
      assert.equal(await text(client), "hello");
    });

  it("of nearly 16 KiB, with what may be a real or a greased Encrypted Client Hello, is answered", async () => {
    const filled = (bytes: number): Buffer =>
      inRecords(
        helloMessage({
          names: nameEntry("good.test"),
          after: [extension(0xfe0d, Buffer.alloc(186, 9)), extension(21, Buffer.alloc(bytes))],
        }),
      );
    const client = guestSocket(network.guest, port);
    client.write(filled(16_000));
    await once(client, "readable");
    const answer = client.read() as Buffer;
    // A ServerHello: the record is one of a handshake.
    assert.deepEqual([answer[0], answer[5]], [22, 2]);
    client.destroy();
    const long = guestSocket(network.guest, port);
    long.write(filled(17_000));
    await assert.rejects(once(long, "close"), { code: "ECONNRESET" });
    const failed = await network.event("tls-failed", ({ reason }) => /ClientHello/.test(reason));
    assert.equal(failed.side, "guest");
  });

  it("that never ends is given up, and one that ends in the middle", async () => {
    const client = guestSocket(network.guest, port);
    client.end(inRecords(helloMessage({ names: nameEntry("good.test") })).subarray(0, 60));
    await assert.rejects(once(client, "close"), { code: "ECONNRESET" });
    await network.event("tls-failed", ({ reason }) => /missing/.test(reason));
  });
});
