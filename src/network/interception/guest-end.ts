import type { Duplex } from "node:stream";
import { type SecureContext, TLSSocket } from "node:tls";
import { endBuffer } from "./end-buffer.ts";

const handshakeMs = 30_000;

/**
 * Speaks TLS with the guest in the server's place.
 *
 * @param protocol that the server has chosen (ALPN); null: none
 * @throws what the handshake failed by: what the guest thinks of the certificate, for the most part
 */
export async function acceptGuest(
  guest: Duplex,
  secureContext: SecureContext,
  protocol: string | null,
): Promise<TLSSocket> {
  const socket = new TLSSocket(guest, {
    isServer: true,
    secureContext,
    ...endBuffer,
    ...(protocol === null ? {} : { ALPNProtocols: [protocol] }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const deadline = setTimeout(
    () => socket.destroy(new Error("the guest does not end its handshake")),
    handshakeMs,
  );
  socket.on("error", reject);
  // What fails after the handshake of a server's end is only told like this, unless a `tls.Server` has made it.
  socket.on("_tlsError", (error: Error) => socket.destroy(error));
  socket.once("close", () => reject(new Error("the guest has closed the connection in the handshake")));
  socket.once("secure", () => resolve(undefined));
  try {
    await promise;
    // `tls.Server` says so of its own; a session of HTTP/2 would wait for it.
    Object.assign(socket, { secureConnecting: false });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(deadline);
  }
}
