import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpServer, get, type IncomingMessage } from "node:http";
import { createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { InvalidConfigError, RuntimeError, UnsupportedOperationError } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import {
  guestServer,
  networkSupervisor,
  type NetworkSupervisor,
} from "../../../test/support/network-supervisor.ts";
import { connectGuest, waitForGuestPort } from "./connect-guest.ts";
import { guestConnector, guestHttpAgent } from "./guest-agent.ts";
import type { GuestSocket } from "./guest-socket.ts";

async function dial({ control }: NetworkSupervisor, port: number, timeoutMs?: number): Promise<GuestSocket> {
  const socket = await Operation.run("connect", { timeoutMs }, (operation) =>
    connectGuest(control, port, operation),
  );
  // Some are still open when a test is over, and the supervisor's end with it.
  return socket.on("error", () => undefined);
}

async function listening(
  t: TestContext,
  serve: (socket: Socket) => void,
): Promise<{ readonly supervisor: NetworkSupervisor; readonly socket: GuestSocket }> {
  const supervisor = await networkSupervisor(t);
  await guestServer(supervisor.gateway, 80, createServer({ allowHalfOpen: true }, serve));
  return { supervisor, socket: await dial(supervisor, 80) };
}

/** Everything that is under way has been done. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
}

test("bytes arrive as they were sent, both ways at once, and each direction ends by itself", async (t) => {
  const { socket } = await listening(t, (peer) => {
    void buffer(peer).then((got) => peer.end(createHash("sha256").update(got).digest("hex")));
    peer.write("first");
  });
  const sent = randomBytes(5_000_001);
  socket.end(sent);
  assert.equal(await text(socket), `first${createHash("sha256").update(sent).digest("hex")}`);
  assert.equal(socket.destroyed || (await once(socket, "close")).length === 0, true);
});

test("what the guest says in small pieces is joined while nobody reads", async (t) => {
  const { socket } = await listening(t, (peer) => {
    void (async () => {
      for (let n = 0; n < 500; n++) {
        peer.write(Buffer.of(n & 0xff));
        await new Promise(setImmediate);
      }
      peer.end();
    })();
  });
  await once(socket.end(), "finish");
  // All of it, or nearly all, is here by then.
  for (let turn = 0; turn < 1000; turn++) await new Promise(setImmediate);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "end");
  assert.deepEqual(Buffer.concat(chunks), Buffer.from(Array.from({ length: 500 }, (_, n) => n & 0xff)));
  assert.ok(chunks.length < 250, `${chunks.length} buffers`);
});

test("what the guest sends after this side has ended still arrives", async (t) => {
  const { socket } = await listening(t, (peer) => {
    peer.once("end", () => peer.end(Buffer.alloc(1_000_000, 7)));
    peer.resume();
  });
  socket.end();
  const got = await buffer(socket);
  assert.equal(got.length, 1_000_000);
  assert.ok(got.every((byte) => byte === 7));
});

test("a reader that does not read holds the guest up, and a window of memory", async (t) => {
  let pushed = 0;
  let served = 0;
  const { socket, supervisor } = await listening(t, (peer) => {
    if (served++ > 0) {
      peer.end("hello");
      return;
    }
    const more = (): void => {
      while (pushed < 64 * 1024 * 1024) {
        pushed += 65_536;
        if (!peer.write(Buffer.alloc(65_536))) {
          peer.once("drain", more);
          return;
        }
      }
      peer.end();
    };
    more();
  });
  socket.once("readable", () => undefined);
  let before = -1;
  // It stands still when nothing has moved for a while.
  for (let still = 0; still < 200; still = pushed === before ? still + 1 : 0) {
    before = pushed;
    await new Promise(setImmediate);
  }
  assert.ok(socket.readableLength <= 512 * 1024, `${socket.readableLength} bytes wait here`);
  assert.ok(pushed < 32 * 1024 * 1024, `the guest has sent ${pushed}`);
  // Other connections go on.
  const other = await dial(supervisor, 80);
  await once(other, "readable");
  other.destroy();
  assert.equal((await buffer(socket)).length, 64 * 1024 * 1024);
});

test("a guest that does not read holds the writer up", async (t) => {
  const peers: Socket[] = [];
  const { socket } = await listening(t, (peer) => {
    peer.pause();
    peers.push(peer);
  });
  let written = 0;
  for (let still = 0; still < 200; still++) {
    for (; written < 64 * 1024 * 1024 && !socket.writableNeedDrain; written += 65_536, still = 0)
      socket.write(Buffer.alloc(65_536));
    await new Promise(setImmediate);
  }
  assert.ok(written < 32 * 1024 * 1024, `${written} were taken`);
  const got = buffer(peers[0] as Socket);
  socket.end();
  assert.equal((await got).length, written);
  peers[0]?.end();
});

test("a reset of the guest is an error, and destroy() is one to the guest", async (t) => {
  const peers: Socket[] = [];
  const { socket, supervisor } = await listening(t, (peer) => {
    peer.write("hello");
    peers.push(peer);
  });
  await once(socket, "readable");
  const failed = once(socket, "error");
  peers[0]?.resetAndDestroy();
  const [error] = (await failed) as [Error];
  assert.ok(error instanceof RuntimeError, String(error));
  const second = await dial(supervisor, 80);
  await once(second, "readable");
  // The gateway's end of it: what is destroyed before its end is reset.
  const closed = once(supervisor.gateway.connections[1] as Duplex, "close");
  second.destroy();
  await closed;
});

test("a port where nobody listens is refused, and what is no port is not asked for", async (t) => {
  const supervisor = await networkSupervisor(t);
  await assert.rejects(dial(supervisor, 81), RuntimeError);
  for (const port of [0, -1, 65_536, 1.5, Number.NaN])
    await assert.rejects(dial(supervisor, port), InvalidConfigError);
  await assert.rejects(dial({ ...supervisor, control: supervisor.without }, 80), UnsupportedOperationError);
});

test("a guest that never answers is waited for as long as was said, and nothing is left of it", async (t) => {
  const supervisor = await networkSupervisor(t);
  let given: AbortSignal | null = null;
  supervisor.gateway.connect = (_port, signal) => {
    given = signal;
    return new Promise((_resolve, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason as Error)),
    );
  };
  await assert.rejects(dial(supervisor, 80, 20), { name: "OperationTimeoutError" });
  await settle();
  assert.equal((given as AbortSignal | null)?.aborted, true);
});

test("the end of the supervisor ends the connection with an error", async (t) => {
  const { socket, supervisor } = await listening(t, () => undefined);
  const failed = once(socket, "error");
  supervisor.connection.close();
  await failed;
});

test("a port is waited for until somebody listens there", async (t) => {
  const supervisor = await networkSupervisor(t);
  const { gateway, control } = supervisor;
  let refused = 0;
  const connect = gateway.connect.bind(gateway);
  const server = createServer((peer) => peer.resume());
  gateway.connect = async (port, signal) => {
    if (++refused === 4) await guestServer(gateway, 80, server);
    return await connect(port, signal);
  };
  const wait = (port: number, timeoutMs?: number): Promise<void> =>
    Operation.run("wait", { timeoutMs }, (operation) => waitForGuestPort(control, port, operation));
  await wait(80);
  assert.equal(refused, 4);
  await assert.rejects(wait(81, 50), { name: "OperationTimeoutError" });
  await assert.rejects(wait(0), InvalidConfigError);
});

test("node:http speaks to the guest through its agent, and keeps a connection for the next request", async (t) => {
  const supervisor = await networkSupervisor(t);
  const { gateway } = supervisor;
  const server = createHttpServer((request, response) => {
    void text(request).then((body) => response.end(`${request.method} ${request.url} ${body}`));
  });
  await guestServer(gateway, 8000, server);
  const connect = (port: number): Promise<GuestSocket> => dial(supervisor, port);
  const agent = guestHttpAgent(connect, null, { keepAlive: true, maxSockets: 1 });
  const ask = async (path: string): Promise<string> => {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    get({ agent, host: "guest", port: 8000, path, timeout: 5000 }, resolve).on("error", reject);
    return await text(await promise);
  };
  assert.equal(await ask("/one"), "GET /one ");
  assert.equal(await ask("/two"), "GET /two ");
  assert.equal(gateway.connections.length, 1);
  agent.destroy();
  const refusing = guestHttpAgent(connect, 81, {});
  const failed = once(get({ agent: refusing, host: "guest", port: 8000 }), "error");
  assert.match(String((await failed)[0]), /refused/);
});

test("what undici asks a connector for is a connection, or the reason why there is none", async (t) => {
  const { supervisor } = await listening(t, (peer) => peer.end("hello"));
  const connect = (port: number): Promise<GuestSocket> => dial(supervisor, port);
  const { promise, resolve } = Promise.withResolvers<string>();
  const options = { hostname: "guest", protocol: "http:", port: "" };
  guestConnector(connect, null)(options, (error, socket) => {
    assert.equal(error, null);
    resolve(text(socket));
  });
  assert.equal(await promise, "hello");
  const refused = Promise.withResolvers<Error | null>();
  guestConnector(connect, 81)(options, (...[error]) => refused.resolve(error));
  assert.match(String(await refused.promise), /refused/);
});
