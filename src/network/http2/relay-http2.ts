import {
  connect,
  constants,
  performServerHandshake,
  type ClientHttp2Session,
  type ServerHttp2Session,
} from "node:http2";
import type { Duplex } from "node:stream";
import type { Inspector } from "../http/inspector.ts";
import { closeInTime } from "./close-in-time.ts";
import type { Scheme } from "./heads.ts";
import { StreamRelay } from "./stream-relay.ts";

export interface Http2Connection {
  /** Both are paused, and nobody reads them. */
  readonly guest: Duplex;
  readonly server: Duplex;
  /** That of its URLs: `https` within TLS. */
  readonly scheme: Scheme;
  readonly inspector: Inspector;
  /** What was read of them already. */
  readonly fromGuest?: Buffer;
  readonly fromServer?: Buffer;
}

/** How a connection came to its end. `error`: the inspector or we have failed. */
export interface Http2End {
  readonly kind: "closed" | "reset" | "failed";
  readonly error: unknown;
}

/** Of a head, decoded (reference: 64 KiB), and its fields. */
const mostHeadBytes = 64 * 1024;
const mostFields = 1_024;
const mostStreams = 1_024;
/** What may wait here of one body, and of all of a connection. */
const streamWindow = 1024 * 1024;
const connectionWindow = 4 * 1024 * 1024;

/**
 * Passes HTTP/2 on between a guest and a server, stream by stream, as an inspector wants it (RFC 9113). Both sides are ends of their own:
 * frames, compressed heads and windows of the one are nothing to the other. Servers may push nothing.
 *
 * @returns settles when both are over; it never rejects. Destroy either end to break off.
 */
export async function relayHttp2({
  guest,
  server,
  scheme,
  inspector,
  fromGuest,
  fromServer,
}: Http2Connection): Promise<Http2End> {
  if (fromGuest !== undefined && fromGuest.length > 0) guest.unshift(fromGuest);
  if (fromServer !== undefined && fromServer.length > 0) server.unshift(fromServer);
  // A session takes the reading of a socket over, and does not begin it.
  for (const end of [guest, server]) end.read(0);
  const limits = {
    maxHeaderListPairs: mostFields + 8,
    maxSendHeaderBlockLength: mostHeadBytes * 2,
    maxSessionInvalidFrames: 100,
    peerMaxConcurrentStreams: mostStreams,
    settings: { initialWindowSize: streamWindow, maxHeaderListSize: mostHeadBytes, enablePush: false },
  };
  let end: Http2End = { kind: "closed", error: null };
  const note = (kind: Http2End["kind"], error: unknown): void => {
    if (end.kind === "closed") end = { kind, error };
  };
  const client: ClientHttp2Session = connect("https://upstream.invalid", {
    ...limits,
    createConnection: () => server,
  });
  const { enablePush: _, ...settings } = limits.settings;
  const session: ServerHttp2Session = performServerHandshake(guest as never, {
    ...limits,
    settings: { ...settings, maxConcurrentStreams: mostStreams },
  });
  let isGuestBroken = false;
  session.on("error", () => {
    isGuestBroken = true;
  });
  for (const [one, end] of [
    [client, server],
    [session, guest],
  ] as const) {
    one.on("error", () => note("reset", null));
    one.once("remoteSettings", () => one.setLocalWindowSize(connectionWindow));
    // Nothing can be agreed on any more.
    end.on("end", () => one.destroy());
  }
  session.on("stream", (stream, headers, flags, raw: readonly string[]) => {
    new StreamRelay({
      stream,
      headers,
      raw,
      isEnded: (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0,
      server: client,
      scheme,
      inspector,
      failed: (error) => {
        note("failed", error);
        session.destroy();
        client.destroy();
      },
    }).begin();
  });
  // The guest is told, finishes what it has begun, and opens another connection for more.
  client.on("goaway", () => session.close());
  const closed = (one: ServerHttp2Session | ClientHttp2Session): Promise<void> =>
    new Promise((resolve) => one.once("close", resolve));
  await Promise.all([
    closed(session).then(() => {
      // Nobody wants to hear anything any more.
      if (isGuestBroken) server.destroy();
      closeInTime(client, server);
    }),
    closed(client).then(() => closeInTime(session, guest)),
  ]);
  guest.destroy();
  server.destroy();
  return end;
}
