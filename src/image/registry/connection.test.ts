import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { HttpError } from "../../errors/index.ts";
import { HttpConnections, readBody, type HttpResponse } from "./http.ts";

/** What a peer does with a connection once a request has come. */
type Behaviour = (socket: Socket) => void;

class Peer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(behave: Behaviour) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.once("data", () => behave(socket));
    });
  }

  async start(): Promise<URL> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v2/`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function ask(
  behave: Behaviour,
  use: (response: HttpResponse) => Promise<unknown> = (response) => readBody(response, 1 << 20),
  silenceMs = 10_000,
): Promise<unknown> {
  await using peer = new Peer(behave);
  const url = await peer.start();
  using connections = new HttpConnections({
    caCertificates: [],
    unverifiedHost: null,
    environment: {},
    silenceMs,
  });
  return await use(await connections.send({ method: "GET", url, headers: {} }));
}

test("a peer that wants to speak something else is refused", async () => {
  const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
  await assert.rejects(
    ask((socket) => socket.write(switching)),
    (error) => {
      assert.ok(error instanceof HttpError, String(error));
      assert.match(error.message, /another protocol/);
      return true;
    },
  );
});

test("a peer that closes the connection without an answer has failed", async () => {
  for (const behave of [
    (socket: Socket) => socket.end(),
    (socket: Socket) => socket.destroy(),
    (socket: Socket) => socket.end("HTTP/1.1 200 OK\r\n"),
    (socket: Socket) => socket.end("HTTP/1.1 100 Continue\r\n\r\n"),
  ]) {
    await assert.rejects(ask(behave), HttpError);
  }
});
