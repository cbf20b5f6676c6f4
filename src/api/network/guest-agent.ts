import type { Agent, AgentOptions, ClientRequestArgs } from "node:http";
import type { Duplex } from "node:stream";
import type { GuestSocket } from "./guest-socket.ts";

/** Makes a connection to a port of the guest. */
export type ConnectToPort = (port: number) => Promise<GuestSocket>;

/**
 * An `http.Agent` whose connections go to a guest.
 *
 * @param port of every connection; null: the one of the request
 */
export function guestHttpAgent(connect: ConnectToPort, port: number | null, options: AgentOptions): Agent {
  // Only now: it is a large part of Node, of which most programs that use sandboxes use nothing.
  const http = process.getBuiltinModule("node:http");
  return new (class GuestHttpAgent extends http.Agent {
    override createConnection(
      { port: asked }: ClientRequestArgs,
      callback?: (error: Error | null, stream: Duplex) => void,
    ): Duplex | null {
      void connected(connect(port ?? Number(asked ?? 80)), callback);
      return null;
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

/** undici's `connect` option: how a dispatcher makes its connections. */
export type GuestConnector = (
  options: ConnectorOptions,
  callback: (error: Error | null, socket: Duplex | null) => void,
) => void;

/** @param port of every connection; null: the one of the request */
export function guestConnector(connect: ConnectToPort, port: number | null): GuestConnector {
  return (options, callback) => {
    const isTls = options.protocol === "https:";
    const target = port ?? Number(options.port === "" ? (isTls ? 443 : 80) : options.port);
    const socket = connect(target);
    const wanted = isTls ? socket.then((plain) => overTls(plain, options)) : socket;
    wanted.then(
      (made) => callback(null, made),
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

async function connected(
  socket: Promise<Duplex>,
  callback: ((error: Error | null, stream: Duplex) => void) | undefined,
): Promise<void> {
  try {
    callback?.(null, await socket);
  } catch (error) {
    // With an error Node looks at nothing else.
    callback?.(asError(error), undefined as unknown as Duplex);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
