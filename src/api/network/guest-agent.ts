import type { Agent, AgentOptions, ClientRequestArgs } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { GuestSocket } from "./guest-socket.ts";
import { LateSocket } from "./late-socket.ts";

/** Makes a connection to a port of the guest. The signal, if there is one, ends that. */
export type ConnectToPort = (port: number, signal?: AbortSignal) => Promise<GuestSocket>;

/**
 * An `http.Agent` whose connections go to a guest.
 *
 * @param port of every connection; null: the one of the request
 */
export function guestHttpAgent(connect: ConnectToPort, port: number | null, options: AgentOptions): Agent {
  // Only now: it is a large part of Node, of which most programs that use sandboxes use nothing.
  const http = process.getBuiltinModule("node:http");
  return new (class GuestHttpAgent extends http.Agent {
    // What is given at once counts at once for `maxSockets`.
    override createConnection({ port: asked, timeout = 0 }: ClientRequestArgs): Duplex {
      const socket = new LateSocket((signal) => connect(port ?? Number(asked ?? 80), signal));
      return socket.setTimeout(timeout);
    }
  })(options);
}

/** What undici tells of the connection that it wants. */
export interface ConnectorOptions {
  readonly hostname: string;
  readonly protocol: string;
  readonly port: string;
  readonly servername?: string | null | undefined;
}

/**
 * undici's `connect` option: how a dispatcher makes its connections. What it is given is a `Duplex`, or a `TLSSocket`: undici's types say
 * `Socket`, and its dispatchers use no more of it than every `Duplex` has.
 */
export type GuestConnector = (
  options: ConnectorOptions,
  callback: (...answer: [error: null, socket: Socket] | [error: Error, socket: null]) => void,
) => void;

/** @param port of every connection; null: the one of the request */
export function guestConnector(connect: ConnectToPort, port: number | null): GuestConnector {
  return (options, callback) => {
    const isTls = options.protocol === "https:";
    const target = port ?? Number(options.port === "" ? (isTls ? 443 : 80) : options.port);
    const socket = connect(target);
    const wanted = isTls ? socket.then((plain) => overTls(plain, options)) : socket;
    wanted.then(
      (made) => callback(null, made as Socket),
      (error: unknown) => callback(asError(error), null),
    );
  };
}

async function overTls(socket: GuestSocket, { servername, hostname }: ConnectorOptions): Promise<Duplex> {
  const { connect } = await import("node:tls");
  const secure = connect({ socket, servername: servername ?? hostname });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  secure.once("secureConnect", resolve).once("error", reject);
  await promise;
  secure.off("error", reject);
  return secure;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
