import type { DnsConfig } from "../../config/network/network-type.ts";
import type { DomainName } from "./message/name.ts";

/** Parent domains whose questions are counted at a time. */
const mostParents = 1024;
const windowMs = 60_000;
const sweepEveryMs = 1_000;

interface Bucket {
  /** Questions that are free to ask at `at`. */
  tokens: number;
  at: number;
}

/**
 * Bounds what can leave the sandbox in the names that it asks for: how long they are, and how many there are for each parent domain. That
 * is their last two labels: without the list of public suffixes, which changes by the week, `co.uk` is one parent for all in it.
 */
export class NameLimits {
  readonly #longest: number | null;
  readonly #perMinute: number | null;
  readonly #buckets = new Map<string, Bucket>();
  #sweptAt = -Infinity;

  constructor({
    maxNameLength,
    maxQueriesPerMinute,
  }: Pick<DnsConfig, "maxNameLength" | "maxQueriesPerMinute">) {
    this.#longest = maxNameLength;
    this.#perMinute = maxQueriesPerMinute;
  }

  isTooLong(name: DomainName): boolean {
    return this.#longest !== null && name.textLength > this.#longest;
  }

  /**
   * Counts a question that is about to leave. As many as are allowed in a minute may come at once; they come back evenly.
   *
   * @param now ms
   * @returns whether it may
   */
  take(name: DomainName, now = performance.now()): boolean {
    const perMinute = this.#perMinute;
    if (perMinute === null) return true;
    const bucket = this.#bucketOf(parentOf(name), perMinute, now);
    bucket.tokens = Math.min(perMinute, bucket.tokens + ((now - bucket.at) * perMinute) / windowMs);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  #bucketOf(parent: string, tokens: number, now: number): Bucket {
    const known = this.#buckets.get(parent);
    if (known !== undefined) return known;
    if (this.#buckets.size >= mostParents && now - this.#sweptAt >= sweepEveryMs) this.#forgetFull(now);
    // A guest that asks for more parents than can be counted has one count for all of the rest: else it could make us forget.
    const key = this.#buckets.size >= mostParents ? "" : parent;
    const bucket = this.#buckets.get(key) ?? { tokens, at: now };
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** A bucket that has stood for a minute is full: it is as if it had never been. */
  #forgetFull(now: number): void {
    this.#sweptAt = now;
    for (const [parent, { at }] of this.#buckets) if (now - at >= windowMs) this.#buckets.delete(parent);
  }
}

function parentOf(name: DomainName): string {
  return name.text.split(".").slice(-2).join(".");
}
