import type { Family, IpAddress } from "../../host/ip/address.ts";
import type { Bindings } from "./bindings.ts";

export interface DnsBindingsOptions {
  /** A clock that never goes back, in ms. */
  readonly now?: () => number;
  /** Pairs of a name and an address that are kept; for more, those that were answered longest ago go. */
  readonly maxBindings?: number;
  /** Names that one address may stand for at a time; likewise. */
  readonly maxNamesPerAddress?: number;
}

interface Binding {
  readonly name: string;
  readonly addressText: string;
  readonly family: Family;
  readonly expiresAtMs: number;
}

interface NamesOfAddress {
  /** By name; the last one was answered last. */
  readonly bindings: Map<string, Binding>;
  /** What {@link DnsBindings.namesOf} says until `validUntilMs`; null: to be made anew. */
  names: readonly string[] | null;
  validUntilMs: number;
}

const noNames: readonly string[] = [];
const sweepEveryMs = 1000;

/**
 * What DNS has told one guest. Bounded, however many names the guest asks for: at most 8,192 pairs of a name and an address, some
 * 4 MB with the longest names, and 256 names for one address, which every decision about that address may have to look at.
 */
export class DnsBindings implements Bindings {
  readonly #now: () => number;
  readonly #maxBindings: number;
  readonly #maxNamesPerAddress: number;
  readonly #byAddress = new Map<string, NamesOfAddress>();
  /** All of them, those that were answered longest ago first. */
  readonly #all = new Set<Binding>();
  readonly #byName = new Map<string, Set<Binding>>();
  #sweptAtMs = -Infinity;

  constructor({
    now = () => performance.now(),
    maxBindings = 8192,
    maxNamesPerAddress = 256,
  }: DnsBindingsOptions = {}) {
    this.#now = now;
    this.#maxBindings = maxBindings;
    this.#maxNamesPerAddress = maxNamesPerAddress;
  }

  /** Pairs that are kept, expired ones included until they are swept. */
  get size(): number {
    return this.#all.size;
  }

  bind(name: string, addresses: readonly IpAddress[], ttlSeconds: number): void {
    const now = this.#now();
    this.#sweep(now);
    const expiresAtMs = now + 1000 * Math.max(1, ttlSeconds);
    for (const address of addresses) this.#bindOne(name, address.unmapped(), expiresAtMs);
  }

  clear(name: string, family: Family): void {
    for (const binding of this.#byName.get(name) ?? []) if (binding.family === family) this.#remove(binding);
  }

  namesOf(address: IpAddress): readonly string[] {
    const entry = this.#byAddress.get(address.unmapped().toString());
    if (entry === undefined) return noNames;
    const now = this.#now();
    if (entry.names !== null && now < entry.validUntilMs) return entry.names;
    entry.validUntilMs = Infinity;
    const names: string[] = [];
    for (const binding of entry.bindings.values()) {
      if (binding.expiresAtMs <= now) continue;
      names.push(binding.name);
      entry.validUntilMs = Math.min(entry.validUntilMs, binding.expiresAtMs);
    }
    return (entry.names = names.reverse());
  }

  #bindOne(name: string, address: IpAddress, expiresAtMs: number): void {
    const addressText = address.toString();
    const old = this.#byAddress.get(addressText)?.bindings.get(name);
    // A client that kept an earlier answer for its time must not be cut off by a later one with less.
    const expires = old === undefined ? expiresAtMs : Math.max(old.expiresAtMs, expiresAtMs);
    if (old !== undefined) this.#remove(old);
    this.#add({ name, addressText, family: address.family, expiresAtMs: expires });
  }

  #add(binding: Binding): void {
    if (this.#all.size >= this.#maxBindings) this.#removeFirst(this.#all);
    const { name, addressText } = binding;
    let entry = this.#byAddress.get(addressText);
    if (entry !== undefined && entry.bindings.size >= this.#maxNamesPerAddress) {
      this.#removeFirst(entry.bindings.values());
      entry = this.#byAddress.get(addressText);
    }
    if (entry === undefined) {
      entry = { bindings: new Map(), names: null, validUntilMs: 0 };
      this.#byAddress.set(addressText, entry);
    }
    entry.bindings.set(name, binding);
    entry.names = null;
    this.#all.add(binding);
    const named = this.#byName.get(name);
    if (named === undefined) this.#byName.set(name, new Set([binding]));
    else named.add(binding);
  }

  #removeFirst(bindings: Iterable<Binding>): void {
    for (const binding of bindings) {
      this.#remove(binding);
      return;
    }
  }

  #remove(binding: Binding): void {
    this.#all.delete(binding);
    const entry = this.#byAddress.get(binding.addressText);
    if (entry !== undefined) {
      entry.bindings.delete(binding.name);
      entry.names = null;
      if (entry.bindings.size === 0) this.#byAddress.delete(binding.addressText);
    }
    const named = this.#byName.get(binding.name);
    named?.delete(binding);
    if (named?.size === 0) this.#byName.delete(binding.name);
  }

  #sweep(now: number): void {
    if (now - this.#sweptAtMs < sweepEveryMs) return;
    this.#sweptAtMs = now;
    for (const binding of this.#all) if (binding.expiresAtMs <= now) this.#remove(binding);
  }
}
