import assert from "node:assert/strict";
import { type Duplex, duplexPair } from "node:stream";
import { describe, it } from "node:test";
import { openInspector, replacing } from "../../../../test/support/http1/open-inspector.ts";
import type { BodyFilter, Inspector } from "../../http/inspector.ts";
import { type Http1End, relayHttp1 } from "./relay-http1.ts";

const megabyte = 1024 * 1024;
const uploadBytes = 64 * megabyte;
/** What may wait on the way: four streams, and a read of each. */
const mostWaiting = megabyte;
const piece = Buffer.alloc(64 * 1024, "x");

interface Ends {
  readonly client: Duplex;
  readonly server: Duplex;
  readonly over: Promise<Http1End>;
  close(): Promise<unknown>;
}

function ends(inspector: Inspector): Ends {
  const [client, guest] = duplexPair({ allowHalfOpen: true });
  const [near, server] = duplexPair({ allowHalfOpen: true });
  const over = relayHttp1({ guest, server: near, inspector });
  const close = async (): Promise<unknown> => {
    for (const end of [client, guest, near, server]) end.destroy();
    return await over;
  };
  return { client, server, over, close };
}

/** Counts what one end has said and the other has heard, and what is on its way. */
class Gap {
  said = 0;
  heard = 0;
  most = 0;

  async say(end: Duplex, words: Buffer): Promise<void> {
    this.said += words.length;
    if (end.write(words)) return;
    await new Promise<void>((resolve) => void end.once("drain", resolve));
  }

  /** Reads only as much as lies there, then lets everybody else have a turn. */
  async hear(end: Duplex, until: number): Promise<void> {
    while (this.heard < until) {
      const bytes = end.read() as Buffer | null;
      if (bytes === null) await new Promise<void>((resolve) => void end.once("readable", resolve));
      else {
        this.heard += bytes.length;
        for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
        this.most = Math.max(this.most, this.said - this.heard);
      }
    }
  }
}

async function carry(from: Duplex, to: Duplex, head: string, chunked: boolean, slack = 0): Promise<void> {
  const gap = new Gap();
  const start = Buffer.from(head);
  const wrap = (bytes: Buffer): Buffer =>
    chunked
      ? Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")])
      : bytes;
  const last = Buffer.from(chunked ? "0\r\n\r\n" : "");
  const words = wrap(piece);
  const total = start.length + (uploadBytes / piece.length) * words.length + last.length - slack;
  const heard = gap.hear(to, total);
  await gap.say(from, start);
  for (let at = 0; at < uploadBytes; at += piece.length) await gap.say(from, words);
  if (last.length > 0) await gap.say(from, last);
  await heard;
  assert.ok(gap.most < mostWaiting, `${gap.most} bytes were on their way`);
}

const post = (fields: string): string => `POST / HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n\r\n`;
const fixed = `Content-Length: ${uploadBytes}`;
const chunks = "Transfer-Encoding: chunked";

describe("a body of 64 MiB is never here as a whole", () => {
  const same = (): BodyFilter => ({ changesLength: true, push: (bytes) => [bytes], end: () => [] });
  const later = (): BodyFilter => ({
    changesLength: false,
    push: async (bytes) => [bytes],
    end: async () => [],
  });
  for (const [name, fields, filter] of [
    ["on its way to the server", fixed, null],
    ["in chunks", chunks, null],
    ["through a filter", fixed, () => replacing("abc", "def")],
    ["through a filter that takes its time", fixed, later],
    ["in chunks, through a filter", chunks, same],
  ] as const)
    it(name, async () => {
      const open = openInspector({
        request: (head) => ({ kind: "forward", head, body: filter === null ? null : filter() }),
      });
      const { client, server, close } = ends(open.inspector);
      await carry(client, server, post(fields), fields === chunks);
      await close();
      assert.deepEqual(open.reasons, []);
    });
  for (const [name, fields, filter] of [
    ["on its way to the guest", fixed, null],
    ["in chunks to the guest", chunks, null],
    ["to the guest, until the connection ends", "X: y", null],
    ["to the guest, through a filter", chunks, same],
  ] as const)
    it(name, async () => {
      const open = openInspector({ response: (head) => ({ head, body: filter === null ? null : filter() }) });
      const { client, server, close } = ends(open.inspector);
      client.write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
      await new Promise<void>((resolve) => void server.once("readable", resolve));
      server.read();
      await carry(server, client, `HTTP/1.1 200 OK\r\n${fields}\r\n\r\n`, fields === chunks);
      await close();
      assert.deepEqual(open.reasons, []);
    });
});

it("a guest that takes no answers is asked for no more requests", async () => {
  let asked = 0;
  const open = openInspector({
    request: () => {
      asked++;
      return { kind: "answer", head: { status: 403, fields: [] }, body: Buffer.alloc(1000) };
    },
  });
  const { client, close } = ends(open.inspector);
  const request = Buffer.from("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".repeat(100));
  let isFull = false;
  // As many as it takes until nobody takes them any more.
  for (let time = 0; time < 200 && !isFull; time++) {
    isFull = !client.write(request);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    isFull &&= client.writableNeedDrain;
  }
  assert.ok(isFull && asked < 1000, `${asked} requests were answered`);
  await close();
});

it("a body that has to be whole is refused above 16 MiB, before it comes or when it has grown", async () => {
  const most = 16 * megabyte;
  const double = (): BodyFilter => ({
    changesLength: true,
    push: (bytes) => [Buffer.from(bytes), Buffer.from(bytes)],
    end: () => [],
  });
  for (const [length, sent, isRefused] of [
    [most + 1, 0, true],
    [most, most, true],
    [most / 2, most / 2, false],
  ] as const) {
    const open = openInspector({ request: (head) => ({ kind: "forward", head, body: double() }) });
    const { client, server, over, close } = ends(open.inspector);
    for (const end of [client, server]) end.on("error", () => undefined);
    let heard = 0;
    const all = new Promise<void>((resolve) => {
      server.on("data", (bytes: Buffer) => {
        heard += bytes.length;
        if (heard > 2 * length) resolve();
      });
    });
    client.write(post(`Content-Length: ${length}`));
    const state = { isOver: false };
    void over.then(() => (state.isOver = true));
    for (let at = 0; at < sent && !state.isOver; at += piece.length) {
      if (!client.write(piece))
        await Promise.race([over, new Promise((resolve) => client.once("drain", resolve))]);
    }
    if (isRefused) assert.deepEqual(await over, { kind: "blocked", error: null });
    else await all;
    assert.equal(open.reasons.length, isRefused ? 1 : 0);
    if (isRefused) assert.equal(heard, 0);
    await close();
  }
});
