import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, type Duplex } from "node:stream";
import { test } from "node:test";
import { Channel } from "./channel.ts";
import { FrameKind } from "./frame.ts";

/** How a channel on this stream ends. */
function ending(duplex: Duplex): Promise<Error | null> {
  const { promise, resolve } = Promise.withResolvers<Error | null>();
  new Channel(
    duplex,
    { incoming: "client→supervisor" },
    { message: () => undefined, bulk: () => undefined, closed: resolve },
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

test("last words arrive at a peer that talks meanwhile", { timeout: 30_000 }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "msb-channel-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "socket");
  const server = createServer((socket) => {
    const channel = new Channel(
      socket,
      { incoming: "client→supervisor" },
      { message: () => undefined, bulk: () => undefined, closed: () => undefined },
    );
    for (let index = 0; index < 64; index++) channel.sendBulk(1, FrameKind.stdout, Buffer.alloc(4096));
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
      bulk: () => {
        client.send(1, { type: "Credit", bytes: 4096 });
      },
      closed: over.resolve,
    },
  );
  assert.equal(await over.promise, null);
  assert.deepEqual(heard, ["ExecExited"]);
});
