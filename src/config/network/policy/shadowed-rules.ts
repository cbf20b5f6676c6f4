import type { Family } from "../../../host/ip/address.ts";
import { Cidr } from "../../../host/ip/cidr.ts";
import type { Destination, NetworkPolicy, PortRange, Rule } from "../policy-type.ts";

/** A rule that never decides, because an earlier one does. Indexes count from 0. */
export interface ShadowedRule {
  readonly rule: number;
  /** The first rule that is about all that it is about. */
  readonly by: number;
}

interface Candidate {
  readonly rule: Rule;
  readonly index: number;
  readonly range: Cidr | null;
}

/**
 * Finds rules that one earlier rule leaves nothing to: worth a warning, since they are likely to be in the wrong order. Rules about
 * names are not compared: what they cover is known when a name is asked for. Nor is a rule found that two earlier ones cover together.
 */
export function shadowedRules({ rules }: NetworkPolicy): readonly ShadowedRule[] {
  const earlier: Candidate[] = [];
  const ranges = new Ranges();
  const found: ShadowedRule[] = [];
  for (const [index, rule] of rules.entries()) {
    const { destination } = rule;
    if (destination.kind === "domain" || destination.kind === "domainSuffix") continue;
    const range = destination.kind === "cidr" ? Cidr.parse(destination.cidr) : null;
    const candidate = { rule, index, range };
    const [by] = [...earlier, ...(range === null ? [] : ranges.around(range))]
      .filter((other) => covers(other, candidate))
      .sort((one, other) => one.index - other.index);
    if (by !== undefined) found.push({ rule: index, by: by.index });
    else if (range === null) earlier.push(candidate);
    else ranges.add(range, candidate);
  }
  return found;
}

/** Rules by their range: block lists have thousands. */
class Ranges {
  readonly #byText = new Map<string, Candidate[]>();
  readonly #prefixes: Readonly<Record<Family, Set<number>>> = { 4: new Set(), 6: new Set() };

  add(range: Cidr, candidate: Candidate): void {
    this.#prefixes[range.family].add(range.prefix);
    const known = this.#byText.get(range.toString());
    if (known === undefined) this.#byText.set(range.toString(), [candidate]);
    else known.push(candidate);
  }

  /** Those whose range has all of this one. */
  around(range: Cidr): readonly Candidate[] {
    return [...this.#prefixes[range.family]]
      .filter((prefix) => prefix <= range.prefix)
      .flatMap((prefix) => this.#byText.get(Cidr.of(range.address, prefix).toString()) ?? []);
  }
}

function covers(earlier: Candidate, later: Candidate): boolean {
  return (
    coversDestination(earlier, later) &&
    (earlier.rule.direction === "any" || earlier.rule.direction === later.rule.direction) &&
    coversProtocols(earlier.rule, later.rule) &&
    coversPorts(earlier.rule.ports, later.rule.ports)
  );
}

function coversDestination(earlier: Candidate, later: Candidate): boolean {
  const wide: Destination = earlier.rule.destination;
  const narrow: Destination = later.rule.destination;
  // Below "allow any", an allowed range without ports still says that names may stand for its addresses (rebinding protection).
  if (wide.kind === "any") {
    const { action, ports } = later.rule;
    return earlier.rule.action === "deny" || narrow.kind === "any" || action === "deny" || ports.length > 0;
  }
  if (wide.kind === "group") return narrow.kind === "group" && wide.group === narrow.group;
  return earlier.range !== null && later.range !== null && earlier.range.covers(later.range);
}

function coversProtocols({ protocols: wide }: Rule, { protocols: narrow }: Rule): boolean {
  if (wide.length === 0) return true;
  return narrow.length > 0 && narrow.every((protocol) => wide.includes(protocol));
}

function coversPorts(wide: readonly PortRange[], narrow: readonly PortRange[]): boolean {
  if (wide.length === 0) return true;
  return (
    narrow.length > 0 &&
    narrow.every(({ start, end }) => wide.some((range) => range.start <= start && end <= range.end))
  );
}
