/** A name that a rule is about. */
export interface RuleName {
  /** Index of the rule. */
  readonly rule: number;
  /** In lower case, without dots at the ends. */
  readonly name: string;
  /** It and all below it. */
  readonly isSuffix: boolean;
}

/** More names than this are looked up instead of compared one by one: measured, that is where it begins to pay. */
const comparedAtMost = 8;

/** Names of rules that follow each other and differ in nothing else, in the order of the rules. */
export class NameSet {
  readonly #names: readonly RuleName[];
  /** By name; null when there are few. */
  readonly #index: ReadonlyMap<string, readonly RuleName[]> | null;

  constructor(names: readonly RuleName[]) {
    this.#names = names;
    this.#index = names.length > comparedAtMost ? Map.groupBy(names, ({ name }) => name) : null;
  }

  /** The names of rules that mean this one, the first rule first. */
  matching(name: string): readonly RuleName[] {
    if (this.#index === null) return this.#names.filter((entry) => isMeant(entry, name));
    const found: RuleName[] = [];
    // The name itself, then what is behind each of its dots.
    for (let from = 0; ;) {
      for (const entry of this.#index.get(name.slice(from)) ?? [])
        if (entry.isSuffix || from === 0) found.push(entry);
      const dot = name.indexOf(".", from);
      if (dot === -1) break;
      from = dot + 1;
    }
    return found.sort((one, other) => one.rule - other.rule);
  }
}

/** Whether a rule's name means another: it is that name or, for a suffix, one above it. */
export function isMeant({ name, isSuffix }: RuleName, asked: string): boolean {
  if (asked.length <= name.length) return asked === name;
  return isSuffix && asked.endsWith(name) && asked.charAt(asked.length - name.length - 1) === ".";
}
