import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair, PassThrough, type Duplex } from "node:stream";
import { test } from "node:test";
import { Channel } from "./channel.ts";
import { encodeFrame, FrameKind } from "./frame.ts";

/** How a channel on this stream ends. */
function ending(duplex: Duplex): Promise<Error | null> {
  const { promise, resolve } = Promise.withResolvers<Error | null>();
  new Channel(
    duplex,
    { incoming: "client→supervisor" },
    { message: () => undefined, data: () => undefined, closed: resolve },
  );
  return promise;
}

test("a peer that left before the channel was made is noticed", async () => {
  const ended = new PassThrough({ autoDestroy: false });
  ended.end();
  ended.resume();
  await once(ended, "end");
  assert.equal(ended.destroyed, false);
  assert.equal(await ending(ended), null);

  const destroyed = new PassThrough();
  destroyed.destroy();
  await once(destroyed, "close");
  assert.equal(await ending(destroyed), null);
});

test("a peer that leaves is noticed", async () => {
  const stream = new PassThrough();
  const over = ending(stream);
  stream.end();
  assert.equal(await over, null);
});

test("last words arrive at a peer that talks meanwhile", { timeout: 120_000 }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "msb-channel-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "socket");
  const server = createServer((socket) => {
    const channel = new Channel(
      socket,
      { incoming: "client→supervisor" },
      { message: () => undefined, data: () => undefined, closed: () => undefined },
    );
    for (let index = 0; index < 64; index++) channel.sendData(1, FrameKind.data, Buffer.alloc(4096));
    channel.send(1, { type: "ExecExited", code: 7, signal: 0 });
    void channel.end();
  });
  t.after(() => server.close());
  server.listen(path);
  await once(server, "listening");
  const heard: string[] = [];
  const over = Promise.withResolvers<Error | null>();
  const socket = createConnection(path);
  await once(socket, "connect");
  const client = new Channel(
    socket,
    { incoming: "supervisor→client" },
    {
      message: (_, message) => heard.push(message.type),
      data: () => {
        client.send(1, { type: "Credit", bytes: 4096 });
      },
      closed: over.resolve,
    },
  );
  assert.equal(await over.promise, null);
  assert.deepEqual(heard, ["ExecExited"]);
});

const frame = encodeFrame(1, FrameKind.data, Buffer.alloc(100));
const [head, tail] = [frame.subarray(0, 50), frame.subarray(50)];

/** Lets streams pass on what was written, and timers that went off have their effect. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

test("each frame has its own 30 s, wherever the pieces that arrive are cut", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const [near, far] = duplexPair();
  let ended: Error | null = null;
  const over = ending(near).then((error) => (ended = error));
  far.write(head);
  for (let n = 0; n < 5; n++) {
    await settle();
    t.mock.timers.tick(20_000);
    await settle();
    assert.equal(ended, null);
    far.write(Buffer.concat([tail, head]));
  }
  await settle();
  t.mock.timers.tick(30_000);
  assert.match(String(await over), /^ProtocolError: .*part of a frame.* 30000 ms/);
});

test("a frame is not late while this side does not read", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const [near, far] = duplexPair();
  const over = Promise.withResolvers<Error | null>();
  let received = 0;
  const channel = new Channel(
    near,
    { incoming: "client→supervisor", pauseAtBytes: 100_000 },
    { message: () => undefined, data: () => received++, closed: over.resolve },
  );
  far.write(head);
  await settle();
  // The peer leaves it unread: nothing more of it is read either.
  for (let n = 0; n < 4; n++) channel.sendData(1, FrameKind.data, Buffer.alloc(50_000));
  far.write(tail);
  await settle();
  t.mock.timers.tick(60_000);
  await settle();
  assert.deepEqual([received, channel.closed], [0, false]);
  far.resume();
  await settle();
  assert.equal(received, 1);
  far.write(head);
  await settle();
  t.mock.timers.tick(30_000);
  assert.match(String(await over.promise), /part of a frame/);
});
