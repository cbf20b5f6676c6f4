import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough, type Duplex } from "node:stream";
import { test } from "node:test";
import { Channel } from "./channel.ts";

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
