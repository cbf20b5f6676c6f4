/**
 * What reading TLS takes at least: TLS of Node itself taken off and put on again, and nothing else. Prints its port; ends with its input.
 *
 *     node relay.ts sockets|stream CERTIFICATE KEY ROOT SERVER
 *
 * `stream`: the client's end is TLS over a stream of ours, as the guest's is, and not over a socket.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect, createSecureContext, TLSSocket } from "node:tls";
import { HostStream } from "../../src/network/flows/tcp/host-stream.ts";
import { host } from "./names.ts";

const [kind = "", cert = "", key = "", root = "", server = ""] = process.argv.slice(2);
const toClients = createSecureContext({ cert: readFileSync(cert), key: readFileSync(key) });
const toServer = createSecureContext({ ca: readFileSync(root) });

async function relay(socket: Socket): Promise<void> {
  const below = kind === "stream" ? new HostStream(socket) : socket;
  const client = new TLSSocket(below, {
    isServer: true,
    secureContext: toClients,
    ALPNProtocols: ["h2", "http/1.1"],
  });
  client.on("_tlsError", () => client.destroy()).on("error", () => client.destroy());
  await once(client, "secure");
  Object.assign(client, { secureConnecting: false });
  const { alpnProtocol } = client;
  const upstream = connect({
    socket: connectTcp({ host: "127.0.0.1", port: Number(server), noDelay: true }),
    servername: host,
    secureContext: toServer,
    // What the client and this end have chosen: the server speaks both.
    ALPNProtocols: typeof alpnProtocol === "string" ? [alpnProtocol] : [],
  });
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on("error", () => undefined).once("close", () => other.destroy());
    pass(one, other);
  }
}

function pass(from: Duplex, to: Duplex): void {
  from.on("data", (bytes: Buffer) => {
    if (!to.write(bytes)) from.pause();
  });
  from.on("end", () => to.end());
  to.on("drain", () => from.resume());
}

const listening = createServer({ noDelay: true }, (socket) => {
  relay(socket).catch(() => socket.destroy());
}).listen(0, "127.0.0.1", 4096);
await once(listening, "listening");
console.log((listening.address() as AddressInfo).port);
process.stdin.resume().once("end", () => process.exit());
