import { InvalidConfigError } from "../../../errors/index.ts";
import { built, checkList, checkWhole } from "../../checks.ts";
import type {
  Destination,
  DestinationGroup,
  PolicyAction,
  PortRange,
  Rule,
  RuleDirection,
  RuleProtocol,
} from "../policy-type.ts";
import { portRange, refuseIcmp } from "./check-policy.ts";
import { domainDestination, RuleDestinationBuilder, suffixDestination } from "./destination-builder.ts";
import { Destination as Destinations } from "./rules.ts";

/** A rule that is checked when its policy is built. */
export interface RuleDraft {
  readonly direction: RuleDirection | null;
  readonly protocols: readonly RuleProtocol[];
  readonly ports: readonly (() => PortRange)[];
  readonly action: PolicyAction;
  readonly destination: () => Destination;
}

/**
 * Says rules. What `allow…()` and `deny…()` add is about the direction, protocols and ports that were said before it in the same
 * function; without any about all of them.
 *
 * @example
 * ```ts
 * import { NetworkPolicyBuilder } from "microsandbox";
 *
 * const { rules } = new NetworkPolicyBuilder()
 *   .egress((r) => r.tcp().port(443).allowDomain("example.com").allow((d) => d.cidr("198.51.100.0/24")))
 *   .build();
 * console.log(rules.map(({ destination }) => destination.kind)); // [ 'domain', 'cidr' ]
 * ```
 */
export class RuleBuilder {
  #direction: RuleDirection | null;
  readonly #protocols = new Set<RuleProtocol>();
  readonly #ports = new Map<string, () => PortRange>();
  readonly #rules: RuleDraft[] = [];

  constructor(direction: RuleDirection | null = null) {
    this.#direction = direction;
  }

  /** What the sandbox begins. */
  egress(): this {
    return this.#towards("egress");
  }

  /** What comes to its published ports. */
  ingress(): this {
    return this.#towards("ingress");
  }

  /** Both. */
  any(): this {
    return this.#towards("any");
  }

  /** Rules that follow are about TCP, and what else was said. */
  tcp(): this {
    return this.#protocol("tcp");
  }

  /** Rules that follow are about UDP, and what else was said. */
  udp(): this {
    return this.#protocol("udp");
  }

  /** Echo requests. Of egress only. */
  icmpv4(): this {
    return this.#protocol("icmpv4");
  }

  /** Echo requests. Of egress only. */
  icmpv6(): this {
    return this.#protocol("icmpv6");
  }

  /** The port of who listens: of the other side for egress, of the guest for ingress. @throws InvalidConfigError at once */
  port(port: number): this {
    checkPort(port);
    return this.#range(port, port);
  }

  /** Both ends are in it. @throws InvalidConfigError at once for what is no port */
  portRange(low: number, high: number): this {
    checkPort(low);
    checkPort(high);
    return this.#range(low, high);
  }

  /** @throws InvalidConfigError at once */
  ports(ports: Iterable<number>): this {
    for (const port of checkList("ports", ports)) this.port(port as number);
    return this;
  }

  /** Addresses of the Internet. */
  allowPublic(): this {
    return this.#group("allow", "public");
  }

  /** Addresses of the Internet. */
  denyPublic(): this {
    return this.#group("deny", "public");
  }

  /** Addresses of private networks: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7, fec0::/10, 64:ff9b:1::/48. */
  allowPrivate(): this {
    return this.#group("allow", "private");
  }

  /** The same addresses as {@link allowPrivate}. */
  denyPrivate(): this {
    return this.#group("deny", "private");
  }

  /** 127.0.0.0/8 and ::1: the guest's own, never the host's. */
  allowLoopback(): this {
    return this.#group("allow", "loopback");
  }

  /** The same addresses as {@link allowLoopback}. */
  denyLoopback(): this {
    return this.#group("deny", "loopback");
  }

  /** 169.254.0.0/16 without what clouds have there, and fe80::/10. */
  allowLinkLocal(): this {
    return this.#group("allow", "link-local");
  }

  /** The same addresses as {@link allowLinkLocal}. */
  denyLinkLocal(): this {
    return this.#group("deny", "link-local");
  }

  /** 169.254.169.254 and fd00:ec2::254, where clouds hand out credentials. */
  allowMeta(): this {
    return this.#group("allow", "metadata");
  }

  /** The same addresses as {@link allowMeta}. */
  denyMeta(): this {
    return this.#group("deny", "metadata");
  }

  /** 224.0.0.0/4 and ff00::/8. */
  allowMulticast(): this {
    return this.#group("allow", "multicast");
  }

  /** The same addresses as {@link allowMulticast}. */
  denyMulticast(): this {
    return this.#group("deny", "multicast");
  }

  /** This computer, which the guest knows as `host.microsandbox.internal`. */
  allowHost(): this {
    return this.#group("allow", "host");
  }

  /** This computer, as {@link allowHost}. */
  denyHost(): this {
    return this.#group("deny", "host");
  }

  /** Loopback, link-local and the host, three rules. */
  allowLocal(): this {
    return this.allowLoopback().allowLinkLocal().allowHost();
  }

  /** Loopback, link-local and the host, three rules. */
  denyLocal(): this {
    return this.denyLoopback().denyLinkLocal().denyHost();
  }

  /** A name, and nothing below it. */
  allowDomain(name: string): this {
    return this.#add("allow", () => domainDestination(name));
  }

  /** A name, and nothing below it. */
  denyDomain(name: string): this {
    return this.#add("deny", () => domainDestination(name));
  }

  /** A rule for each name. */
  allowDomains(names: Iterable<string>): this {
    for (const name of checkList("allowDomains", names)) this.allowDomain(name as string);
    return this;
  }

  /** A rule for each name. */
  denyDomains(names: Iterable<string>): this {
    for (const name of checkList("denyDomains", names)) this.denyDomain(name as string);
    return this;
  }

  /** A name and all below it. */
  allowDomainSuffix(suffix: string): this {
    return this.#add("allow", () => suffixDestination(suffix));
  }

  /** A name and all below it. */
  denyDomainSuffix(suffix: string): this {
    return this.#add("deny", () => suffixDestination(suffix));
  }

  /** A rule for each suffix. */
  allowDomainSuffixes(suffixes: Iterable<string>): this {
    for (const suffix of checkList("allowDomainSuffixes", suffixes)) this.allowDomainSuffix(suffix as string);
    return this;
  }

  /** A rule for each suffix. */
  denyDomainSuffixes(suffixes: Iterable<string>): this {
    for (const suffix of checkList("denyDomainSuffixes", suffixes)) this.denyDomainSuffix(suffix as string);
    return this;
  }

  /** `allow(d => d.cidr("198.51.100.0/24"))`; a function that chooses nothing adds nothing. */
  allow(configure: (destination: RuleDestinationBuilder) => RuleDestinationBuilder): this {
    return this.#explicit("allow", configure);
  }

  /** As {@link allow}, to deny. */
  deny(configure: (destination: RuleDestinationBuilder) => RuleDestinationBuilder): this {
    return this.#explicit("deny", configure);
  }

  /** What was added, to be checked by {@link finishRule}. */
  drafts(): readonly RuleDraft[] {
    return this.#rules;
  }

  #towards(direction: RuleDirection): this {
    this.#direction = direction;
    return this;
  }

  #protocol(protocol: RuleProtocol): this {
    this.#protocols.add(protocol);
    return this;
  }

  #range(low: number, high: number): this {
    this.#ports.set(`${low}-${high}`, () => portRange("a port", low, high));
    return this;
  }

  #group(action: PolicyAction, group: DestinationGroup): this {
    return this.#add(action, () => Destinations.group(group));
  }

  #explicit(
    action: PolicyAction,
    configure: (destination: RuleDestinationBuilder) => RuleDestinationBuilder,
  ): this {
    const chosen = built(action, configure, new RuleDestinationBuilder());
    const destination = chosen.chosen();
    return destination === null ? this : this.#add(action, destination);
  }

  #add(action: PolicyAction, destination: () => Destination): this {
    this.#rules.push({
      direction: this.#direction,
      protocols: [...this.#protocols],
      ports: [...this.#ports.values()],
      action,
      destination,
    });
    return this;
  }
}

/**
 * @param index of the rule in its policy
 * @throws InvalidConfigError
 */
export function finishRule(draft: RuleDraft, index: number): Rule {
  const destination = draft.destination();
  const { direction, protocols, action } = draft;
  if (direction === null) {
    throw new InvalidConfigError(
      `rule #${index}: direction not set; call egress(), ingress() or any() first`,
      {
        hint: "Or begin it with egress(r => …), ingress(r => …) or any(r => …) of the policy's builder.",
      },
    );
  }
  const ports = draft.ports.map((make) => make());
  return refuseIcmp(`rule #${index}`, { direction, destination, protocols, ports, action });
}

function checkPort(port: number): void {
  checkWhole("a port", port, 0, 65_535);
}
