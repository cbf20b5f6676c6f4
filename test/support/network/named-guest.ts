import { encode, type Answer } from "dns-packet";
import type { NetworkConfig } from "../../../src/config/network/network-type.ts";
import { DnsServer } from "../dns-server.ts";
import { networkConfig, type TestNetwork } from "./guest-peer.ts";

/** A resolver for which every name stands for the gateway of the test networks, that is for the host, until it is told otherwise. */
export class GatewayNames implements AsyncDisposable {
  /** What the next questions are answered with; by default the gateway's address, for 5 minutes. */
  answers: (name: string) => Answer[] = (name) => [{ type: "A", name, ttl: 300, data: "172.16.0.1" }];
  readonly #server: DnsServer;

  private constructor(server: DnsServer) {
    this.#server = server;
  }

  static async start(): Promise<GatewayNames> {
    const names: GatewayNames = new GatewayNames(
      await DnsServer.start(({ name, say, reply }) => say(reply({ answers: names.answers(name) }))),
    );
    return names;
  }

  /** A network that asks it. */
  get config(): Pick<NetworkConfig, "dns"> {
    const nameservers = [`127.0.0.1:${this.#server.port}`];
    return { dns: { ...networkConfig().dns, nameservers, rebindProtection: false } };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }
}

/** The guest asks for names, and has their answers. */
export async function askNames(network: TestNetwork, ...names: string[]): Promise<void> {
  for (const name of names) {
    const before = new Set<unknown>(network.events);
    const message = encode({ type: "query", id: 1, flags: 256, questions: [{ type: "A", name }] });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    const question = network.guest.connect(53);
    await question.write(Buffer.concat([length, message]));
    await network.event("dns", (event) => event.name === name && !before.has(event));
    question.connection?.reset();
  }
}
