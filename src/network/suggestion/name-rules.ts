import type { Rule } from "../../config/network/policy-type.ts";
import type { Uses } from "./uses.ts";

/** Below `com` is everybody, so no suffix is suggested that has fewer labels. */
const leastLabels = 2;

type Filters = ReturnType<Uses["filters"]>;

/**
 * Rules that allow names for what they were used for. Names of one domain stand together.
 *
 * @param mergeFrom so many names right below one parent that were used for the same become a suffix; null: none do
 */
export function nameRules(names: ReadonlyMap<string, Uses>, mergeFrom: number | null): readonly Rule[] {
  const used = new Map([...names].map(([name, uses]) => [name, uses.filters()]));
  const suffixes = mergeFrom === null ? new Map<string, Filters>() : commonParents(used, mergeFrom);
  const isCovered = (name: string, filters: Filters): boolean =>
    [...suffixes].some(
      ([suffix, ofSuffix]) => (name === suffix || name.endsWith(`.${suffix}`)) && isSame(filters, ofSuffix),
    );
  const rules = [
    ...[...used]
      .filter(([name, filters]) => !isCovered(name, filters))
      .map(([name, filters]) => ({ name, filters, destination: { kind: "domain", domain: name } as const })),
    ...[...suffixes].map(([name, filters]) => ({
      name,
      filters,
      destination: { kind: "domainSuffix", suffix: name } as const,
    })),
  ];
  return rules
    .map((rule) => ({ ...rule, key: rule.name.split(".").reverse().join(" ") }))
    .sort((one, other) => (one.key < other.key ? -1 : one.key > other.key ? 1 : 0))
    .flatMap(({ destination, filters }) =>
      filters.map((filter) => ({ direction: "egress", destination, ...filter, action: "allow" }) as const),
    );
}

/** Parents of enough names that were all used for the same; of two uses of one parent, the one of more names. */
function commonParents(used: ReadonlyMap<string, Filters>, mergeFrom: number): ReadonlyMap<string, Filters> {
  const parents = new Map<string, Filters>();
  const byParent = Map.groupBy(used, ([name]) => name.slice(name.indexOf(".") + 1));
  for (const [parent, children] of byParent) {
    if (parent.split(".").length < leastLabels) continue;
    const byUse = Map.groupBy(children, ([, filters]) => JSON.stringify(filters));
    const [most] = [...byUse.values()].sort((one, other) => other.length - one.length);
    const filters = most?.[0]?.[1];
    if (most !== undefined && filters !== undefined && most.length >= mergeFrom) parents.set(parent, filters);
  }
  return parents;
}

function isSame(one: Filters, other: Filters): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
