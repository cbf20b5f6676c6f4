import type { SecureContext, TLSSocket } from "node:tls";
import type { TlsFailed } from "../events.ts";
import type { Channel } from "../http/channel.ts";
import { spokenProtocols } from "../secrets/spoken-protocols.ts";
import { alertRecord, alerts } from "../tls/alert.ts";
import type { ClientHello } from "../tls/client-hello-result.ts";
import { bindingsOf, type Dial, type Ending, type ReadableConnection } from "./connection.ts";
import { createInspector } from "./create-inspector.ts";
import { failureOf, guestReasonOf, reasonOf } from "./failures.ts";
import { acceptGuest } from "./guest-end.ts";
import { relay, takeLeave } from "./relay.ts";
import { connectUpstream } from "./upstream.ts";

/** What can be read. */
const readable = ["h2", "http/1.1"];

/** What the guest has said. */
export type NamedHello = ClientHello & { readonly name: string };

/**
 * Reads a connection of TLS: the gateway is the server's client first, and only when that server has proved who it is the guest's server,
 * so that the guest never trusts what the host does not. Whatever fails before is told by an alert in the place of the server's first words.
 *
 * @param provedNames in the place of the address's own, where the server has proved its name: those that a tunnel was asked for
 * @returns settles when nothing is left of it
 * @throws what an inspector failed by
 */
export async function interceptTls(
  connection: ReadableConnection,
  hello: NamedHello,
  dial: Dial,
  provedNames: readonly string[] = connection.names,
): Promise<Ending> {
  const { guest, interception, address, port, event } = connection;
  const { name } = hello;
  const tell = (side: TlsFailed["side"], reason: string): void =>
    event({ kind: "tls-failed", timestampMs: Date.now(), address, port, name, side, reason });
  const fail = async (side: TlsFailed["side"], reason: string, alert: number): Promise<void> => {
    tell(side, reason);
    await sayGoodbye(connection, alert);
  };
  let context: SecureContext;
  try {
    context = await interception.leaves.contextFor(name);
  } catch (error) {
    await fail("guest", reasonOf(error), alerts.unrecognizedName);
    return "refused";
  }
  let server: TLSSocket;
  let isProved: boolean;
  try {
    const trust = await interception.trust.optionsFor(name);
    const dialed = await dial();
    if ("failure" in dialed) {
      await fail("server", dialed.failure, alerts.internalError);
      return dialed.failure;
    }
    const { socket } = dialed;
    const giveUp = (): void => void socket.destroy();
    if (guest.destroyed) giveUp();
    else guest.once("close", giveUp);
    const offered = hello.protocols.filter((protocol) => readable.includes(protocol));
    const protocols = spokenProtocols(offered, interception.secrets, name);
    ({ server, isProved } = await connectUpstream({ socket, name, port, protocols, ...trust }));
    guest.off("close", giveUp);
  } catch (error) {
    if (guest.destroyed) return "reset";
    const { reason, alert } = failureOf(error);
    await fail("server", reason, alert);
    return "refused";
  }
  const protocol = server.alpnProtocol === false ? null : server.alpnProtocol;
  let inside: TLSSocket;
  try {
    // OpenSSL's alert is the last that is written when it fails.
    connection.keepLastWords(true);
    inside = await acceptGuest(guest, context, protocol);
    connection.keepLastWords(false);
  } catch (error) {
    server.destroy();
    tell("guest", guestReasonOf(error, hello));
    connection.linger();
    await takeLeave(guest);
    return "refused";
  }
  // By TLS 1.3 a server says only now that it wants a certificate of the client.
  server.once("error", (error: NodeJS.ErrnoException) => {
    if (error.code?.startsWith("ERR_SSL_") === true) tell("server", error.code);
  });
  const channel: Channel = {
    kind: "tls",
    serverName: name,
    isProved,
    address,
    port,
    isBoundTo: bindingsOf(isProved ? { names: provedNames } : connection),
  };
  const inspector = createInspector(interception, channel, event);
  return await relay(connection, { guest: inside, server, scheme: "https", inspector, protocol });
}

/** Tells the guest that there will be no connection, and waits for it to see that. */
export async function sayGoodbye({ guest, linger }: ReadableConnection, alert: number): Promise<void> {
  if (guest.destroyed) return;
  linger();
  guest.end(alertRecord(alert));
  await takeLeave(guest);
}
