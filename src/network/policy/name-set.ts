/** A name that a rule is about. */
export interface RuleName {
  /** Index of the rule. */
  readonly rule: number;
  /** In lower case, without dots at the ends. */
  readonly name: string;
  /** It and all below it. */
  readonly isSuffix: boolean;
}

/** A name, and the first rule that means it. */
export interface NamedRule {
  readonly rule: number;
  readonly name: string;
}

/** More names than this are looked up instead of compared one by one: measured, that is where it begins to pay. */
const comparedAtMost = 8;
/** For more names than this it is kept what they came to. */
const askedAnewAtMost = 4;

/** Names of rules that follow each other and differ in nothing else, in the order of the rules. */
export class NameSet {
  readonly #names: readonly RuleName[];
  /** By name; null when there are few. */
  readonly #index: ReadonlyMap<string, readonly RuleName[]> | null;
  /** Labels of the longest name. */
  readonly #mostLabels: number;
  /** By the very list that was asked about: a list does not change, and so neither does this. */
  readonly #found = new WeakMap<readonly string[], NamedRule | "none">();

  constructor(names: readonly RuleName[]) {
    this.#names = names;
    this.#index = names.length > comparedAtMost ? Map.groupBy(names, ({ name }) => name) : null;
    this.#mostLabels = Math.max(...names.map(({ name }) => name.split(".").length));
  }

  /** The names of rules that mean this one, the first rule first. */
  matching(name: string): readonly RuleName[] {
    if (this.#index === null) return this.#names.filter((entry) => isMeant(entry, name));
    const found = [...(this.#index.get(name) ?? [])];
    // What is above it, from the right: a name has up to 127 labels, those of rules a few.
    for (let labels = 1, dot = name.lastIndexOf("."); labels <= this.#mostLabels && dot > 0; labels++) {
      for (const entry of this.#index.get(name.slice(dot + 1)) ?? []) if (entry.isSuffix) found.push(entry);
      dot = name.lastIndexOf(".", dot - 1);
    }
    return found.length > 1 ? found.sort((one, other) => one.rule - other.rule) : found;
  }

  /**
   * The first rule that means one of these names.
   *
   * @param names is never changed
   */
  firstOf(names: readonly string[]): NamedRule | null {
    if (names.length <= askedAnewAtMost) return this.#search(names);
    // A hostile guest can have an address stand for hundreds of names, and send to it as fast as it can.
    const known = this.#found.get(names);
    if (known !== undefined) return known === "none" ? null : known;
    const found = this.#search(names);
    this.#found.set(names, found ?? "none");
    return found;
  }

  #search(names: readonly string[]): NamedRule | null {
    let first: NamedRule | null = null;
    for (const name of names) {
      const [match] = this.matching(name);
      if (match !== undefined && (first === null || match.rule < first.rule))
        first = { rule: match.rule, name };
    }
    return first;
  }
}

/** Whether a rule's name means another: it is that name or, for a suffix, one above it. */
export function isMeant({ name, isSuffix }: RuleName, asked: string): boolean {
  if (asked.length <= name.length) return asked === name;
  return isSuffix && asked.endsWith(name) && asked.charAt(asked.length - name.length - 1) === ".";
}
