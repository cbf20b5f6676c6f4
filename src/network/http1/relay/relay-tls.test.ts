import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Agent, createServer, request, type RequestOptions, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { connect, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { type OpenInspector, openInspector } from "../../../../test/support/http1/open-inspector.ts";
import { TestAuthority } from "../../../../test/support/tls/test-authority.ts";
import { type Http1End, relayHttp1 } from "./relay-http1.ts";

const name = "a.test";
const blob = randomBytes(5_000_000);

describe("HTTP/1 in TLS on both sides", () => {
  let authority: TestAuthority;
  let server: Server;
  let keys: { cert: string; key: string };
  let ca: string;
  before(async () => {
    authority = await TestAuthority.make();
    keys = await authority.certificate(name);
    ca = await authority.pem;
    server = createServer(keys, (incoming, response) => {
      void buffer(incoming).then((body) => {
        if (incoming.url === "/stream") {
          for (let at = 0; at < blob.length; at += 100_000) response.write(blob.subarray(at, at + 100_000));
          response.end();
        } else response.end(body);
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await authority[Symbol.asyncDispose]();
  });

  /** Decrypts for the guest, encrypts for the server, and relays between. */
  async function between(
    open: OpenInspector,
    act: (port: number, over: Promise<Http1End>) => Promise<void>,
  ): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<Http1End>();
    const front = createTlsServer(
      { ...keys, allowHalfOpen: true, pauseOnConnect: true },
      (guest: TLSSocket) => {
        const { port } = server.address() as AddressInfo;
        const options = { host: "127.0.0.1", port, servername: name, ca, allowHalfOpen: true };
        const toServer = connect(
          options,
          () => void relayHttp1({ guest, server: toServer, inspector: open.inspector }).then(resolve),
        );
        toServer.pause();
      },
    );
    front.listen(0, "127.0.0.1");
    await once(front, "listening");
    await act((front.address() as AddressInfo).port, over);
    front.close();
  }

  async function ask(agent: Agent, port: number, options: RequestOptions, body: Buffer): Promise<Buffer> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ host: "127.0.0.1", port, servername: name, ca, agent, ...options }, resolve)
        .on("error", reject)
        .end(body);
    });
    return await buffer(response);
  }

  it("carries requests and megabytes on one connection, and its end", async () => {
    const open = openInspector();
    await between(open, async (port, over) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (const body of [Buffer.from("hello"), blob, Buffer.alloc(0)])
        assert.deepEqual(await ask(agent, port, { method: "POST", path: "/" }, body), body);
      assert.deepEqual(await ask(agent, port, { path: "/stream" }, Buffer.alloc(0)), blob);
      agent.destroy();
      assert.notEqual((await over).kind, "blocked");
    });
    assert.deepEqual(
      open.heads.map(({ target }) => target),
      ["/", "/", "/", "/stream"],
    );
    assert.deepEqual(open.reasons, []);
  });

  it("breaks off both when it is blocked", async () => {
    const open = openInspector();
    await between(open, async (port, over) => {
      const client = connect({ host: "127.0.0.1", port, servername: name, ca }, () =>
        client.write("GET / HTTP/1.1\nHost: a.test\n\n"),
      );
      client.on("error", () => undefined);
      let heard = 0;
      client.on("data", (bytes: Buffer) => (heard += bytes.length));
      await new Promise((resolve) => client.on("close", resolve));
      assert.equal(heard, 0);
      assert.deepEqual(await over, { kind: "blocked", error: null });
    });
    assert.equal(open.reasons.length, 1);
  });
});
