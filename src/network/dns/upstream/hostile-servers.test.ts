/** What servers, and others who speak in their place, may send: the right answer still counts, and nothing else does. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { asking, TestResolver } from "../../../../test/support/dns-resolver.ts";
import { addressRecord, DnsServer, type AskedOfServer } from "../../../../test/support/dns-server.ts";
import { mutate, rounds, seeded } from "../../../../test/support/fuzz.ts";

const right = "93.184.216.34";
const wrong = "203.0.113.66";

function answered({ name, reply }: AskedOfServer, address: string): Buffer {
  return reply({ answers: [addressRecord(name, address)] });
}

/** Bytes of an answer as somebody sends it who does not know all of the question. */
const forgeries: readonly (readonly [string, (asked: AskedOfServer) => Buffer])[] = [
  ["a wrong id", (asked) => withId(answered(asked, wrong), (asked.packet.id ?? 0) ^ 1)],
  ["the guest's id", (asked) => withId(answered(asked, wrong), 4711)],
  ["the question in another case", (asked) => withByte(answered(asked, wrong), 13, (byte) => byte ^ 0x20)],
  ["another name", (asked) => withByte(answered(asked, wrong), 13, () => 0x7a)],
  ["another type", (asked) => withByte(answered(asked, wrong), asked.bytes.length - 3, () => 28)],
  [
    "no question",
    ({ reply }) => reply({ questions: [], answers: [addressRecord("www.Example.com", wrong)] }),
  ],
  ["a question instead of an answer", (asked) => withByte(answered(asked, wrong), 2, (byte) => byte & 0x7f)],
  ["another opcode", (asked) => withByte(answered(asked, wrong), 2, (byte) => byte | 0x28)],
  ["the question itself", ({ bytes }) => bytes],
  ["nothing", () => Buffer.alloc(0)],
  ["a header that is cut off", (asked) => answered(asked, wrong).subarray(0, 11)],
  ["a record that is cut off", (asked) => answered(asked, wrong).subarray(0, -1)],
  ["more records than it has", (asked) => withByte(answered(asked, wrong), 7, () => 9)],
  ["garbage", () => Buffer.alloc(3000, 0xc0)],
];

for (const transport of ["udp", "tcp"] as const)
  for (const [what, forged] of forgeries)
    test(`an answer by ${transport} with ${what} is passed over, and the right one behind it is taken`, async () => {
      await using server = await DnsServer.start((asked) => {
        for (let count = 0; count < 3; count++) asked.say(forged(asked));
        asked.say(answered(asked, right));
        // And once more, when nobody listens any longer.
        asked.say(answered(asked, wrong));
      });
      using guest = asking(server, { dns: { rebindProtection: false } });
      const { addresses } = await guest.ask("www.Example.com", "A", { transport });
      assert.deepEqual(addresses, [right]);
      assert.equal(server.asked.length, 1);
    });

test("an answer from another port or another address of the server's machine is not seen", async () => {
  const other = createSocket("udp4").bind(0, "127.0.0.1");
  const otherAddress = createSocket("udp4").bind(0, "127.0.0.2");
  await Promise.all([once(other, "listening"), once(otherAddress, "listening")]);
  const guestPort = Promise.withResolvers<number>();
  const server = createSocket("udp4").bind(0, "127.0.0.1");
  await once(server, "listening");
  server.on("message", (bytes, peer) => {
    guestPort.resolve(peer.port);
    const answer = (address: string): Buffer => {
      const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split(".").map(Number)];
      const message = Buffer.concat([bytes, Buffer.from(record)]);
      message.writeUInt16BE(0x8180, 2);
      message.writeUInt16BE(1, 6);
      return message;
    };
    other.send(answer(wrong), peer.port, "127.0.0.1", () => {
      otherAddress.send(answer(wrong), peer.port, "127.0.0.1", () => {
        server.send(answer(right), peer.port, "127.0.0.1");
      });
    });
  });
  try {
    const nameservers = [`127.0.0.1:${server.address().port}`];
    using guest = new TestResolver({ dns: { nameservers, rebindProtection: false } });
    assert.deepEqual((await guest.ask("example.com")).addresses, [right]);
    assert.ok((await guestPort.promise) > 1023);
  } finally {
    for (const socket of [other, otherAddress, server]) socket.close();
  }
});

test("each question has a port of its own", async () => {
  const ports = new Set<number>();
  const server = createSocket("udp4").bind(0, "127.0.0.1");
  await once(server, "listening");
  server.on("message", (bytes, { port }) => {
    ports.add(port);
    const answer = Buffer.from(bytes);
    answer.writeUInt16BE(0x8183, 2);
    server.send(answer, port, "127.0.0.1");
  });
  using guest = new TestResolver({ dns: { nameservers: [`127.0.0.1:${server.address().port}`] } });
  await Promise.all(Array.from({ length: 20 }, (_, index) => guest.ask(`n${index}.example`)));
  server.close();
  assert.equal(ports.size, 20);
});

/** What a server of TCP does with a connection. */
const connections: readonly (readonly [string, (socket: Socket, question: Buffer) => void])[] = [
  ["closes it", (socket) => socket.end()],
  ["resets it", (socket) => socket.resetAndDestroy()],
  ["sends half a length and closes it", (socket) => socket.end(Buffer.from([0]))],
  ["sends half an answer and closes it", (socket) => socket.end(Buffer.from([0, 20, 1, 2, 3]))],
  ["says nothing", () => undefined],
  ["sends zeros for ever", (socket) => flood(socket)],
];

for (const [what, act] of connections) {
  test(`the next server is asked when one ${what}`, async () => {
    const sockets: Socket[] = [];
    const first = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => undefined).once("data", (bytes) => act(socket, bytes));
    }).listen(0, "127.0.0.1");
    await once(first, "listening");
    await using second = await DnsServer.start((asked) => asked.say(answered(asked, right)));
    const nameservers = [(first.address() as AddressInfo).port, second.port].map(
      (port) => `127.0.0.1:${port}`,
    );
    using guest = new TestResolver({ dns: { nameservers, queryTimeoutMs: 200 } });
    assert.deepEqual((await guest.ask("example.com", "A", { transport: "tcp" })).addresses, [right]);
    // Our end of it is closed.
    await Promise.all(sockets.map(async (socket) => socket.closed || once(socket.resume(), "close")));
    first.close();
  });
}

function flood(socket: Socket): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
  };
  socket.on("drain", more);
  more();
}

test("an answer that comes byte by byte is put together", async () => {
  const server = createServer((socket) => {
    socket.setNoDelay();
    socket
      .on("error", () => undefined)
      .once("data", (question) => {
        const message = question.subarray(2);
        message.writeUInt16BE(0x8183, 2);
        const bytes = [0, message.length, ...message];
        const next = (at: number): void => {
          const byte = bytes[at];
          if (byte !== undefined) socket.write(Buffer.from([byte]), () => setImmediate(next, at + 1));
        };
        next(0);
      });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  using guest = new TestResolver({
    dns: { nameservers: [`127.0.0.1:${(server.address() as AddressInfo).port}`] },
  });
  assert.equal((await guest.ask("example.com", "A", { transport: "tcp" })).rcode, "NXDOMAIN");
  server.close();
});

test("whatever a server says, the guest is told what can be read, or that there is no answer", async (context) => {
  const random = seeded(context);
  await using server = await DnsServer.start((asked) => {
    const list = [right, "10.0.0.1"].map((address) => addressRecord(asked.name, address));
    asked.say(mutate(random, asked.reply({ answers: list, additionals: list })));
  });
  using guest = asking(server, { dns: { queryTimeoutMs: 20 } });
  const seen = new Map<string, number>();
  for (let round = 0; round < rounds(300); round += 10) {
    const told = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        guest.ask(`n${round + index}.example`, "A", { udpSize: 1232 }),
      ),
    );
    for (const { rcode, id, addresses, packet } of told) {
      assert.equal(id, 4711);
      assert.equal(packet.questions?.length, 1);
      assert.ok(!addresses.includes("10.0.0.1"), "nothing private");
      seen.set(rcode, (seen.get(rcode) ?? 0) + 1);
    }
  }
  assert.ok((seen.get("NOERROR") ?? 0) > 20 && (seen.get("SERVFAIL") ?? 0) > 20, JSON.stringify([...seen]));
});

function withId(message: Buffer, id: number): Buffer {
  message.writeUInt16BE(id, 0);
  return message;
}

function withByte(message: Buffer, at: number, change: (byte: number) => number): Buffer {
  message[at] = change(message[at] ?? 0);
  return message;
}
