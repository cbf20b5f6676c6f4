import type { Socket } from "node:net";
import type { OutboundProxy } from "../../../config/network/network-type.ts";
import { takeReads } from "../../../host/system/shared-read-buffer.ts";
import { connect, type Dial, type DialFailure, failureOf, handshakeMs } from "../tcp/dial.ts";
import type { Handshake, HandshakeFor } from "./handshake.ts";
import { httpConnect } from "./http-connect.ts";
import { socks4 } from "./socks4.ts";
import { credentialsOf } from "../../../config/network/proxy/proxy-credentials.ts";
import { socks5 } from "./socks5.ts";

/** A proxy that does not work is told of once in so long. */
const quietMs = 60_000;

/**
 * Connects by way of a proxy. The proxy may have a name: that is the host's business, and of its addresses the first that answers is
 * taken (RFC 8305).
 *
 * @param environment of the host, where the password is
 * @throws InvalidConfigError when it is not there
 */
export function dialByProxy(
  proxy: OutboundProxy,
  environment: Readonly<Record<string, string | undefined>>,
  warn: (message: string) => void,
): Dial {
  const { host, port } = hostAndPort(proxy.address);
  const handshakeFor = handshakeOf(proxy, environment);
  let toldAt = Number.NEGATIVE_INFINITY;
  const tell = (why: string): void => {
    if (performance.now() - toldAt < quietMs) return;
    toldAt = performance.now();
    warn(`the outbound proxy ${proxy.address}: ${why}`);
  };
  return ([target], done) => {
    const handshake = target === undefined ? null : handshakeFor(target);
    if (handshake === null) {
      queueMicrotask(() => done({ failure: "unreachable" }));
      return () => undefined;
    }
    const attempt = new Attempt(connect({ host, port, family: null }), handshake, (dialed) => {
      if ("why" in dialed && dialed.why !== null) tell(dialed.why);
      done(dialed);
    });
    return () => attempt.cancel();
  };
}

type Outcome =
  | { readonly socket: Socket; readonly early: Buffer }
  | { readonly failure: DialFailure; readonly why: string | null };

/** One connection to the proxy, until it is one to the target. */
class Attempt {
  readonly #socket: Socket;
  readonly #handshake: Handshake;
  readonly #done: (outcome: Outcome) => void;
  readonly #deadline: NodeJS.Timeout;
  #received = Buffer.alloc(0);
  #isOver = false;

  constructor(socket: Socket, handshake: Handshake, done: (outcome: Outcome) => void) {
    this.#socket = socket;
    this.#handshake = handshake;
    this.#done = done;
    this.#deadline = setTimeout(() => this.#fail("timeout", "it does not answer"), handshakeMs);
    socket.on("error", (error) => this.#fail(failureOf(error), error.message));
    socket.once("end", () => this.#fail("unreachable", "it ended the connection"));
    socket.once("connect", () => {
      socket.write(handshake.opening);
      takeReads(socket, (bytes) => this.#read(bytes));
      socket.resume();
    });
  }

  cancel(): void {
    this.#isOver = true;
    clearTimeout(this.#deadline);
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#received = Buffer.concat([this.#received, bytes]);
    const step = this.#handshake.next(this.#received);
    switch (step.kind) {
      case "more":
        return;
      case "send":
        this.#received = Buffer.alloc(0);
        this.#socket.write(step.bytes);
        return;
      case "failed":
        this.#fail(step.failure, step.why);
        return;
      case "done":
        this.#isOver = true;
        clearTimeout(this.#deadline);
        this.#socket.pause();
        for (const event of ["error", "end"]) this.#socket.removeAllListeners(event);
        this.#done({ socket: this.#socket, early: this.#received.subarray(step.used) });
    }
  }

  #fail(failure: DialFailure, why: string | null): void {
    if (this.#isOver) return;
    this.cancel();
    this.#done({ failure, why });
  }
}

function handshakeOf(
  proxy: OutboundProxy,
  environment: Readonly<Record<string, string | undefined>>,
): HandshakeFor {
  if (proxy.kind === "socks4") return socks4(proxy.userId);
  const credentials = credentialsOf(proxy, environment);
  return proxy.kind === "socks5" ? socks5(credentials) : httpConnect(credentials);
}

/** `HOST:PORT`, `[v6]:PORT`; checked when it was set. */
function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, "$1"), port: Number(address.slice(at + 1)) };
}
