import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer, request as httpRequest } from "node:http";
import type { Duplex } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { InterceptedBench } from "../../../../test/support/tls/intercepted-bench.ts";
import { guestSocket, guestTls } from "../../../../test/support/tls/intercepted-network.ts";
import type { SecretConfig } from "../../../config/network/interception/secret-type.ts";

const secret: SecretConfig = {
  envVar: "KEY",
  placeholder: "$KEY",
  hosts: ["good.test"],
  source: { kind: "stored" },
  injection: { headers: true, basicAuth: true, queryParams: false, body: false },
  requireTlsIdentity: true,
  onViolation: null,
  scrubResponses: false,
};

let bench: InterceptedBench;
before(async () => {
  bench = await InterceptedBench.make();
});
after(() => bench[Symbol.asyncDispose]());

/** All that a stream says until it has said so much. */
async function says(stream: Duplex, length: number): Promise<string> {
  let all = "";
  for (;;) {
    const bytes = stream.read() as Buffer | null;
    if (bytes !== null) all += bytes.toString("latin1");
    if (all.length >= length) return all;
    if (bytes === null) await once(stream, "readable");
  }
}

describe("connections without TLS, where requests are read", () => {
  it("bring a large body there and back as it is", async () => {
    const server = createHttpServer((request, response) => request.pipe(response));
    const port = await bench.listen(server);
    await using network = await bench.intercepting([443], {}, { secrets: [secret] });
    const body = Buffer.alloc(4 << 20, "\x00binary\xff and text\r\n\r\n");
    const request = httpRequest({
      createConnection: () => guestSocket(network.guest, port),
      method: "POST",
      path: "/",
      headers: { host: "plain.test", "content-length": body.length },
    });
    request.end(body);
    const [response] = (await once(request, "response")) as [NodeJS.ReadableStream];
    assert.ok((await buffer(response)).equals(body));
  });

  it("do not make whoever waits for the server wait", async () => {
    const port = await bench.plain((socket) => {
      socket.write("SSH-2.0-server\r\n");
      socket.pipe(socket);
    });
    await using network = await bench.intercepting([443], {}, { secrets: [secret] });
    const client = guestSocket(network.guest, port);
    assert.equal(await says(client, 16), "SSH-2.0-server\r\n");
    client.write("SSH-2.0-client\r\n");
    assert.equal(await says(client, 16), "SSH-2.0-client\r\n");
    client.resume().end();
    await once(client, "end");
    assert.equal((await network.event("flow-closed")).reason, "closed");
  });

  it("are passed on as they are when they turn out to be TLS, or when nothing is said about requests", async () => {
    const port = await bench.echo();
    await using network = await bench.intercepting([443], {}, { secrets: [secret] });
    const client = guestTls(network.guest, port, { servername: "good.test", ca: bench.hostRoot });
    client.end("through");
    assert.equal(await text(client), "through");
    const echo = await bench.plain((socket) => socket.pipe(socket));
    await using unread = await bench.intercepting([443]);
    for (const said of ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "CONN", "\x16", "C"]) {
      const other = guestSocket(unread.guest, echo);
      other.end(said);
      assert.equal(await text(other), said);
    }
  });

  it("tell the guest that nobody is there", async () => {
    const port = await bench.plain((socket) => socket.resetAndDestroy());
    await using network = await bench.intercepting([443], {}, { secrets: [secret] });
    const client = guestSocket(network.guest, port);
    await assert.rejects(once(client, "close"), { code: "ECONNRESET" });
  });
});

describe("a tunnel through a proxy", () => {
  async function open(client: Duplex, target: string, fields = ""): Promise<string> {
    client.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${fields}\r\n`);
    return await says(client, 12);
  }

  function inside(client: Duplex, servername = "good.test"): TLSSocket {
    const socket = connectTls({ socket: client, servername, ca: bench.authority.pem });
    socket.on("error", () => undefined);
    return socket;
  }

  it("to an intercepted port is intercepted, wherever the proxy leads", async () => {
    const heads: string[] = [];
    const names: unknown[] = [];
    const server = await bench.echo({}, (socket) => names.push(socket.servername));
    const port = await bench.proxy(server, heads);
    await using network = await bench.intercepting([443]);
    const client = guestSocket(network.guest, port);
    client.write("CON");
    await network.event("flow-opened");
    client.write(
      "NECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\nProxy-Authorization: Basic eDp5\r\n\r\n",
    );
    assert.match(await says(client, 12), /^HTTP\/1.1 200/);
    const tls = inside(client);
    tls.end("hello");
    assert.equal(await text(tls), "hello");
    assert.deepEqual(names, ["good.test"]);
    assert.deepEqual(heads, [
      "CONNECT good.test:443\r\nHost: good.test:443\r\nProxy-Authorization: Basic eDp5\r\n",
    ]);
  });

  it("takes the client's first words behind its request", async () => {
    const port = await bench.proxy(await bench.echo(), []);
    await using network = await bench.intercepting([443]);
    const client = guestSocket(network.guest, port);
    const [near, far] = [guestTls(network.guest, port, { servername: "good.test" }), client];
    near.destroy();
    const { duplexPair } = await import("node:stream");
    const [socket, wire] = duplexPair();
    const tls = inside(socket);
    const [hello] = (await once(wire, "data")) as [Buffer];
    far.write(Buffer.concat([Buffer.from("CONNECT good.test:443 HTTP/1.1\r\n\r\n"), hello]));
    assert.match(await says(far, 39), /^HTTP\/1.1 200 Connection established\r\n\r\n/);
    wire.on("data", (bytes) => far.write(bytes));
    far.on("data", (bytes) => wire.write(bytes));
    await once(tls, "secureConnect");
    assert.equal(tls.getPeerCertificate().issuer.CN, "microsandbox CA");
  });

  it("is for the name that it was opened for, and no other", async () => {
    const port = await bench.proxy(await bench.echo(), []);
    await using network = await bench.intercepting([443]);
    const client = guestSocket(network.guest, port);
    await open(client, "other.test:443");
    const [error] = (await once(inside(client), "error")) as [NodeJS.ErrnoException];
    assert.match(error.code ?? "", /UNRECOGNIZED_NAME/);
    const failed = await network.event("tls-failed");
    assert.deepEqual(
      [failed.side, failed.name, failed.address, failed.port, failed.reason],
      ["guest", "good.test", "other.test", 443, "another name than the one of the tunnel"],
    );
  });

  it("has nothing but TLS in it where TLS is intercepted", async () => {
    let bytes = 0;
    const echo = await bench.plain((socket) => socket.on("data", (data) => (bytes += data.length)));
    const port = await bench.proxy(echo, []);
    await using network = await bench.intercepting([443]);
    const client = guestSocket(network.guest, port);
    await open(client, "good.test:443");
    client.write("GET / HTTP/1.1\r\nHost: good.test\r\n\r\n");
    await assert.rejects(once(client, "close"), { code: "ECONNRESET" });
    assert.equal((await network.event("tls-failed")).reason, "no TLS");
    assert.equal(bytes, 0);
  });

  it("passes on what is excepted, or goes to another port", async () => {
    const port = await bench.proxy(await bench.echo(), []);
    await using network = await bench.intercepting([443], { bypass: ["good.test"] });
    for (const target of ["good.test:443", "good.test:8443", "GOOD.TEST.:443"]) {
      const client = guestSocket(network.guest, port);
      await open(client, target);
      const tls = connectTls({ socket: client, servername: "good.test", ca: bench.hostRoot });
      tls.end("as it is");
      assert.equal(await text(tls), "as it is");
    }
    const echo = await bench.proxy(await bench.plain((socket) => socket.write("220 hello\r\n")), []);
    const client = guestSocket(network.guest, echo);
    await open(client, "mail.test:25");
    assert.match(await says(client, 11), /220 hello/);
  });

  it("that the proxy refuses is an answer, and the last one", async () => {
    const port = await bench.proxy(1, [], "407 Proxy Authentication Required");
    await using network = await bench.intercepting([443]);
    const client = guestSocket(network.guest, port);
    client.write("CONNECT good.test:443 HTTP/1.1\r\n\r\n");
    assert.equal(
      await text(client),
      "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope",
    );
  });

  for (const [what, head] of Object.entries({
    "without a port": "CONNECT good.test HTTP/1.1\r\n\r\n",
    "to an address of version 6 without brackets": "CONNECT 2001:db8::1:443 HTTP/1.1\r\n\r\n",
    "with a body": "CONNECT good.test:443 HTTP/1.1\r\nContent-Length: 4\r\n\r\nevil",
    "with a line that is none": "CONNECT good.test:443 HTTP/1.1\nHost: a\r\n\r\n",
    "with more than 16 KiB": `CONNECT good.test:443 HTTP/1.1\r\nX: ${"x".repeat(17_000)}`,
  }))
    it(`${what} is broken off, and the proxy sees nothing of it`, async () => {
      let bytes = 0;
      const port = await bench.plain((socket) => socket.on("data", (data) => (bytes += data.length)));
      await using network = await bench.intercepting([443]);
      const client = guestSocket(network.guest, port);
      client.write(head);
      await assert.rejects(once(client, "close"), { code: "ECONNRESET" });
      assert.equal((await network.event("flow-closed")).reason, "reset");
      assert.equal(bytes, 0);
    });

  for (const status of ["199 Odd", "2000 Odd", "20 OK"])
    it(`that is answered with ${status} is broken off`, async () => {
      const port = await bench.plain((socket) =>
        socket.once("data", () => socket.write(`HTTP/1.1 ${status}\r\n\r\n`)),
      );
      await using network = await bench.intercepting([443]);
      const client = guestSocket(network.guest, port);
      client.write("CONNECT good.test:443 HTTP/1.1\r\n\r\n");
      await assert.rejects(text(client), { code: "ECONNRESET" });
      assert.equal((await network.event("flow-closed")).reason, "reset");
    });
});
