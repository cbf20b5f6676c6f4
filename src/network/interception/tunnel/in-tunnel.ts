import type { Duplex } from "node:stream";
import { isBypassed } from "../bypass.ts";
import { alerts } from "../../tls/alert.ts";
import type { ClientHelloResult } from "../../tls/client-hello-result.ts";
import { ClientHelloReader, clientHelloLimit } from "../../tls/client-hello.ts";
import type { ConnectRequest } from "./connect-head.ts";
import type { Ending, ReadableConnection } from "../connection.ts";
import { firstWords } from "./first-words.ts";
import { gather } from "./gather.ts";
import { readPlain } from "../read-plain.ts";
import { interceptTls, sayGoodbye } from "../read-tls.ts";
import { passOn } from "../relay.ts";

const helloMs = 10_000;

/**
 * Reads what goes through a tunnel that a proxy has opened, as it would be read without the proxy. A server in it that has proved its name
 * by TLS is who the guest has asked the proxy for: DNS has no say in it. Without that proof the guest's word counts for nothing, for the proxy
 * may be anybody's: whom the connection is to is then whom it was made to, the proxy.
 *
 * @param server the way to the proxy, and through it
 */
export async function readInTunnel(
  connection: ReadableConnection,
  server: Duplex,
  { host, isAddress, port }: ConnectRequest,
): Promise<Ending> {
  const { guest, interception, namesOf } = connection;
  // An address has the names that DNS has told for it.
  const names = isAddress ? namesOf(host) : [host];
  const inside: ReadableConnection = { ...connection, address: host, port };
  if (interception.tls?.interceptedPorts.includes(port) !== true) {
    const start = await firstWords(guest, server);
    if (start === "tls") return await passOn(inside, guest, server, null);
    if (start === null) {
      for (const end of [guest, server]) end.destroy();
      return "reset";
    }
    return await readPlain(inside, server);
  }
  const giveUp = (): void => void server.destroy();
  guest.once("close", giveUp);
  const hello = await readHello(guest);
  guest.off("close", giveUp);
  const refusal = refusalOf(hello, isAddress ? null : host);
  if (refusal !== null || hello?.kind !== "hello" || hello.name === null) {
    server.destroy();
    const reason = refusal ?? "no server name";
    const name = hello?.kind === "hello" ? hello.name : null;
    connection.event({
      kind: "tls-failed",
      timestampMs: Date.now(),
      address: host,
      port,
      name,
      side: "guest",
      reason,
    });
    if (hello?.kind === "hello") await sayGoodbye(connection, alerts.unrecognizedName);
    else guest.destroy();
    return "refused";
  }
  const { name } = hello;
  if (isBypassed(interception.tls.bypass, name, names)) return await passOn(inside, guest, server, null);
  return await interceptTls(inside, { ...hello, name }, () => Promise.resolve({ socket: server }), names);
}

/** Leaves all of it in the stream. @returns null: nothing whole came in time */
async function readHello(guest: Duplex): Promise<ClientHelloResult | null> {
  const state: { hello: ClientHelloResult | null } = { hello: null };
  const reader = new ClientHelloReader();
  let looked = 0;
  const all = await gather(
    guest,
    (bytes) => {
      const result = reader.push(bytes.subarray(looked));
      looked = bytes.length;
      if (result.kind === "incomplete") return null;
      state.hello = result;
      return bytes.length;
    },
    clientHelloLimit,
    helloMs,
  );
  if (all === null) return null;
  guest.unshift(all);
  return state.hello;
}

function refusalOf(hello: ClientHelloResult | null, host: string | null): string | null {
  if (hello === null) return "no ClientHello in time";
  if (hello.kind === "malformed") return hello.reason;
  if (hello.kind !== "hello") return "no TLS";
  if (hello.name === null) return "no server name";
  return host === null || hello.name === host ? null : "another name than the one of the tunnel";
}
