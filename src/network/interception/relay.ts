import type { Duplex } from "node:stream";
import type { Inspector } from "../http/inspector.ts";
import { relayHttp1 } from "../http1/relay/relay-http1.ts";
import { relayHttp2 } from "../http2/relay-http2.ts";
import type { Ending, ReadableConnection } from "./connection.ts";
import { relayRaw } from "./raw-relay.ts";

export interface RelayOptions {
  /** What the guest says in plain; TLS of the connection's own stream, or that stream itself. */
  readonly guest: Duplex;
  readonly server: Duplex;
  /** Of URLs. */
  readonly scheme: "http" | "https";
  readonly inspector: Inspector;
  /** Of ALPN; null: they have agreed to nothing. */
  readonly protocol: string | null;
}

/**
 * Passes on what guest and server say to each other, by what they have agreed to speak, or by how the guest begins.
 *
 * @returns settles when nothing is left of the connection
 * @throws what the inspector failed by
 */
export async function relay(connection: ReadableConnection, options: RelayOptions): Promise<Ending> {
  const { guest, server, inspector, protocol, scheme } = options;
  const first = protocol === "h2" ? null : await relayHttp1({ guest, server, inspector });
  const end =
    first === null
      ? await relayHttp2({ guest, server, scheme, inspector })
      : first.kind === "http2"
        ? await relayHttp2({ ...options, fromGuest: first.fromGuest, fromServer: first.fromServer })
        : first;
  if (end.kind === "closed" || end.kind === "reset") return await afterwards(connection, end.kind);
  connection.guest.destroy();
  if ("error" in end && end.error !== null)
    throw new Error("requests could not be passed on", { cause: end.error });
  return "reset";
}

/**
 * Passes on what is no HTTP.
 *
 * @param inspector null: nobody looks at it
 * @returns settles when nothing is left of the connection
 */
export async function passOn(
  connection: ReadableConnection,
  guest: Duplex,
  server: Duplex,
  inspector: Inspector | null,
): Promise<Ending> {
  try {
    await relayRaw(guest, server, inspector);
  } catch {
    // Whoever broke it off has said why, or was the guest or the server.
    for (const end of [guest, server, connection.guest]) end.destroy();
    return "reset";
  }
  connection.linger();
  await Promise.all([takeLeave(guest), takeLeave(server)]);
  return await afterwards(connection, "closed");
}

/** Nothing is left to say: waits for the guest to have all of it. */
async function afterwards(connection: ReadableConnection, how: Ending): Promise<Ending> {
  if (how !== "closed") {
    connection.guest.destroy();
    return how;
  }
  connection.linger();
  await takeLeave(connection.guest);
  return how;
}

/** Ends a direction, and drops what comes in the other until it has ended, too. Resolves when the stream is closed, however it was. */
export async function takeLeave(stream: Duplex): Promise<void> {
  if (stream.closed) return;
  const closed = new Promise((resolve) => stream.once("close", resolve));
  if (!stream.writableEnded && !stream.destroyed) stream.end();
  stream.resume();
  await closed;
}
