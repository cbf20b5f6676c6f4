import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkRequestLine, type ParsedRequest, parseRequest } from "./heads.ts";
import { Malformed } from "./malformed.ts";
import { type MessageEvent, MessageReader } from "./message-reader.ts";

interface Seen {
  requests: string[];
  bodies: string[];
  trailers: string[];
  malformed: string | null;
}

/** What is read of these pieces; bodies with their chunks decoded. */
function read(pieces: Iterable<Buffer>): Seen {
  const reader = new MessageReader(parseRequest, { skipsEmptyLines: true, checkFirstLine: checkRequestLine });
  const seen: Seen = { requests: [], bodies: [], trailers: [], malformed: null };
  try {
    for (const piece of pieces) {
      reader.push(piece);
      for (let event = reader.next(); event !== null; event = reader.next()) note(seen, reader, event);
    }
  } catch (error) {
    assert.ok(error instanceof Malformed, String(error));
    seen.malformed = error.message;
  }
  return seen;
}

function note(seen: Seen, reader: MessageReader<ParsedRequest>, event: MessageEvent<ParsedRequest>): void {
  if (event.kind === "head") {
    seen.requests.push(`${event.head.head.method} ${event.head.head.target}`);
    seen.bodies.push("");
    reader.decodes = true;
  } else if (event.kind === "body") {
    seen.bodies.push((seen.bodies.pop() ?? "") + event.bytes.toString("latin1"));
  } else {
    seen.trailers.push(...event.trailers.map((field) => field.join("=")));
  }
}

function* bytewise(text: string): Generator<Buffer> {
  for (const byte of Buffer.from(text, "latin1")) yield Buffer.from([byte]);
}

/** In one piece and byte by byte. */
function readBothWays(text: string): Seen {
  const whole = read([Buffer.from(text, "latin1")]);
  assert.deepEqual(read(bytewise(text)), whole, JSON.stringify(text));
  return whole;
}

const get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const post = (fields: string, body: string): string =>
  `POST / HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n\r\n${body}`;

describe("requests are read", () => {
  for (const [name, text, expected] of [
    ["with nothing in them", get, { requests: ["GET /"], bodies: [""] }],
    ["one after the other", get.repeat(3), { requests: ["GET /", "GET /", "GET /"], bodies: ["", "", ""] }],
    ["after empty lines", `\r\n\r\n${get}\r\n${get}`, { requests: ["GET /", "GET /"], bodies: ["", ""] }],
    ["of HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", { requests: ["GET /"], bodies: [""] }],
    [
      "in absolute form",
      "GET http://a.test/b HTTP/1.1\r\n\r\n",
      { requests: ["GET http://a.test/b"], bodies: [""] },
    ],
    ["about the server", "OPTIONS * HTTP/1.1\r\n\r\n", { requests: ["OPTIONS *"], bodies: [""] }],
    [
      "with a body",
      post("content-LENGTH:\t5 ", "hello") + get,
      { requests: ["POST /", "GET /"], bodies: ["hello", ""] },
    ],
    [
      "with an empty body",
      post("Content-Length: 0", "") + get,
      { requests: ["POST /", "GET /"], bodies: ["", ""] },
    ],
    [
      "with chunks",
      post(
        "transfer-encoding: chunked",
        '5\r\nhello\r\n00A;x="\\"q;\r\n0123456789\r\n0\r\n\r\n'.replace("q;", 'q;"'),
      ) + get,
      { requests: ["POST /", "GET /"], bodies: ["hello0123456789", ""] },
    ],
    [
      "with an end within a chunk",
      post("Transfer-Encoding: chunked", "7\r\n0\r\n\r\nab\r\n0\r\n\r\n") + get,
      { requests: ["POST /", "GET /"], bodies: ["0\r\n\r\nab", ""] },
    ],
    [
      "with trailers",
      post("Transfer-Encoding: chunked", "1\r\na\r\n0\r\nX-Sum: 1\r\nY: \r\n\r\n") + get,
      { requests: ["POST /", "GET /"], bodies: ["a", ""], trailers: ["X-Sum=1", "Y="] },
    ],
  ] as const satisfies [string, string, Partial<Seen>][])
    it(name, () =>
      assert.deepEqual(readBothWays(text), {
        trailers: [],
        malformed: null,
        ...expected,
      }),
    );
});

describe("requests are refused", () => {
  const heads: [string, string][] = [
    ["a bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"],
    ["a bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n"],
    ["a bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n"],
    ["a bare LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a bare CR first", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a bare CR in a field", "GET / HTTP/1.1\r\nX: a\rHost: b\r\n\r\n"],
    ["CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"],
    ["a folded field", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"],
    ["a folded field first", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"],
    ["a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"],
    ["a tab before the colon", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"],
    ["no name", "GET / HTTP/1.1\r\n: a\r\n\r\n"],
    ["no colon", "GET / HTTP/1.1\r\nHost\r\n\r\n"],
    ["NUL in a field", "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n"],
    ["NUL in a name", "GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n"],
    ["NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a letter that is none in a name", "GET / HTTP/1.1\r\nH\xf6st: a\r\n\r\n"],
    ["a text line of HTTP/2", "GET / HTTP/2.0\r\nHost: a\r\n\r\n"],
    ["HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n"],
    ["HTTP/0.9", "GET /\r\n\r\n"],
    ["HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"],
    ["http in small letters", "GET / http/1.1\r\nHost: a\r\n\r\n"],
    ["a method in small letters", "get / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["two spaces after the target", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a tab", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"],
    ["a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a space first", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a target that is an authority", "GET a.test:80 HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a target of another scheme", "GET ftp://a.test/ HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["* for another method", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["CONNECT", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"],
    ["a preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a head that is too long", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(65_536)}\r\n\r\n`],
    ["a line that is too long", `GET /${"x".repeat(65_536)}`],
  ];
  const lengths = [
    "nope",
    "",
    "-1",
    "+5",
    "5,5",
    "5, 5",
    "0x5",
    "5 5",
    "05",
    "1e1",
    "5.0",
    "\xb5",
    "9999999999999999",
  ]
    .map((value): [string, string] => [`Content-Length: ${value}`, "hello"])
    .concat([
      ["Content-Length: 8\r\nContent-Length: 9", ""],
      ["Content-Length: 5\r\nContent-Length: 5", "hello"],
      ["Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"],
      ["Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"],
      ["Content_Length: 5", "hello"],
      ["Connection: close, Content-Length\r\nContent-Length: 5", "hello"],
      ["Connection: Host", ""],
      // Hypercorn and others take a byte above 127 for a blank.
      ["Connection: \xa0close", ""],
      ["Connection: a b", ""],
      ["Upgrade: \xa0h2c", ""],
      ["Upgrade: h2c\xa0", ""],
      ["Upgrade: h2c;x", ""],
      ['Upgrade: "h2c"', ""],
      ["Upgrade: websocket, h2\x85c", ""],
      ["Upgrade: HTTP/", ""],
      ["Upgrade: a/b/c", ""],
    ]);
  const codings = [
    "gzip, chunked",
    "chunked, identity",
    "chunked, chunked",
    "chunked,",
    "identity",
    "",
    "gzip",
    "xchunked",
    "chunkedx",
    "CHUNKED",
    "Chunked",
    "\tchunked",
    " chunked",
    "chunked ",
    "chunked\t",
    '"chunked"',
    "\x0bchunked",
    "chunked;q=1",
  ].map((value): [string, string] => [`Transfer-Encoding: ${value}`, "0\r\n\r\n"]);
  const other: [string, string][] = [
    ["Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"],
    ["Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"],
    ["Transfer-Encoding:\r\n chunked", "0\r\n\r\n"],
    ["Transfer-Encoding : chunked", "0\r\n\r\n"],
    ["Transfer_Encoding: chunked", "0\r\n\r\n"],
    [" Transfer-Encoding: chunked", "0\r\n\r\n"],
    ["X: x\nTransfer-Encoding: chunked", "0\r\n\r\n"],
    ["\0Transfer-Encoding: chunked", "0\r\n\r\n"],
  ];
  const chunks = [
    "0x5\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "5\rhello\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello!\r\n0\r\n\r\n",
    "5\r\nhell\r\n0\r\n\r\n",
    "\r\n",
    ";x\r\n",
    "g\r\n",
    "1ffffffff\r\n",
    "fffffffffffffffff\r\n",
    "000000005\r\nhello\r\n0\r\n\r\n",
    "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "5;\r\nhello\r\n",
    "5; a\r\nhello\r\n",
    '5;a="\r\nhello\r\n',
    "5;a=b c\r\nhello\r\n",
    "5;a\0\r\nhello\r\n",
    `5;${"a".repeat(5000)}\r\nhello\r\n`,
    `1;${"a".repeat(4000)}\r\nx\r\n`.repeat(5),
    "0\r\n\n",
    "0\r\nX: a\n\r\n",
    "0\r\n X: a\r\n\r\n",
    "0\r\nContent-Length: 5\r\n\r\n",
    "0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "0\r\nHost: b.test\r\n\r\n",
    `0\r\nX: ${"x".repeat(65_536)}`,
  ].map((body): [string, string] => ["Transfer-Encoding: chunked", body]);

  for (const [name, text] of heads)
    it(name, () => {
      const seen = readBothWays(text + get);
      assert.notEqual(seen.malformed, null);
      assert.deepEqual(seen.requests, []);
    });
  for (const [fields, body] of [...lengths, ...codings, ...other])
    it(JSON.stringify(fields), () => {
      const seen = readBothWays(post(fields, body) + get);
      assert.notEqual(seen.malformed, null);
      assert.deepEqual(seen.requests, []);
    });
  for (const [fields, body] of chunks)
    it(`chunks: ${JSON.stringify(body.slice(0, 40))}`, () => {
      const seen = readBothWays(post(fields, body) + get);
      assert.notEqual(seen.malformed, null);
      assert.deepEqual(seen.requests, ["POST /"]);
      assert.deepEqual(seen.trailers, []);
    });
  it("chunks in HTTP/1.0", () => {
    const seen = readBothWays("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert.notEqual(seen.malformed, null);
    assert.deepEqual(seen.requests, []);
  });
});
