import { built } from "../../checks.ts";
import type { NetworkRateLimiterConfig, RateLimiterConfig } from "../network-type.ts";
import { checkAmount, finishLimiter, someOf, type AskedBucket, type Direction } from "./rate-limits.ts";

const nothing: AskedBucket = { size: null, refillTimeMs: null, oneTimeBurst: null };

/**
 * Limits one direction: bytes, frames, or both. A bucket starts full and is filled again evenly; a burst is there once, and used up
 * first.
 */
export class RateLimiterBuilder {
  readonly #direction: Direction;
  #bandwidth: AskedBucket | null = null;
  #ops: AskedBucket | null = null;

  constructor(direction: Direction = "egress") {
    this.#direction = direction;
  }

  /** So many bytes in so many ms. @throws InvalidConfigError */
  bandwidth(sizeBytes: number, refillMs: number): this {
    this.#bandwidth = {
      ...(this.#bandwidth ?? nothing),
      size: checkAmount("sizeBytes", sizeBytes),
      refillTimeMs: checkAmount("refillMs", refillMs),
    };
    return this;
  }

  /** Once, besides. @throws InvalidConfigError */
  bandwidthBurst(bytes: number): this {
    this.#bandwidth = { ...(this.#bandwidth ?? nothing), oneTimeBurst: checkAmount("burstBytes", bytes) };
    return this;
  }

  /** So many frames in so many ms. @throws InvalidConfigError */
  ops(count: number, refillMs: number): this {
    this.#ops = {
      ...(this.#ops ?? nothing),
      size: checkAmount("count", count),
      refillTimeMs: checkAmount("refillMs", refillMs),
    };
    return this;
  }

  /** Once, besides. @throws InvalidConfigError */
  opsBurst(count: number): this {
    this.#ops = { ...(this.#ops ?? nothing), oneTimeBurst: checkAmount("burstCount", count) };
    return this;
  }

  /** @throws InvalidConfigError */
  build(): RateLimiterConfig {
    return finishLimiter(this.#direction, { bandwidth: this.#bandwidth, ops: this.#ops });
  }
}

/**
 * Limits what passes the guest's network interface.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * const { network } = Sandbox.builder("rate-example")
 *   .image("localhost/base")
 *   .network((n) => n.rateLimiter((l) => l.egress((e) => e.bandwidth(1_000_000, 1000).ops(500, 1000))))
 *   .build();
 * console.log(network?.rateLimiter?.egress?.bandwidth?.size); // 1000000 bytes in 1000 ms
 * ```
 */
export class NetworkRateLimiterBuilder {
  #egress: RateLimiterConfig | null = null;
  #ingress: RateLimiterConfig | null = null;

  /** What the guest sends. */
  egress(configure: (limit: RateLimiterBuilder) => RateLimiterBuilder): this {
    this.#egress = built("egress", configure, new RateLimiterBuilder("egress")).build();
    return this;
  }

  /** What the guest gets. */
  ingress(configure: (limit: RateLimiterBuilder) => RateLimiterBuilder): this {
    this.#ingress = built("ingress", configure, new RateLimiterBuilder("ingress")).build();
    return this;
  }

  /** @throws InvalidConfigError */
  build(): NetworkRateLimiterConfig {
    return someOf({ egress: this.#egress, ingress: this.#ingress });
  }
}
