import { mutate, pick, type Random, randomBytes } from "../fuzz.ts";

/** Requests that are right, or about right: most of what is known to be read in two ways. */
export function someRequests(random: Random): Buffer {
  const messages = Array.from({ length: 1 + random(4) }, () => someRequest(random));
  const all = Buffer.from(messages.join(""), "latin1");
  return random(12) === 0 ? mutate(random, all) : all;
}

function someRequest(random: Random): string {
  /** Usually right. */
  const odd = (usual: string, others: readonly string[]): string =>
    random(120) === 0 ? pick(random, others) : usual;
  const end = (): string =>
    odd("\r\n", ["\n", "\r", "\r\r\n", "\n\n", "\r\n\r\n", " \r\n", "\r\n ", "\0\r\n"]);
  const body = someBody(random);
  const fields = [
    odd("Host: a.test", [
      "Host : a.test",
      "Host: a.test\r\nHost: b.test",
      " Host: a.test",
      "X: y",
      "HOST:a.test",
    ]),
    ...body.fields,
  ];
  for (let more = random(4); more > 0; more--)
    fields.splice(
      random(fields.length + 1),
      0,
      pick(random, [
        "X-A: 1",
        "Accept:*/*",
        "x-b:\t two  words \t",
        "X-C: \xe9",
        "X_D: ",
        "Connection: keep-alive",
        odd("X-E: e", [
          "Connection: close",
          "Connection: Transfer-Encoding",
          "Upgrade: h2c\r\nConnection: Upgrade",
          "Expect: 100-continue",
          "X-F: a\0",
          "X-G: a\r\n folded",
          "X-H: a\x7f",
          "X-I",
          ": x",
          "Content_Length: 3",
          "TE: trailers",
        ]),
      ]),
    );
  const method = odd(body.text === "" ? pick(random, ["GET", "HEAD", "DELETE"]) : "POST", [
    "get",
    "FOO",
    "CONNECT",
    "OPTIONS",
    "PRI",
    "GE T",
    "G\0T",
  ]);
  const target = odd(pick(random, ["/", "/a?b=c", "/%00", "/a//..;/b"]), [
    "*",
    "http://a.test/x",
    "a.test:443",
    "",
    "/a b",
    "/\xe9",
    "//b.test/",
    "/\t",
    "http://",
  ]);
  const version = odd("HTTP/1.1", [
    "HTTP/1.0",
    "HTTP/2.0",
    "http/1.1",
    "HTTP/1.2",
    "HTTP/1.1 ",
    "HTTP/0.9",
    "HTTP/01.1",
  ]);
  const first = odd("", ["\r\n", "\r\n\r\n", "\n", "\r", " ", "\t"]);
  const line = `${first}${method}${odd(" ", ["  ", "\t", ""])}${target}${odd(" ", ["  ", "\t", ""])}${version}`;
  return `${[line, ...fields].map((text) => text + end()).join("")}\r\n${body.text}`;
}

function someBody(random: Random): { readonly fields: string[]; readonly text: string } {
  const odd = (usual: string, others: readonly string[]): string =>
    random(50) === 0 ? pick(random, others) : usual;
  const inner = pick(random, [
    "hello",
    "x",
    "GET /inner HTTP/1.1\r\nHost: b.test\r\n\r\n",
    "0\r\n\r\nGET /inner HTTP/1.1\r\nHost: b.test\r\n\r\n",
    randomBytes(random, 1 + random(40)).toString("latin1"),
  ]);
  const kind = random(3);
  if (kind === 0) return { fields: [], text: "" };
  if (kind === 1) {
    const length = odd(String(inner.length), [
      "+5",
      "0x5",
      "5, 5",
      "-1",
      "",
      "05",
      "5 ",
      "1e1",
      "0",
      String(inner.length + 3),
    ]);
    const name = odd("Content-Length", [
      "content-length",
      "Content-Length ",
      "Content-length",
      "Content_Length",
    ]);
    const more = odd("", [
      `\r\n${name}: ${length}`,
      "\r\nContent-Length: 7",
      "\r\nTransfer-Encoding: chunked",
      "\r\nTransfer-Encoding: identity",
    ]);
    return { fields: [`${name}: ${length}${more}`], text: inner };
  }
  const coding = odd("chunked", [
    "Chunked",
    "\tchunked",
    "chunked ",
    "identity",
    "gzip, chunked",
    "chunked, identity",
    "chunked\x0b",
    "",
  ]);
  const name = odd("Transfer-Encoding", [
    "transfer-encoding",
    "Transfer-Encoding ",
    "Transfer_Encoding",
    "X\r\n Transfer-Encoding",
  ]);
  const more = odd("", [
    "\r\nTransfer-Encoding: identity",
    "\r\nTransfer-Encoding: chunked",
    "\r\nContent-Length: 5",
  ]);
  let text = "";
  for (let at = 0; at < inner.length;) {
    const size = 1 + random(inner.length - at);
    const extension = odd("", [
      ";a",
      ";a=b",
      ';a="b;c"',
      ";",
      ";a=",
      "; a",
      " ",
      ";a\n",
      ";a\r",
      ';a="\r\n',
      ";\xe9",
    ]);
    const digits = odd(size.toString(16), [
      `0x${size.toString(16)}`,
      `+${size}`,
      `00${size.toString(16)}`,
      `-${size}`,
      ` ${size}`,
      "f".repeat(9),
      "",
      "g",
    ]);
    text += `${digits}${extension}${odd("\r\n", ["\n", "\r", "\r\r\n"])}${inner.slice(at, at + size)}${odd("\r\n", ["\n", "", "\r\n\r\n", "x\r\n"])}`;
    at += size;
  }
  const trailers = odd("", [
    "X-Sum: 1\r\n",
    "Content-Length: 5\r\n",
    "Host: b.test\r\n",
    " x\r\n",
    "X: y\n",
    "Transfer-Encoding: chunked\r\n",
  ]);
  const last = odd("0", ["00", "0;a=b", "-0", "0x0", "0 ", "+0"]);
  return {
    fields: [`${name}: ${coding}${more}`],
    text: `${text}${last}\r\n${trailers}${odd("\r\n", ["\n", "\r", ""])}`,
  };
}
