import { InvalidConfigError } from "../../../errors/index.ts";
import { IpAddress } from "../../../host/ip/address.ts";
import { Cidr } from "../../../host/ip/cidr.ts";
import { shown } from "../../checks.ts";
import { isOneLabel } from "./domain-name.ts";
import type { Destination, DestinationGroup } from "../policy-type.ts";
import { checkCidr, checkDomain } from "./check-policy.ts";
import { DestinationGroups, unknownGroup } from "./rules.ts";

/** Whom a rule is about: of several calls the last one counts. What is wrong with a text is told when the policy is built. */
export class RuleDestinationBuilder {
  #make: (() => Destination) | null = null;

  /** One address. */
  ip(address: string): this {
    return this.#choose(() => ({ kind: "cidr", cidr: addressRange(address) }));
  }

  /** A range of addresses: `10.0.0.0/8`. */
  cidr(range: string): this {
    return this.#choose(() => ({ kind: "cidr", cidr: checkCidr(range) }));
  }

  /** A name, and nothing below it. */
  domain(name: string): this {
    return this.#choose(() => domainDestination(name));
  }

  /** A name and all below it: `example.com` is `example.com` and `www.example.com`. */
  domainSuffix(suffix: string): this {
    return this.#choose(() => suffixDestination(suffix));
  }

  /** A kind of addresses. @throws InvalidConfigError at once, for one that there is not */
  group(group: DestinationGroup): this {
    if (!DestinationGroups.includes(group)) throw unknownGroup(group);
    return this.#choose(() => ({ kind: "group", group }));
  }

  /** Every address. */
  any(): this {
    return this.#choose(() => ({ kind: "any" }));
  }

  /** @returns null when nothing was chosen @throws InvalidConfigError */
  build(): Destination | null {
    return this.#make === null ? null : this.#make();
  }

  /** What makes the destination, and throws InvalidConfigError then; null when nothing was chosen. */
  chosen(): (() => Destination) | null {
    return this.#make;
  }

  #choose(make: () => Destination): this {
    this.#make = make;
    return this;
  }
}

/** @throws InvalidConfigError */
export function addressRange(text: string): string {
  const address = typeof text === "string" ? IpAddress.parse(text) : null;
  if (address === null) {
    throw new InvalidConfigError(`invalid IP address \`${typeof text === "string" ? text : shown(text)}\``, {
      hint: "Write four decimal numbers, or an IPv6 address without brackets.",
    });
  }
  return Cidr.parse(address.toString())?.toString() ?? "";
}

/** @throws InvalidConfigError */
export function domainDestination(name: string): Destination {
  return { kind: "domain", domain: checkDomain(name) };
}

/** @throws InvalidConfigError also for a single label */
export function suffixDestination(text: string): Destination {
  const suffix = checkDomain(text);
  if (isOneLabel(suffix)) {
    throw new InvalidConfigError(
      `invalid domain \`${text}\`: a suffix of one label is too broad: it is a whole top-level domain`,
      { hint: "Name at least two labels, such as example.com." },
    );
  }
  return { kind: "domainSuffix", suffix };
}
