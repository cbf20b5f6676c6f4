import { dnsPort } from "../../config/network/nameserver.ts";
import type { IpAddress } from "../../host/ip/address.ts";
import type { Query } from "./message/query.ts";
import type { DnsQuestion, DnsResolverOptions } from "./resolver.ts";
import { ConfiguredServers, type LookUp } from "./upstream/configured-servers.ts";
import { HostResolvers } from "./upstream/host-resolvers.ts";
import type { Server } from "./upstream/server.ts";

/** What a question's servers are taken from. All of it has a default. */
export interface ServerSources {
  readonly hostResolvers?: Pick<HostResolvers, "for">;
  readonly lookUp?: LookUp;
  /** How to get to a resolver that the guest has chosen itself. */
  readonly direct?: (resolver: IpAddress) => Server;
}

export type Choice =
  | { readonly kind: "servers"; readonly servers: readonly Server[] }
  | { readonly kind: "denied"; readonly rule: number | null };

/** Decides which servers a question goes to. */
export class ServerChoice {
  readonly #policy: DnsResolverOptions["policy"];
  readonly #gateways: readonly IpAddress[];
  readonly #configured: ConfiguredServers | null;
  readonly #host: Pick<HostResolvers, "for">;
  readonly #direct: (resolver: IpAddress) => Server;

  constructor({ config, addresses, policy, warn }: DnsResolverOptions, sources: ServerSources = {}) {
    this.#policy = policy;
    this.#gateways = [addresses.ipv4?.gateway, addresses.ipv6?.gateway].filter((own) => own !== undefined);
    // A tenant of a platform does not choose whom its host asks.
    const nameservers = config.deploymentProfile === "multi-tenant" ? [] : config.dns.nameservers;
    this.#configured =
      nameservers.length === 0 ? null : new ConfiguredServers(nameservers, warn, sources.lookUp);
    this.#host = sources.hostResolvers ?? new HostResolvers();
    this.#direct = sources.direct ?? ((resolver) => ({ host: resolver.toString(), port: dnsPort }));
  }

  /** Whether it is the gateway that the guest has asked. */
  isGateway(resolver: IpAddress): boolean {
    return this.#gateways.some((own) => own.equals(resolver.unmapped()));
  }

  /** The servers of the settings or else the host's, when the gateway was asked; the one that was asked, when the policy allows it. */
  async of({ name }: Query, { resolver: asked, transport }: DnsQuestion): Promise<Choice> {
    if (this.isGateway(asked)) {
      const servers = await (this.#configured?.current() ?? this.#host.for(name.text));
      return { kind: "servers", servers };
    }
    const address = asked.unmapped();
    if (this.#isNobody(address)) return { kind: "denied", rule: null };
    const flow = { protocol: transport, address, port: dnsPort };
    const { action, rule } = this.#policy.egress(flow, { kind: "bindings" });
    if (action !== "allow") return { kind: "denied", rule };
    return { kind: "servers", servers: [this.#direct(address)] };
  }

  /** From the host these would lead to the host itself, or to all of its neighbours, whatever the policy says of others. */
  #isNobody(address: IpAddress): boolean {
    const group = this.#policy.groupOf(address);
    return (
      group === null ||
      group === "loopback" ||
      group === "multicast" ||
      address.toString() === "255.255.255.255"
    );
  }
}
