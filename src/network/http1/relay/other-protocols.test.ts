import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { duplexPair } from "node:stream";
import { describe, it, mock } from "node:test";
import { ends, joined, type Pair } from "../../../../test/support/http1/joined-ends.ts";
import { openInspector } from "../../../../test/support/http1/open-inspector.ts";
import { Blocked } from "../../http/inspector.ts";
import { http2Preface } from "../message/first-bytes.ts";
import { relayHttp1 } from "./relay-http1.ts";

const upgrade = (to: string, connection = "Upgrade"): string =>
  `GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: ${connection}\r\nUpgrade: ${to}\r\n\r\n`;
const switching = (to: string): string =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ${to}\r\n\r\n`;
const get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async function broken(pair: Pair): Promise<void> {
  assert.equal(await pair.client.over, "reset");
  await pair.server.over;
  await ends(pair, "blocked");
  assert.equal(pair.reasons.length, 1);
}

async function over(pair: Pair): Promise<void> {
  pair.client.end();
  await pair.server.ended();
  pair.server.socket.end();
  await ends(pair, "closed");
  assert.deepEqual(pair.reasons, []);
}

describe("a change of the protocol", () => {
  it("carries frames of a megabyte both ways", async () => {
    const pair = await joined();
    pair.client.say(upgrade("websocket"));
    await pair.server.hears(upgrade("websocket"));
    pair.server.say(`${switching("WebSocket")}first`);
    await pair.client.hears(/\r\n\r\nfirst$/);
    const frame = randomBytes(1 << 20);
    const text = frame.toString("latin1");
    pair.client.say(frame);
    await pair.server.hears(text);
    pair.server.say(text);
    while (pair.client.bytes < switching("").length + "WebSocketfirst".length + frame.length)
      await pair.client.hearsMore();
    assert.equal(hash(Buffer.from(pair.client.heard.slice(-frame.length), "latin1")), hash(frame));
    assert.equal(hash(Buffer.concat(pair.raw)), hash(frame));
    await over(pair);
  });

  it("is told to who looks at what is no HTTP any more, and may be refused by it", async () => {
    const asked: (string | undefined)[] = [];
    const pair = await joined({
      raw: (request) => {
        asked.push(request?.target);
        throw new Blocked("no");
      },
    });
    pair.client.say(upgrade("websocket"));
    await pair.server.hears(upgrade("websocket"));
    pair.server.say(switching("websocket"));
    assert.equal(await pair.client.over, "reset");
    await ends(pair, "blocked");
    assert.deepEqual(asked, ["/chat"]);
  });

  it("is waited for: what comes after the question is read when there is an answer", async () => {
    for (const [answer, isRaw] of [
      [switching("websocket"), true],
      [ok, false],
    ] as const) {
      const pair = await joined();
      // To one who knows the new protocol this is a frame, to others a request.
      pair.client.say(upgrade("websocket") + get);
      await pair.server.hears(upgrade("websocket"));
      assert.deepEqual([pair.heads.length, pair.raw.length, pair.server.heard], [1, 0, ""]);
      pair.server.say(answer);
      await pair.server.hears(get);
      assert.deepEqual([pair.heads.length, pair.raw.length], isRaw ? [1, 1] : [2, 0]);
      pair.client.end();
      await pair.server.ended();
      pair.server.say(ok).socket.end();
      await pair.client.hears(/ok$/);
      await ends(pair, "closed");
    }
  });

  it("to HTTP/2 or TLS is not offered to the server", async () => {
    for (const to of ["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.2", "http"]) {
      const pair = await joined();
      const asked = upgrade(to, "close-not, Upgrade, HTTP2-Settings").replace(
        "\r\n\r\n",
        "\r\nHTTP2-Settings: AAMA\r\n\r\n",
      );
      pair.client.say(asked + get);
      await pair.server.hears(`GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: close-not\r\n\r\n${get}`);
      pair.server.say(ok + ok);
      await pair.client.hears(/ok$/);
      await over(pair);
    }
  });

  it("whose name only a lenient server understands is not passed on", async () => {
    for (const to of ["\xa0h2c", "h2c\xa0", "\x85h2c", "h2c;", "websocket, \xa0h2c"]) {
      const pair = await joined();
      pair.client.say(upgrade(to));
      await broken(pair);
      assert.equal(pair.server.heard, "");
    }
  });

  for (const [name, answer] of [
    ["one that was not asked for", switching("other")],
    ["several, of which one was not", switching("websocket, h2c")],
    ["none", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n"],
  ] as const)
    it(`to ${name} is broken off`, async () => {
      const pair = await joined();
      pair.client.say(upgrade("websocket"));
      await pair.server.hears(upgrade("websocket"));
      pair.server.say(answer);
      await broken(pair);
    });

  it("before the end of the request is broken off", async () => {
    const pair = await joined();
    const asked = upgrade("websocket").replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n");
    pair.client.say(asked);
    await pair.server.hears(asked);
    pair.server.say(switching("websocket"));
    await broken(pair);
  });
});

it("a preface of HTTP/2 is left to somebody else, with all that came", async () => {
  const [client, guest] = duplexPair();
  const [server] = duplexPair();
  const { inspector } = openInspector();
  const over = relayHttp1({ guest, server, inspector, fromGuest: http2Preface.subarray(0, 5) });
  client.write(http2Preface.subarray(5, 20));
  client.write(Buffer.concat([http2Preface.subarray(20), Buffer.from("frames")]));
  const end = await over;
  assert.ok(end.kind === "http2");
  client.write("more");
  guest.unshift(end.fromGuest);
  const all: Buffer[] = [];
  for (const length of [http2Preface.length + "frames".length, "more".length])
    while (Buffer.concat(all).length < length) {
      const bytes = guest.read() as Buffer | null;
      if (bytes !== null) all.push(bytes);
      else await new Promise((resolve) => guest.once("readable", resolve));
    }
  assert.ok(
    Buffer.concat(all)
      .toString("latin1")
      .startsWith(`${http2Preface.toString("latin1")}frames`),
  );
  assert.equal(server.readableFlowing, false);
});

/** A frame with one setting (RFC 9113, 6.5). */
const settings = Buffer.from("000006040000000000000300000064", "hex");

describe("settings of HTTP/2 that a server says first", () => {
  it("are kept for whoever speaks it with the guest", async () => {
    for (const length of [1, 8, 9, settings.length]) {
      const [client, guest] = duplexPair();
      const [far, server] = duplexPair();
      const { inspector } = openInspector();
      const over = relayHttp1({ guest, server, inspector });
      for (const piece of [settings.subarray(0, 1), settings.subarray(1, length)]) {
        far.write(piece);
        while (server.readableLength > 0) await new Promise((resolve) => setImmediate(resolve));
      }
      client.write(http2Preface);
      const end = await over;
      assert.ok(end.kind === "http2");
      far.write(settings.subarray(length));
      server.unshift(end.fromServer);
      while (server.readableLength < settings.length) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(server.read(), settings);
      assert.equal(client.read(), null);
    }
  });

  it("are passed on when the guest says something else, or nothing for 5 s", async () => {
    const spoken = await joined();
    spoken.server.say(settings.toString("latin1"));
    spoken.client.say("\x16\x03\x01");
    await spoken.server.hears("\x16\x03\x01");
    while (spoken.client.bytes < settings.length) await spoken.client.hearsMore();
    await over(spoken);

    mock.timers.enable({ apis: ["setTimeout"] });
    for (const said of [settings, settings.subarray(0, 3)]) {
      const silent = await joined();
      silent.server.say(said.toString("latin1"));
      while (silent.client.bytes < said.length) {
        await new Promise((resolve) => setImmediate(resolve));
        mock.timers.tick(5000);
      }
      silent.client.say("hello\r\n");
      await silent.server.hears("hello\r\n");
      await over(silent);
    }
    mock.timers.reset();
  });

  it("are no answer to a request of HTTP/1", async () => {
    const pair = await joined();
    pair.server.say(settings.toString("latin1"));
    pair.client.say(get);
    await broken(pair);
    assert.equal(pair.server.heard + pair.client.heard, "");
  });
});

describe("what is no HTTP", () => {
  for (const [name, question, answer] of [
    ["bytes", "\x16\x03\x01\0\x05", "\x15\x03"],
    ["bytes after letters", "ABC\0\x01", "\0"],
    ["a line", "EHLO me.test\r\n", "250 ok\r\n"],
    ["a line without spaces", "*1\r\n$4\r\nPING\r\n", "+PONG\r\n"],
    ["JSON", '{"GET": "/ HTTP/1.1"}\n', "{}\n"],
    ["empty lines, and a byte", "\r\n\n\x01", "x"],
  ] as const)
    it(`passes: ${name}`, async () => {
      const pair = await joined();
      for (const byte of question) pair.client.say(byte);
      await pair.server.hears(question);
      for (const byte of answer) pair.server.say(byte);
      await pair.client.hears(new RegExp(`${answer.at(-1) === "\n" ? "\n" : ""}$`));
      // Its server is known now: there is nothing to look for.
      pair.client.say(get);
      await pair.server.hears(get);
      assert.equal(Buffer.concat(pair.raw).toString("latin1"), question + get);
      assert.equal(pair.heads.length, 0);
      await over(pair);
    });

  it("passes when the server speaks first", async () => {
    const pair = await joined();
    pair.server.say("H");
    pair.server.say("I there\r\n");
    await pair.client.hears(/^HI there\r\n$/);
    pair.client.say("SSH-2.0-x\r\n");
    await pair.server.hears("SSH-2.0-x\r\n");
    await over(pair);
  });

  it("passes when it is a word and no more comes, after 5 s or the end", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const pair = await joined();
    pair.client.say("HELLO");
    await new Promise((resolve) => setImmediate(resolve));
    while (pair.server.heard === "") {
      mock.timers.tick(5000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    mock.timers.reset();
    await pair.server.hears("HELLO");
    pair.server.say("x");
    await pair.client.hears(/x/);
    await over(pair);
    const short = await joined();
    short.client.say("HELLO").end();
    await short.server.hears("HELLO");
    await over(short);
  });

  for (const [name, words] of [
    ["letters of any size", "gEt / HTTP/1.1\r\n\r\n"],
    ["a space first", " GET / HTTP/1.1\r\n\r\n"],
    ["a tab first", "\tGET / HTTP/1.1\r\n\r\n"],
    ["a LF first", "\nGET / HTTP/1.1\r\n\r\n"],
    ["a CR first", "\rGET / HTTP/1.1\r\n\r\n"],
    ["a vertical tab first", "\x0bGET / HTTP/1.1\r\n\r\n"],
    ["an unknown method in small letters", "foo / http/1.1\r\n\r\n"],
    ["a tab after the method", "FOO\t/\tHTTP/1.1\r\n\r\n"],
    ["HTTP/0.9", "GET /\r\n"],
    ["HTTP/0.9 with spaces", "get  /\n"],
    ["a method, and a byte", "GET\0/ HTTP/1.1\r\n\r\n"],
    ["a byte after the target", "FOO /\x01 HTTP/1.1\r\n\r\n"],
    ["a long target", `FOO /${"x".repeat(9000)} HTTP/1.1\n\n`],
    ["a preface that is not quite one", "PRI * HTTP/2.0\r\n\r\nSX"],
    ["a byte first", "\0GET / HTTP/1.1\r\n\r\n"],
    ["a mark of the byte order first", "\xef\xbb\xbfGET / HTTP/1.1\r\n\r\n"],
    ["a line first", "HELLO\r\nGET / HTTP/1.1\r\n\r\n"],
    ["a line first, in another style", "HELLO\nget / http/1.0 \n\n"],
  ] as const)
    it(`is not what some server could read as a request: ${name}`, async () => {
      for (const pieces of [[words], words.split("")]) {
        const pair = await joined();
        for (const piece of pieces) pair.client.say(piece);
        await broken(pair);
        assert.doesNotMatch(pair.server.heard, /HTTP.*\n|GET \/\r?\n|get {2}\/\n/i);
      }
    });

  it("is not what a server answers in HTTP, and no server that is none is sent a request", async () => {
    const pair = await joined();
    pair.client.say("\0\x01");
    await pair.server.hears("\0\x01");
    pair.server.say("HTTP/1.1 400 Bad Request\r\n\r\n");
    await broken(pair);
    const first = await joined();
    first.server.say("220 hello\r\n");
    await first.client.hears(/220/);
    first.client.say(get);
    await broken(first);
    // Nor while somebody still thinks about the request.
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const late = await joined({
      request: () => {
        resolve();
        return Promise.withResolvers<never>().promise;
      },
    });
    late.client.say(get);
    await asked;
    late.server.say("220 hello\r\n");
    await broken(late);
  });
});

function hash(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
