import type { Duplex } from "node:stream";
import { type Asking, Blocked, isMade } from "../../http/inspector.ts";
import { parseResponse } from "../../http1/message/heads.ts";
import { Malformed } from "../../http1/message/malformed.ts";
import { MessageReader } from "../../http1/message/message-reader.ts";
import { withClose, writeRequestHead, writeResponseHead } from "../../http1/message/write-head.ts";
import { type ConnectRequest, endOfHead, parseConnect, parseConnectReply } from "./connect-head.ts";
import { bindingsOf, type Ending, type ReadableConnection } from "../connection.ts";
import { createInspector } from "../create-inspector.ts";
import { gather } from "./gather.ts";
import { readInTunnel } from "./in-tunnel.ts";
import { takeLeave } from "../relay.ts";

/** Of a request for a tunnel. */
const mostRequestBytes = 16 * 1024;
const requestMs = 5000;
/** Of what a proxy says to it. It may have to connect first. */
const mostReplyBytes = 8 * 1024;
const replyMs = 60_000;
const nobodyAsked: Asking = { hasBody: false, whenGone: () => () => undefined };

/**
 * Reads a connection to a proxy that begins with a request for a tunnel, and what is in the tunnel.
 *
 * @param server connected, with half-open ends allowed
 * @returns settles when nothing is left of it
 * @throws what an inspector failed by
 */
export async function readTunnel(connection: ReadableConnection, server: Duplex): Promise<Ending> {
  const { guest, interception, address, port, event } = connection;
  const isBoundTo = bindingsOf(connection);
  const inspector = createInspector(
    interception,
    { kind: "connect", serverName: null, isProved: false, address, port, isBoundTo },
    event,
  );
  const giveUp = (): void => void server.destroy();
  guest.once("close", giveUp);
  try {
    const raw = await gather(guest, endOfHead, mostRequestBytes, requestMs);
    if (raw === null) throw new Malformed("no end of a CONNECT in time");
    const request = parseConnect(raw.toString("latin1"));
    const verdict = await inspector.request(request.head, nobodyAsked);
    // Nobody is asked about a tunnel but the rules.
    if (verdict.kind === "reading" || isMade(verdict.body)) throw new Blocked("a body of a CONNECT");
    if (verdict.kind === "answer") {
      const { status, fields } = verdict.head;
      const head = { status, fields: withClose(fields) };
      guest.end(
        Buffer.concat([
          writeResponseHead(head, { kind: "fixed", length: verdict.body.length }),
          verdict.body,
        ]),
      );
      return await refused(connection, server);
    }
    server.write(verdict.head === request.head ? raw : writeRequestHead(verdict.head, { kind: "none" }));
    const reply = await gather(server, endOfHead, mostReplyBytes, replyMs);
    if (reply === null) throw new Malformed("no answer to CONNECT in time");
    if (parseConnectReply(reply.toString("latin1")).isOpen) {
      guest.write(reply);
      guest.off("close", giveUp);
      return await readInTunnel(connection, server, request satisfies ConnectRequest);
    }
    await passReply(server, guest, reply);
    return await refused(connection, server);
  } catch (error) {
    if (error instanceof Malformed && !guest.destroyed) inspector.malformed(error.message);
    server.destroy();
    guest.destroy();
    if (error instanceof Malformed || error instanceof Blocked) return "reset";
    throw error;
  }
}

async function refused(connection: ReadableConnection, server: Duplex): Promise<Ending> {
  server.destroy();
  connection.linger();
  await takeLeave(connection.guest);
  return "closed";
}

/** Passes one response on, which is the last: what else the guest wants of the proxy, it asks for on a new connection. */
async function passReply(server: Duplex, guest: Duplex, head: Buffer): Promise<void> {
  const reader = new MessageReader((text) => parseResponse(text, "CONNECT"));
  const pass = (bytes: Buffer): boolean => {
    reader.push(bytes);
    for (let event = reader.next(); event !== null; event = reader.next()) {
      if (event.kind === "end") {
        guest.write(event.raw);
        return true;
      }
      if (event.kind === "head")
        guest.write(
          writeResponseHead({ ...event.head.head, fields: withClose(event.head.head.fields) }, null),
        );
      else guest.write(event.bytes);
    }
    return false;
  };
  if (pass(head)) return;
  for await (const bytes of server) if (pass(bytes as Buffer)) return;
}
