import assert from "node:assert/strict";
import { once } from "node:events";
import { constants } from "node:http2";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { mock, test, type TestContext } from "node:test";
import { listening, portOf } from "../../../test/support/http1/relayed-server.ts";
import { frame, preface } from "../../../test/support/http2/frames.ts";
import { get, passing, setup } from "../../../test/support/http2/relayed.ts";
import { type Http2End, relayHttp2 } from "./relay-http2.ts";

test("a server that leaves lets the guest finish, and go elsewhere", async (t) => {
  const { client, server, ends } = await setup(t, (stream, headers) => {
    stream.respond({ ":status": 200 });
    if (headers[":path"] !== "/leave") stream.end("last words");
    else {
      stream.session?.goaway(constants.NGHTTP2_NO_ERROR);
      stream.end("last words");
    }
  });
  const answer = await get(client, { ":path": "/leave" });
  assert.equal(answer.body.toString(), "last words");
  if (!client.closed) await once(client, "close");
  server.close();
  assert.equal((await Promise.all(ends))[0]?.kind, "closed");
});

test("a response that is cut off never looks whole", async (t) => {
  const { client, server, ends } = await setup(t, (stream) => {
    stream.respond({ ":status": 200 });
    stream.write("some");
  });
  const sockets: Socket[] = [];
  server.on("connection", (socket: Socket) => sockets.push(socket));
  const stream = client.request({ ":path": "/" });
  stream.on("error", () => undefined);
  await once(stream, "data");
  const closed = once(stream, "close").catch(() => undefined);
  for (const socket of sockets) socket.destroy();
  stream.resume();
  await closed;
  assert.notEqual(stream.rstCode, constants.NGHTTP2_NO_ERROR);
  await Promise.all(ends);
});

test("a request that is cut off never looks whole", async (t) => {
  const seen = Promise.withResolvers<boolean>();
  const begun = Promise.withResolvers<undefined>();
  const { client } = await setup(t, (stream) => {
    stream.on("data", () => begun.resolve(undefined));
    stream.on("end", () => seen.resolve(!stream.destroyed && !stream.aborted));
    stream.on("close", () => seen.resolve(false));
  });
  const stream = client.request({ ":method": "POST", ":path": "/" });
  stream.on("error", () => undefined);
  stream.write("some");
  await begun.promise;
  client.destroy();
  assert.equal(await seen.promise, false);
});

test("who fails here breaks the connection off and says so", async (t) => {
  const { client, ends } = await setup(t, (stream) => stream.respond({ ":status": 200 }), {
    request: () => {
      throw new TypeError("a mistake");
    },
  });
  await get(client);
  const [end] = await Promise.all(ends);
  assert.equal(end?.kind, "failed");
  assert.match(String(end.error), /a mistake/);
});

test("a connection that says nothing, or half a preface, is nobody's burden", async (t) => {
  const { client, port, ends } = await setup(t, () => undefined);
  client.destroy();
  const socket = connectTcp({ port, host: "127.0.0.1" });
  await once(socket, "connect");
  socket.write("PRI * HT");
  await once(socket, "data");
  socket.destroy();
  await Promise.all(ends);
});

/** A guest, the relay, and a server that takes whatever comes, and never ends. */
async function withoutEnd(
  t: TestContext,
): Promise<{ readonly guest: Socket; readonly server: Socket; readonly end: Promise<Http2End> }> {
  const listener = await listening(createServer({ allowHalfOpen: true }));
  const front = await listening(createServer({ allowHalfOpen: true, pauseOnConnect: true }));
  const arrived = once(listener, "connection") as Promise<[Socket]>;
  const accepted = once(front, "connection") as Promise<[Socket]>;
  const upstream = connectTcp({ port: portOf(listener), host: "127.0.0.1", allowHalfOpen: true });
  const guest = connectTcp({ port: portOf(front), host: "127.0.0.1", allowHalfOpen: true });
  const [[server], [near]] = await Promise.all([arrived, accepted, once(upstream, "connect")]);
  for (const one of [guest, server]) one.on("error", () => undefined).resume();
  t.after(() => {
    for (const one of [guest, server]) one.destroy();
    for (const one of [listener, front]) one.close();
  });
  const end = relayHttp2({ guest: near, server: upstream, scheme: "http", inspector: passing });
  server.write(frame(4, 0, 0));
  guest.write(preface);
  await once(server, "data");
  return { guest, server, end };
}

test("a guest that breaks the protocol takes with it a server that never ends", async (t) => {
  const { guest, end } = await withoutEnd(t);
  // A stream that was not opened has no window.
  guest.write(frame(8, 0, 1, Buffer.from([0, 0, 0, 0])));
  assert.equal((await end).kind, "reset");
});

for (const [how, leave] of [
  ["breaks off", (guest) => guest.resetAndDestroy()],
  ["leaves", (guest) => guest.end()],
] satisfies [string, (guest: Socket) => void][]) {
  test(`a guest that ${how} waits a minute at most for a server that never ends`, async (t) => {
    mock.timers.enable({ apis: ["setInterval"] });
    t.after(() => mock.timers.reset());
    const { guest, server, end } = await withoutEnd(t);
    leave(guest);
    await once(server, "end");
    let isOver = false;
    void end.then(() => (isOver = true));
    mock.timers.tick(59_000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isOver, false);
    mock.timers.tick(1_000);
    assert.equal((await end).kind, "closed");
  });
}

test("a server that leaves waits a minute at most for a guest that takes nothing", async (t) => {
  mock.timers.enable({ apis: ["setInterval"] });
  t.after(() => mock.timers.reset());
  const { guest, server, end } = await withoutEnd(t);
  server.end();
  await once(guest, "end");
  mock.timers.tick(60_000);
  assert.equal((await end).kind, "closed");
});
