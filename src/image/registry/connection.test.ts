import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { HttpError } from "../../errors/index.ts";
import { readBody } from "./body.ts";
import { HttpConnections, type HttpResponse } from "./http.ts";

/** Fifty times as long as the pauses of a peer that trickles: a busy host must not make them a silence. */
const silenceMs = 1000;

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

/** Writes the same again and again until the connection ends. */
function trickle(socket: Socket, text: string, everyMs: number): void {
  const timer = setInterval(() => socket.write(text), everyMs);
  socket.on("close", () => clearInterval(timer));
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

test("the head of an answer must come in time, not only without silence", async () => {
  const started = "HTTP/1.1 200 OK\r\n";
  for (const piece of ["x-more: y\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"]) {
    const behave = (socket: Socket): void => {
      if (piece.startsWith("x")) socket.write(started);
      trickle(socket, piece, 20);
    };
    await assert.rejects(ask(behave, undefined, silenceMs), (error) => {
      assert.ok(error instanceof HttpError, String(error));
      assert.match(error.message, /no answer within 1 s/);
      return true;
    });
  }
});

test("a body that trickles is given up on, and one that is slow because of its reader is not", async () => {
  const head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
  const slow = (socket: Socket): void => {
    socket.write(head);
    trickle(socket, "x", 20);
  };
  await assert.rejects(ask(slow, undefined, silenceMs), (error) => {
    assert.ok(error instanceof HttpError, String(error));
    assert.match(error.message, /bytes a second/);
    return true;
  });
  const small = (socket: Socket): void => {
    socket.end("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
  };
  const read = async (response: HttpResponse): Promise<string> => {
    let text = "";
    for await (const chunk of response.chunks()) {
      // Longer than the peer may be silent.
      await sleep(1.5 * silenceMs);
      text += chunk.toString();
    }
    return text;
  };
  assert.equal(await ask(small, read, silenceMs), "abc");
});

test("a request through a proxy that does not answer ends with its signal and with its session", async () => {
  for (const how of ["signal", "session", "time"] as const) {
    const asked = Promise.withResolvers<Socket>();
    await using proxy = new Peer((socket) => asked.resolve(socket));
    const connections = new HttpConnections({
      caCertificates: [],
      unverifiedHost: null,
      environment: { HTTPS_PROXY: (await proxy.start()).origin },
      silenceMs: how === "time" ? silenceMs : 60_000,
    });
    const stop = new AbortController();
    const url = new URL("https://registry.test/v2/");
    const sent = connections.send({ method: "GET", url, headers: {}, signal: stop.signal });
    const failed = assert.rejects(sent, how === "signal" ? /given up/ : HttpError);
    const socket = await asked.promise;
    const closed = new Promise((resolve) => socket.once("close", resolve));
    if (how === "signal") stop.abort(new Error("given up"));
    if (how === "session") connections[Symbol.dispose]();
    await failed;
    // Nothing is left that would keep the process alive.
    await closed;
    connections[Symbol.dispose]();
  }
});
