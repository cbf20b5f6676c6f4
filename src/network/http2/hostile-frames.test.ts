import assert from "node:assert/strict";
import { constants, type IncomingHttpHeaders } from "node:http2";
import { connect as connectTcp } from "node:net";
import { test } from "node:test";
import { block, frame, good, headersOver, preface } from "../../../test/support/http2/frames.ts";
import { received, setup } from "../../../test/support/http2/relayed.ts";
import { Blocked } from "../http/inspector.ts";

function head(method: string, scheme: string, path: string): Buffer {
  return block([
    [":method", method],
    [":scheme", scheme],
    [":path", path],
    [":authority", "a.b"],
  ]);
}

const hostile: readonly (readonly [what: string, bytes: Buffer])[] = [
  ["DATA first", frame(0, 1, 1, Buffer.from("x"))],
  ["a pushed stream", frame(5, 4, 1, Buffer.concat([Buffer.from([0, 0, 0, 2]), block(good)]))],
  ["two paths", frame(1, 5, 1, block([...good, [":path", "/other"]]))],
  ["two authorities", frame(1, 5, 1, block([...good, [":authority", "evil.com"]]))],
  [
    "a pseudo-header after a field",
    frame(1, 5, 1, block([good[0] ?? ["", ""], ["x", "y"], ...good.slice(1)])),
  ],
  ["an unknown pseudo-header", frame(1, 5, 1, block([...good, [":evil", "x"]]))],
  [
    "CR and LF in a path",
    frame(1, 5, 1, block([...good.slice(0, 2), [":path", "/ HTTP/1.1\r\nx: y"], good[3] ?? ["", ""]])),
  ],
  ["upper case in a name", frame(1, 5, 1, block([...good, ["X-Evil", "1"]]))],
  ["Transfer-Encoding", frame(1, 5, 1, block([...good, ["transfer-encoding", "chunked"]]))],
  ["Connection", frame(1, 5, 1, block([...good, ["connection", "x"]]))],
  [
    "CONNECT",
    frame(
      1,
      5,
      1,
      block([
        [":method", "CONNECT"],
        [":authority", "a.b:443"],
      ]),
    ),
  ],
  [
    "extended CONNECT",
    frame(1, 5, 1, block([[":method", "CONNECT"], [":protocol", "websocket"], ...good.slice(1)])),
  ],
  ["no path", frame(1, 5, 1, block([good[0] ?? ["", ""], good[1] ?? ["", ""], good[3] ?? ["", ""]]))],
  ["a head of 70 KiB", Buffer.concat(headersOver(70 * 1024))],
  ...(
    [
      ["a URL in the path, of a scheme that nobody checks", "GET", "x", "https://evil.com/"],
      ["a path that is none, of a scheme that nobody checks", "GET", "x", "evil"],
      ["another scheme than the connection's", "GET", "https", "/"],
      ["a scheme in capital letters", "GET", "HTTP", "/"],
      ["a scheme that is a URL", "GET", "http://evil.com/", "/"],
      ["a URL in the path", "GET", "http", "http://evil.com/"],
      ["a path that does not begin", "GET", "http", "evil"],
      ["a space in a path", "GET", "x", "/a b"],
      ["* for another method", "GET", "http", "*"],
      ["a method in small letters", "get", "http", "/"],
      ["connect in small letters", "connect", "http", "/"],
      ["a method that is none", "GET /evil", "http", "/"],
    ] as const
  ).map(([what, method, scheme, path]): [string, Buffer] => [
    what,
    frame(1, 5, 1, head(method, scheme, path)),
  ]),
  [
    "a name that could be Transfer-Encoding",
    frame(1, 5, 1, block([...good, ["transfer_encoding", "chunked"]])),
  ],
  ["a name that could be Content-Length", frame(1, 5, 1, block([...good, ["content_length", "5"]]))],
  ["a stream of the server's number", frame(1, 5, 2, block(good))],
  ["a frame that is too long", frame(0, 0, 1, Buffer.alloc(20_000))],
  ["garbage", Buffer.from("\0\0\0garbage garbage garbage")],
];

for (const [what, bytes] of hostile) {
  test(`a server never sees: ${what}`, async (t) => {
    const seen: string[] = [];
    const { client, port, ends } = await setup(t, (stream, headers) => {
      seen.push(String(headers[":path"]));
      stream.respond({ ":status": 200 });
      stream.end();
    });
    const socket = connectTcp({ port, host: "127.0.0.1" });
    socket.on("error", () => undefined);
    socket.resume();
    socket.write(
      Buffer.concat([
        preface,
        bytes,
        frame(1, 5, 3, block([...good.slice(0, 2), [":path", "/after"], good[3] ?? ["", ""]])),
      ]),
    );
    // Either the stream is refused, and the next one is answered, or the connection is.
    const answered = new Promise<void>((resolve) => {
      socket.on("close", () => resolve());
      socket.on("data", () => {
        if (seen.includes("/after")) resolve();
      });
    });
    await answered;
    socket.destroy();
    client.destroy();
    await Promise.all(ends);
    assert.deepEqual(
      seen.filter((path) => path !== "/after"),
      [],
    );
  });
}

test("a field that is none is left out of its head", async (t) => {
  const seen = Promise.withResolvers<IncomingHttpHeaders>();
  const { client, port } = await setup(t, (stream, headers) => {
    seen.resolve(headers);
    stream.respond({ ":status": 200 });
    stream.end();
  });
  client.destroy();
  const socket = connectTcp({ port, host: "127.0.0.1" });
  socket.write(Buffer.concat([preface, frame(1, 5, 1, block([...good, ["x", "a\r\nHost: evil.com"]]))]));
  const headers = await seen.promise;
  socket.destroy();
  assert.equal(headers["x"], undefined);
  assert.equal(headers["host"], undefined);
});

for (const name of ["host", "content-length", "content_length", "transfer_encoding"]) {
  test(`what says something else of the message after it is refused: ${name}`, async (t) => {
    const reasons: string[] = [];
    let ended = false;
    const { client, ends } = await setup(
      t,
      (stream) => {
        stream.resume();
        stream.on("end", () => {
          ended ||= !stream.destroyed;
        });
      },
      {
        malformed: (reason) => {
          reasons.push(reason);
          return new Blocked(reason);
        },
      },
    );
    const stream = client.request({ ":method": "POST", ":path": "/" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ [name]: "5" }));
    stream.end("hello");
    assert.equal((await received(stream)).code, constants.NGHTTP2_CANCEL);
    assert.equal(reasons.length, 1);
    client.destroy();
    await Promise.all(ends);
    assert.equal(ended, false);
  });
}
