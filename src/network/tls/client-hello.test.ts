import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { connect, type ConnectionOptions } from "node:tls";
import {
  extension,
  helloMessage,
  inRecords,
  nameEntry,
  vector,
} from "../../../test/support/client-hello-builder.ts";
import type { ClientHelloResult } from "./client-hello-result.ts";
import { clientHelloLimit, ClientHelloReader } from "./client-hello.ts";

/** What they are, of a hello its name alone. */
function read(...pieces: readonly Uint8Array[]): ClientHelloResult | { kind: "hello"; name: string | null } {
  const result = readAll(...pieces);
  return result.kind === "hello" ? { kind: "hello", name: result.name } : result;
}

function readAll(...pieces: readonly Uint8Array[]): ClientHelloResult {
  const reader = new ClientHelloReader();
  let result: ClientHelloResult = { kind: "incomplete" };
  for (const piece of pieces) result = reader.push(piece);
  return result;
}

function byByte(bytes: Buffer): ReturnType<typeof read> {
  return read(...Array.from(bytes, (byte) => Uint8Array.of(byte)));
}

/** What Node's client sends first. */
async function helloOfNode(options: ConnectionOptions): Promise<Buffer> {
  const [near, far] = duplexPair();
  const client = connect({ socket: near, ...options });
  client.on("error", () => undefined);
  const [bytes] = (await once(far, "data")) as [Buffer];
  client.destroy();
  return bytes;
}

/** What `openssl s_client` sends first. */
async function helloOfOpenssl(options: readonly string[]): Promise<Buffer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const client = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${address.port}`, ...options], {
    stdio: "ignore",
  });
  const [socket] = (await once(server, "connection")) as [NodeJS.Socket & { destroy(): void }];
  const [bytes] = (await once(socket, "data")) as [Buffer];
  const ended = once(client, "exit");
  socket.destroy();
  server.close();
  await ended;
  return bytes;
}

const named = (name: string): Buffer => inRecords(helloMessage({ names: nameEntry(name) }));
const example = { kind: "hello", name: "www.example.com" };

for (const [title, options] of Object.entries({
  "Node's own choice": {},
  "TLS 1.2": { maxVersion: "TLSv1.2" },
  "TLS 1.3": { minVersion: "TLSv1.3" },
  "with protocols": { ALPNProtocols: ["h2", "http/1.1"] },
} satisfies Record<string, ConnectionOptions>))
  test(`a hello of Node: ${title}`, async () => {
    const hello = await helloOfNode({ servername: "WWW.Example.com", ...options });
    assert.deepEqual(read(hello), example);
    assert.deepEqual(byByte(hello), example);
    assert.deepEqual(read(await helloOfNode(options)), { kind: "hello", name: null });
  });

test("a hello with a post-quantum key, in two segments", async (context) => {
  const groups = await new Promise<string>((resolve) => {
    execFile(process.execPath, ["-p", "process.versions.openssl"], (_error, stdout) => resolve(stdout));
  });
  context.diagnostic(`OpenSSL ${groups.trim()}`);
  // Node 22 has no ML-KEM: there the key share is made as long by hand.
  const hasMlKem = !groups.startsWith("3.0");
  const hello = hasMlKem
    ? await helloOfNode({ servername: "www.example.com", ecdhCurve: "X25519MLKEM768" })
    : inRecords(
        helloMessage({
          before: [extension(51, vector(2, Buffer.alloc(1220, 9)))],
          names: nameEntry("www.example.com"),
        }),
      );
  assert.ok(hello.length > 1300, `${hello.length} bytes`);
  for (const at of [1, 5, 6, 9, 1200, hello.length - 1]) {
    assert.deepEqual(read(hello.subarray(0, at)), { kind: "incomplete" });
    assert.deepEqual(read(hello.subarray(0, at), hello.subarray(at)), example);
  }
});

test("hellos of openssl", async () => {
  assert.deepEqual(read(await helloOfOpenssl(["-servername", "www.example.com"])), example);
  assert.deepEqual(read(await helloOfOpenssl(["-servername", "www.example.com", "-tls1_2"])), example);
  assert.deepEqual(read(await helloOfOpenssl(["-noservername"])), { kind: "hello", name: null });
});

test("a hello spread over records of any size", () => {
  const message = helloMessage({ names: nameEntry("www.example.com") });
  for (const size of [1, 2, 3, 4, 5, 50, message.length - 1]) {
    assert.deepEqual(read(inRecords(message, size)), example);
    assert.deepEqual(byByte(inRecords(message, size)), example);
  }
});

test("a hello that is cut off anywhere is incomplete, and what follows it is not looked at", () => {
  const hello = named("www.example.com");
  for (let length = 0; length < hello.length; length++)
    assert.deepEqual(read(hello.subarray(0, length)), { kind: "incomplete" }, `${length} bytes`);
  assert.deepEqual(read(Buffer.concat([hello, Buffer.from("anything")])), example);
  assert.deepEqual(read(hello, named("other.example")), example);
});

test("no TLS is known by its first bytes", () => {
  for (const first of [
    ...[
      "GET / HTTP/1.1\r\n",
      "SSH-2.0-OpenSSH_9.2\r\n",
      "PRI * HTTP/2.0",
      "\x00",
      "\x80\x2e\x01\x03\x01",
      "\x19",
    ],
    ...["\x16\x02", "\x16GET", "\x13\x03\x01", "\xff"],
  ])
    assert.deepEqual(read(Buffer.from(first, "latin1")), { kind: "other" }, JSON.stringify(first));
  assert.deepEqual(read(Buffer.alloc(0)), { kind: "incomplete" });
  assert.deepEqual(read(Buffer.from([22])), { kind: "incomplete" });
});

test("names in other writings are one name", () => {
  assert.deepEqual(read(named("WWW.EXAMPLE.COM")), example);
  assert.deepEqual(read(named("www.example.com.")), example);
  assert.deepEqual(read(named("_dmarc.example.com")), { kind: "hello", name: "_dmarc.example.com" });
  assert.deepEqual(read(named("xn--bcher-kva.example")), { kind: "hello", name: "xn--bcher-kva.example" });
  assert.deepEqual(read(named("localhost")), { kind: "hello", name: "localhost" });
  assert.deepEqual(read(named("10.0.0.1")), { kind: "hello", name: "10.0.0.1" });
});

test("what is no name is refused", () => {
  const long = `${"a".repeat(63)}.`.repeat(4);
  for (const name of [
    ...[
      "",
      ".",
      "..",
      "a..b",
      ".example.com",
      "example.com..",
      "exam ple.com",
      "example.com:443",
      "snowman.☃",
    ],
    ...[
      "good.example\0.evil.example",
      "good.example\0",
      "b\xfccher.example",
      "*.example.com",
      "[::1]",
      "a/b",
    ],
    ...["a".repeat(64), long, `${long}a`, "good.example\n", "::1"],
  ])
    assert.equal(read(named(name)).kind, "malformed", JSON.stringify(name));
  assert.equal(read(named(long.slice(0, 253))).kind, "hello");
});

test("lists of names", () => {
  const hello = (names: Buffer | null) => read(inRecords(helloMessage({ names })));
  const entry = nameEntry("www.example.com");
  const otherType = nameEntry("other", 1);
  assert.deepEqual(hello(Buffer.concat([otherType, entry])), example);
  assert.deepEqual(hello(Buffer.concat([entry, otherType])), example);
  assert.deepEqual(hello(otherType), { kind: "hello", name: null });
  assert.deepEqual(hello(null), { kind: "hello", name: null });
  for (const names of [
    Buffer.concat([entry, nameEntry("www.example.org")]),
    Buffer.concat([entry, entry]),
    Buffer.alloc(0),
    entry.subarray(0, -1),
    Buffer.concat([entry, Buffer.from([0])]),
    Buffer.concat([Buffer.from([0, 0xff, 0xff]), Buffer.from("www.example.com")]),
  ])
    assert.equal(hello(names).kind, "malformed");
});

test("an extension that comes twice is refused, whichever it is", () => {
  const server = extension(0, vector(2, nameEntry("evil.example")));
  const names = nameEntry("good.example");
  const kindOf = (parts: { before?: Buffer[]; after?: Buffer[] }) =>
    read(inRecords(helloMessage({ names, ...parts }))).kind;
  assert.equal(kindOf({ before: [server] }), "malformed");
  assert.equal(kindOf({ after: [server] }), "malformed");
  assert.equal(
    kindOf({ after: [extension(0x3a3a, Buffer.alloc(1)), extension(0x3a3a, Buffer.alloc(1))] }),
    "malformed",
  );
  assert.equal(
    kindOf({ after: [extension(0x3a3a, Buffer.alloc(1)), extension(0x4a4a, Buffer.alloc(1))] }),
    "hello",
  );
});

test("the outer name of Encrypted Client Hello is what counts", () => {
  const inner = extension(0xfe0d, Buffer.concat([Buffer.from([0, 0, 1, 0, 1, 7]), Buffer.alloc(200, 3)]));
  const hello = helloMessage({ names: nameEntry("public.example"), after: [inner] });
  assert.deepEqual(read(inRecords(hello)), { kind: "hello", name: "public.example" });
});

test("lengths that lie are refused", () => {
  const message = helloMessage({ names: nameEntry("www.example.com"), sessionId: Buffer.alloc(32, 1) });
  const changed = (at: number, value: number): ReturnType<typeof read> => {
    const bytes = Buffer.from(message);
    bytes[at] = value;
    return read(inRecords(bytes));
  };
  const sessionAt = 4 + 2 + 32;
  const suitesAt = sessionAt + 1 + 32;
  const compressionAt = suitesAt + 2 + 4;
  const extensionsAt = compressionAt + 2;
  for (const [at, value] of [
    [sessionAt, 33],
    [sessionAt, 255],
    [suitesAt, 255],
    [suitesAt + 1, 0],
    [suitesAt + 1, 3],
    [compressionAt, 0],
    [extensionsAt + 1, 0],
    [extensionsAt + 1, (message[extensionsAt + 1] ?? 0) - 1],
    [extensionsAt + 1, (message[extensionsAt + 1] ?? 0) + 1],
    [extensionsAt + 5, 255],
    [4, 2],
  ] as const)
    assert.equal(changed(at, value).kind, "malformed", `${at} = ${value}`);
  const shorter = Buffer.from(message);
  shorter[3] = (shorter[3] ?? 0) - 1;
  assert.equal(read(inRecords(shorter)).kind, "malformed");
  const longer = Buffer.from(message);
  longer[3] = (longer[3] ?? 0) + 1;
  assert.equal(read(inRecords(longer)).kind, "incomplete");
  assert.equal(read(inRecords(longer), Buffer.from([22, 3, 1, 0, 1, 0])).kind, "malformed");
});

test("what is no ClientHello, and records that no client sends", () => {
  const hello = named("www.example.com");
  for (const [title, bytes] of Object.entries({
    "a ServerHello": Buffer.from([22, 3, 3, 0, 4, 2]),
    "a warning first": Buffer.concat([Buffer.from([21, 3, 1, 0, 2, 1, 90]), hello]),
    "ChangeCipherSpec first": Buffer.concat([Buffer.from([20, 3, 3, 0, 1, 1]), hello]),
    "data first": Buffer.from([23, 3]),
    "an empty record first": Buffer.concat([Buffer.from([22, 3, 1, 0, 0]), hello]),
    "an empty record within": Buffer.concat([Buffer.from([22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 0])]),
    "another record within": Buffer.from([22, 3, 1, 0, 1, 1, 21, 3]),
    "another version within": Buffer.from([22, 3, 1, 0, 1, 1, 22, 2]),
    "a record that is too long": Buffer.from([22, 3, 1, 0x40, 1]),
    "version 3.5": Buffer.from([22, 3, 5]),
  }))
    assert.equal(read(bytes).kind, "malformed", title);
});

test("a hello in more than 16 KiB is refused as soon as that is known, however it is cut", () => {
  const padding = (bytes: number) => [extension(21, Buffer.alloc(bytes))];
  const hello = (bytes: number) =>
    helloMessage({ before: padding(bytes), names: nameEntry("www.example.com") });
  const spare = clientHelloLimit - 5 - hello(0).length;
  assert.deepEqual(read(inRecords(hello(spare))), example);
  assert.equal(read(inRecords(hello(spare)), Buffer.from("more")).kind, "hello");
  assert.equal(read(inRecords(hello(spare + 1)).subarray(0, 9)).kind, "malformed");
  assert.equal(read(Buffer.from([22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff])).kind, "malformed");
  // 2,731 records of one byte are 16,386 bytes.
  const bytewise = inRecords(hello(5000), 1);
  assert.equal(read(bytewise.subarray(0, clientHelloLimit - 1)).kind, "incomplete");
  assert.equal(read(bytewise.subarray(0, clientHelloLimit)).kind, "malformed");
  assert.equal(byByte(bytewise).kind, "malformed");
});

test("bytes are copied: what is done to them afterwards changes nothing", () => {
  const hello = named("www.example.com");
  const reader = new ClientHelloReader();
  for (const byte of hello.subarray(0, -1)) {
    const piece = Uint8Array.of(byte);
    reader.push(piece);
    piece[0] = 0;
  }
  const result = reader.push(hello.subarray(-1));
  assert.equal(result.kind === "hello" ? result.name : result.kind, "www.example.com");
});

test("what a client speaks", async () => {
  const protocols = ["h2", "http/1.1"];
  const node = readAll(await helloOfNode({ servername: "www.example.com", ALPNProtocols: protocols }));
  assert.deepEqual(node, {
    kind: "hello",
    name: "www.example.com",
    protocols,
    versions: [0x304, 0x303],
    hasEncryptedHello: false,
  });
  const old = readAll(await helloOfOpenssl(["-servername", "www.example.com", "-tls1_2", "-alpn", "h2"]));
  assert.deepEqual(old, { ...node, protocols: ["h2"], versions: [0x303] });
  // As browsers grease it: random bytes, in lists and as Encrypted Client Hello (RFC 8701; RFC 9849, 6.2).
  const greased = helloMessage({
    names: nameEntry("www.example.com"),
    before: [extension(0x0a0a, Buffer.alloc(0)), extension(0xfe0d, Buffer.alloc(186, 9))],
    after: [
      extension(43, vector(1, Buffer.from([0x7a, 0x7a, 3, 4, 3, 3]))),
      extension(
        16,
        vector(2, Buffer.concat([vector(1, Buffer.from([0x8a, 0x8a])), vector(1, Buffer.from("h2"))])),
      ),
    ],
  });
  assert.deepEqual(readAll(inRecords(greased)), {
    kind: "hello",
    name: "www.example.com",
    protocols: ["\x8a\x8a", "h2"],
    versions: [0x7a7a, 0x304, 0x303],
    hasEncryptedHello: true,
  });
});

test("lists of protocols and versions that are none", () => {
  const names = nameEntry("www.example.com");
  for (const [type, data] of [
    [16, vector(2, Buffer.alloc(0))],
    [16, vector(2, vector(1, Buffer.alloc(0)))],
    [16, vector(2, Buffer.from([3, 104, 50]))],
    [16, Buffer.concat([vector(2, vector(1, Buffer.from("h2"))), Buffer.from([0])])],
    [16, Buffer.alloc(0)],
    [43, vector(1, Buffer.alloc(0))],
    [43, vector(1, Buffer.from([3]))],
    [43, Buffer.from([4, 3, 4])],
  ] as const)
    assert.equal(read(inRecords(helloMessage({ names, after: [extension(type, data)] }))).kind, "malformed");
});
