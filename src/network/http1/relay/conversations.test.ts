import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ends, joined } from "../../../../test/support/http1/joined-ends.ts";
import { replacing } from "../../../../test/support/http1/open-inspector.ts";

const get = "GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n";
const post = (fields: string, body = ""): string =>
  `POST / HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n\r\n${body}`;
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

describe("a conversation in HTTP/1", () => {
  it("passes each piece on at once", async () => {
    const pair = await joined();
    pair.client.say(get);
    await pair.server.hears(get);
    const start = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    pair.server.say(start);
    await pair.client.hears(/\r\n\r\n$/);
    for (const piece of ["data: 1\n\n", "data: 2", "\n\n"]) {
      pair.server.say(piece);
      await pair.client.hears(new RegExp(`${piece}$`));
    }
    pair.server.socket.end();
    assert.equal(await pair.client.all(), `${start}data: 1\n\ndata: 2\n\n`);
    pair.client.end();
    await ends(pair, "closed");
  });

  it("passes each chunk of a request on at once, and a line in pieces when it is whole", async () => {
    const pair = await joined();
    const start = post("Transfer-Encoding: chunked");
    pair.client.say(start);
    await pair.server.hears(start);
    for (const words of ["3\r\nab", "c\r\n", "5;x=1\r\n", "hello", "\r\n"]) {
      pair.client.say(words);
      await pair.server.hears(words);
    }
    pair.client.say("1");
    pair.client.say("\r\nx\r\n0\r\n\r\n");
    await pair.server.hears("1\r\nx\r\n0\r\n\r\n");
    pair.server.say(ok);
    await pair.client.hears(/ok$/);
    pair.client.end();
    await pair.server.ended();
    pair.server.socket.end();
    await ends(pair, "closed");
  });

  it("lets the client wait for 100, which is the server's", async () => {
    const pair = await joined();
    const start = post("Expect: 100-continue\r\nContent-Length: 2");
    pair.client.say(start);
    await pair.server.hears(start);
    pair.server.say("HTTP/1.1 100 Continue\r\n\r\n");
    await pair.client.hears(/100 Continue\r\n\r\n$/);
    pair.client.say("hi");
    await pair.server.hears("hi");
    pair.server.say(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok}`);
    assert.equal(
      await pair.client.hears(/ok$/),
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok}`,
    );
    pair.client.say(get);
    await pair.server.hears(get);
    pair.client.socket.resetAndDestroy();
    await ends(pair, "reset");
  });

  it("reads nothing more when the server does not want the body", async () => {
    const pair = await joined();
    const start = post("Expect: 100-continue\r\nContent-Length: 34");
    pair.client.say(start);
    await pair.server.hears(start);
    pair.server.say("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    // The client may go on with the body, or with another request: here is one that is both.
    await pair.client.hears(/no$/);
    pair.client.say(get).end();
    assert.equal(
      await pair.client.all(),
      "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
    );
    await pair.server.ended();
    pair.server.socket.end();
    await ends(pair, "closed");
  });

  it("says 100 itself where the server cannot know of the request yet", async () => {
    const pair = await joined({
      request: (head) => ({ kind: "forward", head, body: replacing("$KEY", "secret") }),
    });
    pair.client.say(post("Expect: 100-continue\r\nContent-Length: 4"));
    await pair.client.hears(/^HTTP\/1.1 100 Continue\r\n\r\n$/);
    pair.client.say("$KEY");
    await pair.server.hears(post("Content-Length: 6", "secret"));
    pair.server.say(ok);
    await pair.client.hears(/ok$/);
    pair.client.socket.resetAndDestroy();
    await ends(pair, "reset");
  });

  it("says nothing of a request whose length changes before all of it is there", async () => {
    const pair = await joined({
      request: (head) => ({ kind: "forward", head, body: replacing("$KEY", "secret") }),
    });
    // The first is not changed by its filter, but could be: it is there whole, and the second is not.
    pair.client.say(`${post("Content-Length: 2", "hi")}${post("Content-Length: 6", "a $K")}`);
    await pair.server.hears(post("Content-Length: 2", "hi"));
    pair.server.say(ok);
    await pair.client.hears(/ok$/);
    assert.equal(pair.server.heard, "");
    pair.client.say("EY");
    await pair.server.hears(post("Content-Length: 8", "a secret"));
    pair.client.socket.resetAndDestroy();
    await ends(pair, "reset");
  });

  it("goes on after a response that came before the end of its request", async () => {
    const pair = await joined();
    const start = post("Content-Length: 4", "a");
    pair.client.say(start);
    await pair.server.hears(start);
    pair.server.say(ok);
    await pair.client.hears(/ok$/);
    pair.client.say(`bcd${get}`);
    await pair.server.hears(`bcd${get}`);
    pair.server.say(ok);
    assert.equal(await pair.client.hears(/okHTTP.*ok$/s), ok + ok);
    pair.client.end();
    await pair.server.ended();
    pair.server.socket.end();
    await ends(pair, "closed");
  });

  it("lets the guest have an early response whose server has gone", async () => {
    const pair = await joined();
    const start = post("Content-Length: 1000000", "a");
    pair.client.say(start);
    await pair.server.hears(start);
    const response = "HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
    pair.server.say(response);
    await pair.client.hears(/no$/);
    pair.server.socket.resetAndDestroy();
    assert.equal(await pair.client.all(), response);
    pair.client.say("b".repeat(100_000)).end();
    assert.equal(await pair.client.over, "closed");
    await ends(pair, "closed");
  });

  it("reads no request after one that was the last", async () => {
    const pair = await joined();
    const last = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    pair.client.say(last + get + get);
    await pair.server.hears(last);
    pair.server.say(ok).socket.end();
    assert.equal(await pair.client.all(), ok);
    await pair.server.ended();
    pair.client.end();
    await ends(pair, "closed");
  });

  it("is as long as the server keeps it open, for HTTP/1.0", async () => {
    const pair = await joined();
    pair.client.say("GET / HTTP/1.0\r\n\r\n");
    await pair.server.hears("GET / HTTP/1.0\r\n\r\n");
    pair.server.say("HTTP/1.1 103 Hints\r\n\r\nHTTP/1.0 200 OK\r\n\r\nall of it").socket.end();
    assert.equal(await pair.client.all(), "HTTP/1.0 200 OK\r\n\r\nall of it");
    pair.client.end();
    await ends(pair, "closed");
  });

  it("lets the guest end its direction before it is answered", async () => {
    const pair = await joined();
    pair.client.say(get).end();
    await pair.server.hears(get);
    await pair.server.ended();
    pair.server.say(ok).socket.end();
    assert.equal(await pair.client.all(), ok);
    await ends(pair, "closed");
  });

  for (const [name, response] of [
    ["a head", "HTTP/1.1 200 OK\r\nContent-"],
    ["a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"],
    ["a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"],
    ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
  ] as const)
    it(`is broken off when the server ends within ${name}`, async () => {
      const pair = await joined();
      pair.client.say(get);
      await pair.server.hears(get);
      pair.server.say(response).socket.end();
      assert.equal(await pair.client.over, "reset");
      await ends(pair, "reset");
    });

  it("ends when an idle server ends it, with a word about it or without", async () => {
    for (const words of ["", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"]) {
      const pair = await joined();
      pair.client.say(get);
      await pair.server.hears(get);
      pair.server.say(ok);
      await pair.client.hears(/ok$/);
      pair.server.say(words).socket.end();
      assert.equal(await pair.client.all(), ok);
      pair.client.end();
      await ends(pair, "closed");
      assert.deepEqual(pair.reasons, []);
    }
  });

  it("has as many requests on their way as there may be, and no more", async () => {
    const pair = await joined();
    pair.client.say(get.repeat(300));
    await pair.server.hears(get.repeat(128));
    assert.equal(pair.server.heard, "");
    assert.equal(pair.heads.length, 128);
    pair.server.say(ok);
    await pair.server.hears(get);
    for (let left = 171; left > 0; left--) pair.server.say(ok);
    await pair.server.hears(get.repeat(171));
    for (let left = 128; left > 0; left--) pair.server.say(ok);
    await pair.client.hears(new RegExp(`^(?:HTTP[^H]*ok){300}$`));
    pair.client.end();
    pair.server.socket.end();
    await ends(pair, "closed");
  });
});

describe("a server is broken off", () => {
  const withGet: [string, string][] = [
    ["a second response", `${ok}${ok}`],
    ["more than its length", "HTTP/1.1 204 No\r\n\r\nx"],
    ["a bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok"],
    ["a space before a colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"],
    ["a folded field", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"],
    [
      "a length and chunks",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
    ["no status", "HTTP/1.1 OK\r\n\r\n"],
    ["a status of 4 digits", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["a status of 0", "HTTP/1.1 099 OK\r\n\r\n"],
    ["HTTP/2 in text", "HTTP/2.0 200 OK\r\n\r\n"],
    ["no HTTP", "SSH-2.0-x\r\n"],
    [
      "an upgrade that nobody asked for",
      "HTTP/1.1 101 No\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    ["a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n"],
    ["a head that is too long", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(65_536)}\r\n\r\n`],
  ];
  for (const [name, words] of withGet)
    it(`for ${name}`, async () => {
      const pair = await joined();
      pair.client.say(get);
      await pair.server.hears(get);
      pair.server.say(words);
      assert.equal(await pair.client.over, "reset");
      await pair.server.over;
      await ends(pair, "blocked");
      assert.equal(pair.reasons.length, 1);
    });

  it("for a response before the request", async () => {
    const pair = await joined();
    pair.server.say(ok);
    assert.equal(await pair.client.over, "reset");
    await ends(pair, "blocked");
    assert.deepEqual([pair.client.heard, pair.reasons.length], ["", 1]);
  });
});
