import type { Duplex } from "node:stream";
import { connect, type SecureContext, type TLSSocket } from "node:tls";
import { endBuffer } from "./end-buffer.ts";
import { saysRevoked } from "./stapled-status.ts";
import { UpstreamSessions } from "./upstream-sessions.ts";

/** Of a handshake, from the first byte on, in ms. */
const handshakeMs = 30_000;
const sessions = new UpstreamSessions();

export interface UpstreamOptions {
  readonly socket: Duplex;
  /** The server's name, in lower case. */
  readonly name: string;
  readonly port: number;
  /** That may be chosen from (ALPN); empty: nothing is said of them. */
  readonly protocols: readonly string[];
  readonly secureContext: SecureContext;
  /** Whether it has to prove that it is `name`. */
  readonly verify: boolean;
}

export interface Upstream {
  readonly server: TLSSocket;
  /** Whether it has proved that it is `name`, asked to or not, and does not say itself that its certificate was revoked. */
  readonly isProved: boolean;
}

/**
 * Speaks TLS with a server in the guest's place. The socket is closed with what is returned, and when it throws.
 *
 * @throws what the handshake failed by
 */
export async function connectUpstream(options: UpstreamOptions): Promise<Upstream> {
  const { socket, name, port, protocols, secureContext, verify } = options;
  const key = `${name} ${port}`;
  // Who is not asked to prove anything would seem to have proved it, once a session is used again.
  const session = verify ? sessions.take(secureContext, key) : undefined;
  const server = connect({
    socket,
    servername: name,
    secureContext,
    ...endBuffer,
    rejectUnauthorized: verify,
    requestOCSP: true,
    ...(protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] }),
    ...(session === undefined ? {} : { session }),
  });
  let stapled: Buffer | null = null;
  let isRevoked = false;
  server.once("OCSPResponse", (response: Buffer | null) => {
    stapled = response;
  });
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const deadline = setTimeout(() => server.destroy(timeout()), handshakeMs);
  server.on("error", reject);
  server.once("close", () => reject(closed()));
  server.once("secureConnect", () => {
    isRevoked = stapled !== null && saysRevoked(stapled, server.getPeerCertificate().serialNumber);
    if (isRevoked && verify) reject(revoked());
    else resolve(undefined);
  });
  // Of TLS 1.3, sessions come after the handshake.
  if (verify)
    server.on("session", (fresh: Buffer) => {
      if (!isRevoked) sessions.keep(secureContext, key, fresh);
    });
  try {
    await promise;
    return { server, isProved: server.authorized && !isRevoked };
  } catch (error) {
    server.destroy();
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(deadline);
  }
}

function revoked(): NodeJS.ErrnoException {
  return Object.assign(new Error("the server says that its certificate was revoked"), {
    code: "CERT_REVOKED",
  });
}

function timeout(): NodeJS.ErrnoException {
  return Object.assign(new Error("the server does not end its handshake"), { code: "ETIMEDOUT" });
}

function closed(): NodeJS.ErrnoException {
  return Object.assign(new Error("the server has closed the connection in the handshake"), {
    code: "ECONNRESET",
  });
}
