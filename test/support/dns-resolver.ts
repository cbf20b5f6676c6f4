import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { decode, encode, type DecodedPacket, type Packet } from "dns-packet";
import type { DnsConfig } from "../../src/config/network/network-type.ts";
import type { NetworkPolicy, Rule } from "../../src/config/network/policy-type.ts";
import { IpAddress } from "../../src/host/ip/address.ts";
import type { ServerSources } from "../../src/network/dns/choice.ts";
import { createDnsResolver } from "../../src/network/dns/forwarder.ts";
import type { DnsResolver } from "../../src/network/dns/resolver.ts";
import type { DnsAnswered } from "../../src/network/events.ts";
import { createPolicyEngine } from "../../src/network/policy/create-engine.ts";
import type { PolicyEngine } from "../../src/network/policy/verdict.ts";
import { DnsBindings } from "../../src/network/policy/dns-bindings.ts";
import { addressRecord, type AskedOfServer, type DnsServer } from "./dns-server.ts";

export function ip(text: string): IpAddress {
  return IpAddress.parse(text) ?? assert.fail(text);
}

export function rule(
  action: Rule["action"],
  destination: Rule["destination"] | Extract<Rule["destination"], { kind: "group" }>["group"],
  more: Partial<Rule> = {},
): Rule {
  const to = typeof destination === "string" ? ({ kind: "group", group: destination } as const) : destination;
  return { direction: "egress", destination: to, protocols: [], ports: [], action, ...more };
}

export const allowDns = rule("allow", "host", {
  protocols: ["udp", "tcp"],
  ports: [{ start: 53, end: 53 }],
});

export function policyOf(defaultEgress: Rule["action"], ...rules: readonly Rule[]): NetworkPolicy {
  return { defaultEgress, defaultIngress: "allow", rules };
}

export const publicProfile = policyOf("deny", allowDns, rule("allow", "public"));

export interface TestResolverOptions {
  readonly dns?: Partial<DnsConfig>;
  readonly policy?: NetworkPolicy;
  readonly families?: readonly (4 | 6)[];
  readonly deploymentProfile?: "single-tenant" | "multi-tenant";
  readonly sources?: ServerSources;
}

const ipv4 = { guest: ip("172.16.0.2"), gateway: ip("172.16.0.1"), prefix: 30 };
const ipv6 = { guest: ip("fd42:6d73:62::2"), gateway: ip("fd42:6d73:62::1"), prefix: 64 };

/** A sandbox's resolver with a real policy, and a guest's side to ask from. */
export class TestResolver implements Disposable {
  readonly resolver: DnsResolver;
  readonly bindings = new DnsBindings();
  readonly events: DnsAnswered[] = [];
  readonly warnings: string[] = [];
  readonly #profile: "single-tenant" | "multi-tenant";
  #engine: PolicyEngine;

  constructor(options: TestResolverOptions = {}) {
    const { policy = publicProfile, families = [4, 6], deploymentProfile = "single-tenant" } = options;
    const addresses = {
      ipv4: families.includes(4) ? ipv4 : null,
      ipv6: families.includes(6) ? ipv6 : null,
    };
    this.#profile = deploymentProfile;
    this.#engine = this.#compiled(policy);
    const engine = (): PolicyEngine => this.#engine;
    const replaceable: PolicyEngine = {
      egress: (...given) => engine().egress(...given),
      ingress: (...given) => engine().ingress(...given),
      query: (...given) => engine().query(...given),
      isRebindException: (address) => engine().isRebindException(address),
      groupOf: (address) => engine().groupOf(address),
      get hasDomainRules() {
        return engine().hasDomainRules;
      },
    };
    const dns: DnsConfig = {
      nameservers: [],
      rebindProtection: true,
      queryTimeoutMs: 5000,
      maxQueriesPerMinute: null,
      maxNameLength: null,
      ...options.dns,
    };
    this.resolver = createDnsResolver(
      {
        config: { dns, deploymentProfile },
        addresses,
        policy: replaceable,
        bindings: this.bindings,
        event: (event) => this.events.push(event),
        warn: (message) => this.warnings.push(message),
      },
      options.sources,
    );
  }

  /** From now on. */
  set policy(policy: NetworkPolicy) {
    this.#engine = this.#compiled(policy);
  }

  send(
    message: Buffer,
    transport: "udp" | "tcp" = "udp",
    resolver: IpAddress = ipv4.gateway,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Buffer | null> {
    return this.resolver.answer({ message, transport, resolver }, signal);
  }

  /** Asks, and reads the answer with the library. */
  async ask(name: string, type = "A", how: AskHow = {}): Promise<Told> {
    const answer = await this.send(questionOf(name, type, how), how.transport, how.resolver, how.signal);
    assert.ok(answer !== null, `${name} ${type} is answered`);
    return told(answer);
  }

  get lastEvent(): DnsAnswered {
    return this.events.at(-1) ?? assert.fail("there is an event");
  }

  [Symbol.dispose](): void {
    this.resolver.close();
  }

  #compiled(policy: NetworkPolicy): PolicyEngine {
    const gateways = [ipv4.gateway, ipv6.gateway];
    return createPolicyEngine({
      policy,
      bindings: this.bindings,
      gateways,
      deploymentProfile: this.#profile,
    });
  }
}

export interface AskHow {
  readonly transport?: "udp" | "tcp";
  readonly resolver?: IpAddress;
  readonly signal?: AbortSignal;
  readonly udpSize?: number;
  readonly isDnssecOk?: boolean;
  readonly id?: number;
}

export function questionOf(name: string, type: string, how: AskHow = {}): Buffer {
  const opt: Packet["additionals"] =
    how.udpSize === undefined
      ? []
      : [
          {
            name: ".",
            type: "OPT",
            udpPayloadSize: how.udpSize,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: how.isDnssecOk === true ? 0x8000 : 0,
            flag_do: how.isDnssecOk === true,
            options: [],
          },
        ];
  return encode({
    type: "query",
    id: how.id ?? 4711,
    flags: 0x0100,
    questions: [{ name, type: type as "A" }],
    additionals: opt,
  });
}

export interface Told {
  readonly rcode: string;
  readonly id: number;
  readonly isTruncated: boolean;
  /** Of A and AAAA records, in order. */
  readonly addresses: readonly string[];
  readonly packet: DecodedPacket;
  readonly bytes: Buffer;
}

export function told(bytes: Buffer): Told {
  const packet = decode(bytes) as DecodedPacket & { rcode: string };
  const addresses = (packet.answers ?? []).flatMap((answer) =>
    answer.type === "A" || answer.type === "AAAA" ? [answer.data] : [],
  );
  return {
    rcode: packet.rcode,
    id: packet.id ?? -1,
    isTruncated: packet.flag_tc,
    addresses,
    packet,
    bytes,
  };
}

/** Says one address for every name. */
export function answers({ name, type, say, reply }: AskedOfServer): void {
  const address = type === "A" ? "93.184.216.34" : type === "AAAA" ? "2606:2800:220:1::1" : null;
  say(reply({ answers: address === null ? [] : [addressRecord(name, address)] }));
}

export function asking(server: DnsServer, options: TestResolverOptions = {}): TestResolver {
  return new TestResolver({
    ...options,
    dns: { nameservers: [`127.0.0.1:${server.port}`], ...options.dns },
    sources: {
      direct: () => ({ host: "127.0.0.1", port: server.port }),
      ...options.sources,
    },
  });
}

/** A port of this machine where nobody listens. */
export async function deadPort(): Promise<number> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}
