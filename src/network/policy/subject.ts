import type { DestinationGroup } from "../../config/network/policy-type.ts";
import type { IpAddress } from "../../host/ip/address.ts";
import type { Bindings } from "./bindings.ts";
import { embeddedIpv4, type EmbeddedIpv4 } from "./embedded-ipv4.ts";
import { classify, type GroupContext } from "./groups.ts";
import { wordsOf, type AddressWords, type RangeMatcher } from "./range-matcher.ts";

const noNames: readonly string[] = [];
const noWords: readonly AddressWords[] = [];

/** The address that one decision is about: what rules ask of it is found out when the first one asks. */
export class Subject {
  readonly #address: IpAddress;
  readonly #context: GroupContext;
  readonly #bindings: Bindings;
  readonly #remembered: readonly string[];
  readonly #words: AddressWords;
  #group: DestinationGroup | null | undefined;
  #names: readonly string[] | undefined;
  readonly #embedded: EmbeddedIpv4["kind"] | null;
  readonly #embeddedWords: readonly AddressWords[];

  /** @param remembered names that count besides those that stand for the address now */
  constructor(
    address: IpAddress,
    context: GroupContext,
    bindings: Bindings,
    remembered: readonly string[] = noNames,
  ) {
    this.#address = address.unmapped();
    this.#context = context;
    this.#bindings = bindings;
    this.#remembered = remembered;
    this.#words = wordsOf(this.#address);
    const embedded = embeddedIpv4(this.#address, context.nat64Prefixes);
    this.#embedded = embedded?.kind ?? null;
    this.#embeddedWords = embedded?.addresses.map(wordsOf) ?? noWords;
  }

  get group(): DestinationGroup | null {
    if (this.#group === undefined) this.#group = classify(this.#address, this.#context);
    return this.#group;
  }

  /** Names that stand for the address. */
  get names(): readonly string[] {
    if (this.#names !== undefined) return this.#names;
    const now = this.#bindings.namesOf(this.#address);
    this.#names = this.#remembered.length === 0 ? now : [...new Set([...now, ...this.#remembered])];
    return this.#names;
  }

  /** For allowing: it is in the range itself, or is another address of a host that is. */
  isIn(range: RangeMatcher): boolean {
    if (range.matches(this.#words)) return true;
    return this.#embedded === "translated" && this.#embeddedWords.some((words) => range.matches(words));
  }

  /** For denying: it is in the range, or a packet to it may end there. */
  mayReach(range: RangeMatcher): boolean {
    return range.matches(this.#words) || this.#embeddedWords.some((words) => range.matches(words));
  }
}
