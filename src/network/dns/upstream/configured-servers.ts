import { parseNameserver, type Nameserver } from "../../../config/network/nameserver.ts";
import type { Server } from "./server.ts";

/** After so long names of which none was found are looked up again, ms. */
const retryMs = 10_000;

/** Finds the address of a name with the host's own resolver. @throws when there is none */
export type LookUp = (host: string) => Promise<string>;

/** The servers of the settings. Those that are names are looked up once, the first address counts, and are left out when there is none. */
export class ConfiguredServers {
  readonly #nameservers: readonly Nameserver[];
  readonly #lookUp: LookUp;
  readonly #warn: (message: string) => void;
  #servers: Promise<readonly Server[]>;
  #again = Infinity;
  readonly #warned = new Set<string>();

  /** @param texts that {@link parseNameserver} can read */
  constructor(texts: readonly string[], warn: (message: string) => void, lookUp: LookUp = lookUpOnHost) {
    this.#nameservers = texts.map(parseNameserver);
    this.#lookUp = lookUp;
    this.#warn = warn;
    this.#servers = this.#find();
  }

  /** @returns none when no name of them could be found */
  current(): Promise<readonly Server[]> {
    if (performance.now() >= this.#again) this.#servers = this.#find();
    return this.#servers;
  }

  async #find(): Promise<readonly Server[]> {
    this.#again = Infinity;
    const found = await Promise.all(this.#nameservers.map((nameserver) => this.#findOne(nameserver)));
    const servers = found.filter((server) => server !== null);
    if (servers.length === 0) this.#again = performance.now() + retryMs;
    return servers;
  }

  async #findOne({ host, isAddress, port }: Nameserver): Promise<Server | null> {
    if (isAddress) return { host, port };
    try {
      return { host: await this.#lookUp(host), port };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#warned.has(host)) this.#warn(`the nameserver ${host} is left out: ${reason}`);
      this.#warned.add(host);
      return null;
    }
  }
}

async function lookUpOnHost(host: string): Promise<string> {
  const { lookup } = await import("node:dns/promises");
  return (await lookup(host)).address;
}
