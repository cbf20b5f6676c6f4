import { built, checkFlag, checkList } from "../../checks.ts";
import { checkGiven } from "../interception/builders/check-given.ts";
import { checkPool } from "./link-values.ts";
import {
  joinNetworks,
  nothingAsked,
  settingsOf,
  type AskedNetwork,
  type InterfaceSettings,
  type NetworkSettings,
} from "../network-settings.ts";
import { checkPolicy } from "../policy/check-policy.ts";
import { domainDestination, suffixDestination } from "../policy/destination-builder.ts";
import { NetworkPolicyBuilder } from "../policy/policy-builder.ts";
import { Rule } from "../policy/rules.ts";
import { policyFromWire } from "../policy/wire-policy.ts";
import type { NetworkPolicy } from "../policy-type.ts";
import { checkDistinctPorts, checkPort, loopback, type PortInput } from "../ports.ts";
import { DnsBuilder } from "./dns-builder.ts";
import { InterfaceOverridesBuilder } from "./interface-builder.ts";
import { InterceptionSetters } from "./interception-setters.ts";
import type { AskedInterception } from "../interception/interception-settings.ts";
import { checkMaxConnections } from "./max-connections.ts";
import { NetworkRateLimiterBuilder } from "./rate-limiter-builder.ts";

/** How a port is published, besides where. */
export interface PortOptions {
  /** Tells the guest's server the peer's address, by a PROXY protocol header of version 2 before the first byte. */
  readonly proxyProtocol?: boolean;
}

const openInterface: InterfaceSettings = {
  mac: null,
  mtu: null,
  ipv4Address: null,
  ipv6Address: null,
  ipv4Pool: null,
  ipv6Pool: null,
};

/**
 * Says what a sandbox's network is to be. What is said in several `network()` calls of one sandbox is put together. Setters throw
 * InvalidConfigError at once, which `build()` of the sandbox's builder reports.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("network-builder-example")
 *   .image("localhost/base")
 *   .network((n) => n.denyDomains(["ads.example.com"]).dns((d) => d.queryTimeoutMs(2000)).maxConnections(64))
 *   .replace()
 *   .create();
 * console.log(sandbox.config.network?.maxConnections); // 64
 * ```
 */
export class NetworkBuilder extends InterceptionSetters {
  #asked: AskedNetwork = nothingAsked;

  /** false: the guest has no network interface. */
  enabled(enabled: boolean): this {
    return this.#add({ enabled: checkFlag("enabled", enabled) });
  }

  /** Publishes a TCP port of the guest at 127.0.0.1 of the host; host port 0 takes one that is free. */
  port(host: number, guest: number, options: PortOptions = {}): this {
    return this.portBind(loopback, host, guest, options);
  }

  /** The same for UDP. */
  portUdp(host: number, guest: number): this {
    return this.portUdpBind(loopback, host, guest);
  }

  /** Publishes a TCP port at an IP address of the host: `0.0.0.0` and `::` let other computers in. */
  portBind(bind: string, host: number, guest: number, options: PortOptions = {}): this {
    return this.#publish("port", { hostBind: bind, hostPort: host, guestPort: guest, ...options });
  }

  /** The same for UDP. */
  portUdpBind(bind: string, host: number, guest: number): this {
    return this.#publish("portUdp", { hostBind: bind, hostPort: host, guestPort: guest, protocol: "udp" });
  }

  /** What may be reached, and who may come; by default names and public addresses, and everybody. */
  policy(policy: NetworkPolicy | NetworkPolicyBuilder): this {
    const made = policy instanceof NetworkPolicyBuilder ? policy.build() : checkPolicy("policy", policy);
    return this.#add({ policy: made });
  }

  /**
   * The same as JSON, with the keys of other programs: `{"default_egress": "deny", "rules": [{"direction": "egress", "destination":
   * {"domain": "example.com"}, "action": "allow"}]}`. A default that is missing is deny.
   */
  policyJson(json: string | object): this {
    return this.#add({ policy: policyFromWire(json) });
  }

  /** As {@link policy}. */
  policyFromBuilder(builder: NetworkPolicyBuilder): this {
    return this.policy(builder);
  }

  /** Denies names, before all rules of the policy. */
  denyDomains(names: Iterable<string>): this {
    const rules = checkList("denyDomains", names).map((name) =>
      Rule.denyEgress(domainDestination(name as string)),
    );
    return this.#add({ firstRules: rules });
  }

  /** Denies names and all below them, before all rules of the policy. */
  denyDomainSuffixes(suffixes: Iterable<string>): this {
    const rules = checkList("denyDomainSuffixes", suffixes).map((suffix) =>
      Rule.denyEgress(suffixDestination(suffix as string)),
    );
    return this.#add({ firstRules: rules });
  }

  /** Allows everything and notes it, so that a policy can be suggested from what was seen: the policy decides about nothing. */
  observe(enabled = true): this {
    return this.#add({ observe: checkFlag("observe", enabled) });
  }

  /** How names are asked. */
  dns(configure: (dns: DnsBuilder) => DnsBuilder): this {
    return this.#add({ dns: built("dns", configure, new DnsBuilder()).build() });
  }

  /** The guest's addresses and MTU, where they are not to be as usual. */
  interface(configure: (link: InterfaceOverridesBuilder) => InterfaceOverridesBuilder): this {
    return this.#add({ interface: built("interface", configure, new InterfaceOverridesBuilder()).build() });
  }

  /** A range whose first /30 is the cable of guest and gateway, the same in all sandboxes; by default 172.16.0.0/12. */
  ipv4Pool(cidr: string): this {
    return this.#add({ interface: { ...openInterface, ipv4Pool: checkPool(cidr, 4) } });
  }

  /** A range whose first /64 is the cable of guest and gateway, the same in all sandboxes; by default fd42:6d73:62::/48. */
  ipv6Pool(cidr: string): this {
    return this.#add({ interface: { ...openInterface, ipv6Pool: checkPool(cidr, 6) } });
  }

  /** How many TCP connections the guest may have outside at a time, 1 to 4096; by default 256. */
  maxConnections(count: number): this {
    return this.#add({ maxConnections: checkMaxConnections(count) });
  }

  /** Limits bytes and frames of the guest's interface. */
  rateLimiter(configure: (limits: NetworkRateLimiterBuilder) => NetworkRateLimiterBuilder): this {
    return this.#add({
      rateLimiter: built("rateLimiter", configure, new NetworkRateLimiterBuilder()).build(),
    });
  }

  /** What was said so far. @throws InvalidConfigError */
  build(): NetworkSettings {
    checkGiven(this.#asked);
    checkDistinctPorts(this.#asked.ports);
    return settingsOf(this.#asked);
  }

  /** The same for {@link joinNetworks}. */
  asked(): AskedNetwork {
    return this.#asked;
  }

  protected override say(part: Partial<AskedInterception>): this {
    return this.#add(part);
  }

  #publish(name: string, port: PortInput): this {
    return this.#add({ ports: [checkPort(name, port)] });
  }

  #add(part: Partial<AskedNetwork>): this {
    this.#asked = joinNetworks(this.#asked, { ...nothingAsked, ...part });
    return this;
  }
}
