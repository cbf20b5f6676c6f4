import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { connect as connectTcp } from "node:net";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { portOf } from "../../../test/support/http1/relayed-server.ts";
import { block, frame, good, preface } from "../../../test/support/http2/frames.ts";
import { passing, setup } from "../../../test/support/http2/relayed.ts";
import { relayHttp2 } from "./relay-http2.ts";

test("a guest that takes nothing is not told more and more of what only informs", async (t) => {
  const [rounds, perRound, bytes] = [20, 100, 4096];
  const { promise: asked, resolve } = Promise.withResolvers<ServerHttp2Stream>();
  const { client, server } = await setup(t, resolve);
  client.destroy();
  // No kernel's memory between them, which would take most of it.
  const [guest, near] = duplexPair();
  const upstream = connectTcp({ port: portOf(server), host: "127.0.0.1", allowHalfOpen: true });
  await once(upstream, "connect");
  upstream.pause();
  const end = relayHttp2({ guest: near, server: upstream, scheme: "http", inspector: passing });
  guest.write(Buffer.concat([preface, frame(1, 5, 1, block(good))]));
  const stream = await asked;
  for (let round = 0; round < rounds; round++) {
    for (let time = 0; time < perRound; time++)
      stream.additionalHeaders({ ":status": 103, link: `<${"a".repeat(bytes)}>` });
    // The relay has read all of them when it answers.
    await new Promise<void>((done) => stream.session?.ping(() => done()));
  }
  stream.respond({ ":status": 200 });
  stream.end("the end");
  let heard = 0;
  let last = "";
  for await (const piece of guest as AsyncIterable<Buffer>) {
    heard += piece.length;
    last = last.slice(-10) + piece.toString("latin1");
    if (last.includes("the end")) break;
  }
  guest.destroy();
  await end;
  assert.ok(heard > bytes && heard < (rounds * perRound * bytes) / 4, String(heard));
});
