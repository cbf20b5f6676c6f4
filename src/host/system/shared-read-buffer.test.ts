import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex, PassThrough } from "node:stream";
import { after, test } from "node:test";
import {
  connectWithSharedBuffer,
  takeReads,
  withReadBuffer,
  withSharedBuffer,
} from "./shared-read-buffer.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-reads-"));
after(() => {
  rmSync(directory, { recursive: true });
});

/** Everything that is read until the end, copied, and the memory that it was read into. */
async function readAll(socket: Duplex): Promise<{ bytes: Buffer; memory: Set<ArrayBufferLike> }> {
  const chunks: Buffer[] = [];
  const memory = new Set<ArrayBufferLike>();
  takeReads(socket, (bytes) => {
    chunks.push(Buffer.from(bytes));
    memory.add(bytes.buffer);
  });
  await once(socket, "end");
  return { bytes: Buffer.concat(chunks), memory };
}

function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, at) => at % 251));
}

let paths = 0;

/** Both ends of a connection, the accepted one as it is. */
async function pair(
  connected: (socket: Socket) => void,
): Promise<{ client: Socket; closed: () => Promise<void> }> {
  const path = join(directory, `${++paths}`);
  const server = createServer(connected).listen(path);
  await once(server, "listening");
  server.unref();
  const client = connectWithSharedBuffer(path);
  await once(client, "connect");
  return {
    client,
    closed: async () => {
      const over = once(server, "close");
      server.close();
      await over;
    },
  };
}

test("accepted and connected sockets read all of it, in order, into one buffer", async () => {
  const sent = pattern(3_000_000);
  const accepted = Promise.withResolvers<Duplex>();
  const { client, closed } = await pair((socket) => {
    accepted.resolve(withSharedBuffer(socket));
  });
  const server = await accepted.promise;
  const [atServer, atClient] = [readAll(server), readAll(client)];
  client.write(sent);
  server.end(sent);
  const answered = await atClient;
  client.end();
  const received = await atServer;
  assert.ok(received.bytes.equals(sent) && answered.bytes.equals(sent));
  assert.deepEqual(received.memory, answered.memory);
  assert.equal(received.memory.size, 1);
  // The server knows that its connections are gone.
  await closed();
});

test("what came before anyone took it is not lost, and no more of it is read meanwhile", async () => {
  const sent = pattern(5_000_000);
  const accepted = Promise.withResolvers<Socket>();
  const { client } = await pair((socket) => {
    accepted.resolve(socket);
  });
  const old = await accepted.promise;
  client.end(sent);
  await once(old, "readable");
  const socket = withSharedBuffer(old);
  assert.ok(socket instanceof Socket);
  assert.notEqual(socket, old);
  for (let round = 0; round < 20; round++) await new Promise(setImmediate);
  assert.ok(socket.bytesRead < sent.length);
  assert.ok((await readAll(socket)).bytes.equals(sent));
});

test("a socket that is read with a buffer can be given another one, and nothing is lost by it", async () => {
  const sent = pattern(1_000_000);
  const accepted = Promise.withResolvers<Duplex>();
  const { client } = await pair((socket) => {
    accepted.resolve(withSharedBuffer(socket));
  });
  const first = await accepted.promise;
  client.end(sent);
  assert.ok(first instanceof Socket);
  // It has read, and nobody has taken it.
  while (first.bytesRead === 0) await new Promise(setImmediate);
  const own = Buffer.alloc(100_000);
  const { bytes, memory } = await readAll(withReadBuffer(first, own));
  assert.ok(bytes.equals(sent));
  assert.ok(memory.has(own.buffer));
});

test("a pause holds the peer back, and nothing is lost by it", async () => {
  const sent = pattern(2_000_000);
  const accepted = Promise.withResolvers<Duplex>();
  const { client } = await pair((socket) => {
    accepted.resolve(withSharedBuffer(socket));
  });
  const socket = await accepted.promise;
  let count = 0;
  const ended = once(socket, "end");
  takeReads(socket, (bytes) => {
    count += bytes.length;
    socket.pause();
    setImmediate(() => {
      socket.resume();
    });
  });
  client.end(sent);
  await ended;
  assert.equal(count, sent.length);
});

test("the connection of a child works both ways, and ends with it", async () => {
  const child = spawn("cat", { stdio: ["pipe", "pipe", "ignore"] });
  assert.ok(child.stdout instanceof Duplex);
  const sent = pattern(1_000_000);
  const all = readAll(withSharedBuffer(child.stdout));
  child.stdin.end(sent);
  assert.ok((await all).bytes.equals(sent));
});

test("what is destroyed is closed for its peer, and what is no socket is read as it is", async () => {
  const accepted = Promise.withResolvers<Duplex>();
  const { client } = await pair((socket) => {
    accepted.resolve(withSharedBuffer(socket));
  });
  const socket = await accepted.promise;
  client.resume();
  const over = once(client, "close");
  socket.destroy();
  await over;
  const stream = new PassThrough();
  assert.equal(withSharedBuffer(stream), stream);
  const all = readAll(stream);
  stream.end("some text");
  assert.equal((await all).bytes.toString(), "some text");
});
