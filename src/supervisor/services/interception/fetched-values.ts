import type { FetchedSecret } from "./program-secrets.ts";

export interface FetchedValuesOptions {
  /** Has a value fetched. */
  readonly fetch: (envVar: string, host: string, signal: AbortSignal) => Promise<FetchedSecret>;
  /** Told why there is no value, without it. */
  readonly failed: (envVar: string, error: unknown) => void;
  /** ms since 1970 */
  readonly now?: () => number;
  readonly timeoutMs?: number;
}

interface Kept extends FetchedSecret {
  readonly fetchedMs: number;
  /** It was fetched because a host had refused the one before. */
  readonly isSecond: boolean;
}

/** A program that does not answer sooner is not waited for, ms. */
const fetchMs = 30_000;
/** Where all hosts may have a secret, the guest chooses how many there are. */
const mostKept = 256;
const mostFetching = 64;
/** A host that refuses a fresh value too is not the reason to fetch another one sooner than this, ms. */
const refusedAgainMs = 60_000;

/** Values that functions of the program fetch, for one secret and one host each: kept while they last. */
export class FetchedValues {
  readonly #options: Required<FetchedValuesOptions>;
  /** The one that was used last is last. */
  readonly #kept = new Map<string, Kept>();
  readonly #fetching = new Map<string, Promise<string | null>>();
  readonly #refused = new Set<string>();

  constructor(options: FetchedValuesOptions) {
    this.#options = { now: Date.now, timeoutMs: fetchMs, ...options };
  }

  /** @returns null when there is none */
  value(envVar: string, host: string): string | null | Promise<string | null> {
    const key = keyOf(envVar, host);
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      this.#kept.delete(key);
      if (kept.expiresMs === null || kept.expiresMs > this.#options.now()) {
        this.#kept.set(key, kept);
        return kept.value;
      }
    }
    const fetching = this.#fetching.get(key);
    if (fetching !== undefined) return fetching;
    if (this.#fetching.size >= mostFetching) {
      this.#options.failed(envVar, new Error("too many values are being fetched already"));
      return null;
    }
    const begun = this.#fetch(key, envVar, host).finally(() => this.#fetching.delete(key));
    this.#fetching.set(key, begun);
    return begun;
  }

  /** The host does not take the value: it is fetched anew, once. */
  refused(envVar: string, host: string): void {
    const key = keyOf(envVar, host);
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    if (kept.isSecond && this.#options.now() - kept.fetchedMs < refusedAgainMs) return;
    this.#kept.delete(key);
    this.#refused.add(key);
    bound(this.#refused);
  }

  async #fetch(key: string, envVar: string, host: string): Promise<string | null> {
    const { fetch, failed, now, timeoutMs } = this.#options;
    const isSecond = this.#refused.delete(key);
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort(new Error(`its function did not answer within ${timeoutMs} ms`));
    }, timeoutMs);
    try {
      const fetched = await fetch(envVar, host, late.signal);
      this.#kept.set(key, { ...fetched, fetchedMs: now(), isSecond });
      bound(this.#kept);
      return fetched.value;
    } catch (error) {
      failed(envVar, error);
      return null;
    } finally {
      clearTimeout(timer);
    }
  }
}

function keyOf(envVar: string, host: string): string {
  return `${envVar}=${host}`;
}

/** Forgets the first of too many. */
function bound(kept: Map<string, unknown> | Set<string>): void {
  const [oldest] = kept.keys();
  if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
}
