import { isDeepStrictEqual } from "node:util";
import type { RateLimiterConfig } from "../../config/network/network-type.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Limits the frames of one direction, by bytes and by number. Both have to admit a frame; none is dropped for it. */
export class RateLimiter {
  #config: RateLimiterConfig | null = null;
  #bandwidth: TokenBucket | null = null;
  #ops: TokenBucket | null = null;

  get isLimited(): boolean {
    return this.#config !== null;
  }

  /** Bytes that pass within so many ms once the buckets are empty, frames counted as the largest ones. */
  bytesWithin(ms: number): number {
    const bytes = this.#bandwidth === null ? Infinity : this.#bandwidth.rate * ms;
    const frames = this.#ops === null ? Infinity : this.#ops.rate * ms;
    return Math.min(bytes, frames * 0x1_0000);
  }

  /** Buckets that are as they were keep what is in them; others start full. */
  change(config: RateLimiterConfig | null, now: number): void {
    const old = this.#config;
    this.#config = config;
    this.#bandwidth = changed(this.#bandwidth, old?.bandwidth, config?.bandwidth, now);
    this.#ops = changed(this.#ops, old?.ops, config?.ops, now);
  }

  /**
   * Admits a frame, or says when to ask again.
   *
   * @returns ms to wait; 0: it has passed
   */
  admit(bytes: number, now: number): number {
    const wait = Math.max(this.#bandwidth?.wait(bytes, now) ?? 0, this.#ops?.wait(1, now) ?? 0);
    if (wait > 0) return wait;
    this.#bandwidth?.take(bytes);
    this.#ops?.take(1);
    return 0;
  }
}

type BucketConfig = RateLimiterConfig["bandwidth"];

function changed(
  bucket: TokenBucket | null,
  old: BucketConfig | undefined,
  config: BucketConfig | undefined,
  now: number,
): TokenBucket | null {
  if (config === null || config === undefined) return null;
  return bucket !== null && isDeepStrictEqual(old, config) ? bucket : new TokenBucket(config, now);
}
