import type { TokenBucketConfig } from "../../config/network/network-type.ts";

/**
 * A bucket that is full at first, with a burst beside it that never comes back. What is larger than the bucket passes when the bucket is
 * full, and leaves a debt. Times are ms of a clock that does not jump.
 */
export class TokenBucket {
  readonly #size: number;
  readonly #refillMs: number;
  #burst: number;
  /** Negative: a debt. */
  #tokens: number;
  #at: number;

  constructor({ size, refillTimeMs, oneTimeBurst }: TokenBucketConfig, now: number) {
    this.#size = size;
    this.#refillMs = refillTimeMs;
    this.#burst = oneTimeBurst;
    this.#tokens = size;
    this.#at = now;
  }

  /** Of refilling, each ms. */
  get rate(): number {
    return this.#size / this.#refillMs;
  }

  /** How long it takes until so many may pass, in ms; 0: now. */
  wait(count: number, now: number): number {
    this.#tokens = Math.min(this.#size, this.#tokens + ((now - this.#at) / this.#refillMs) * this.#size);
    this.#at = now;
    // Rounding must not make what fills up wait for ever.
    const missing = Math.min(count, this.#size) - this.#tokens - this.#burst - 1e-6;
    return missing > 0 ? (missing / this.#size) * this.#refillMs : 0;
  }

  /** They have passed. */
  take(count: number): void {
    const ofBurst = Math.min(count, this.#burst);
    this.#burst -= ofBurst;
    this.#tokens -= count - ofBurst;
  }
}
