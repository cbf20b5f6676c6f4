import assert from "node:assert/strict";
import { once } from "node:events";
import { duplexPair } from "node:stream";
import { describe, it } from "node:test";
import { openInspector, replacing } from "../../../../test/support/http1/open-inspector.ts";
import { MessageReader } from "../message/message-reader.ts";
import { parseRequest } from "../message/heads.ts";
import { relayHttp1 } from "./relay-http1.ts";

const value = "v".repeat(2048);
const placeholders = 32 * 1024;
/** Of a piece of what came, of what waits to be handed over, and of what the stream takes. */
const mostWaiting = 4 * 1024 * 1024;

describe("a body that becomes 512 times as long", () => {
  it("waits for a server that takes nothing, piece by piece, and arrives in whole", async () => {
    const { inspector } = openInspector({
      request: (head) => ({ kind: "forward", head, body: replacing("$KEY", value) }),
    });
    const [client, guest] = duplexPair({ allowHalfOpen: true });
    const [near, server] = duplexPair({ allowHalfOpen: true });
    const over = relayHttp1({ guest, server: near, inspector });
    client.resume();
    const chunk = "$KEY".repeat(placeholders);
    client.end(
      "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
        `${chunk.length.toString(16)}\r\n${chunk}\r\n0\r\n\r\n`,
    );
    while (!near.writableNeedDrain) await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(near.writableLength < mostWaiting, String(near.writableLength));
    const reader = new MessageReader(parseRequest);
    let bytes = 0;
    server.on("data", (piece: Buffer) => {
      reader.push(Buffer.from(piece));
      assert.ok(near.writableLength < mostWaiting, String(near.writableLength));
      for (let event = reader.next(); event !== null; event = reader.next()) {
        reader.decodes = true;
        if (event.kind === "body") bytes += event.bytes.length;
        if (event.kind === "end") server.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      }
    });
    await once(server, "end");
    assert.equal(bytes, placeholders * value.length);
    for (const end of [client, guest, near, server]) end.destroy();
    await over;
  });
});
