import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BodyFeed } from "./made-bodies.ts";

test("a body is whole although its stream was over before anybody read it", async () => {
  const server = createServer().on("stream", (stream) => {
    stream.respond({ ":status": 200 });
    stream.end("some words");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    const stream = session.request({ ":path": "/" });
    await once(stream, "response");
    while (!stream.closed) await sleep(5);
    const taken: Buffer[] = [];
    const ended = Promise.withResolvers<undefined>();
    const closed = once(stream, "close");
    const taker = {
      push: (bytes: Uint8Array) => {
        taken.push(Buffer.from(bytes));
        return Promise.resolve();
      },
      end: () => {
        ended.resolve(undefined);
        return Promise.resolve();
      },
      fail: ended.reject,
    };
    const feed = new BodyFeed(stream, taker, ended.reject);
    feed.begin();
    await closed;
    assert.ok(feed.isComplete, "it was taken for one that was cut off");
    await ended.promise;
    assert.equal(Buffer.concat(taken).toString(), "some words");
  } finally {
    session.close();
    server.close();
  }
});
