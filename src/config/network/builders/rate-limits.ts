import { InvalidConfigError } from "../../../errors/index.ts";
import { refuseUnknownKeys } from "../../keys/unknown-keys.ts";
import type { NetworkRateLimiterConfig, RateLimiterConfig, TokenBucketConfig } from "../network-type.ts";

/** Rate limits of one direction, as they were said: a burst may be said without its bucket, which is an error in the end. */
export interface AskedBucket {
  readonly size: number | null;
  readonly refillTimeMs: number | null;
  readonly oneTimeBurst: number | null;
}

export type Direction = "egress" | "ingress";
type Bucket = "bandwidth" | "ops";
export type AskedLimiter = Readonly<Record<Bucket, AskedBucket | null>>;

const units: Readonly<Record<Bucket, string>> = { bandwidth: "sizeBytes", ops: "count" };

/** @throws InvalidConfigError */
export function finishBucket(direction: string, name: Bucket, asked: AskedBucket): TokenBucketConfig {
  const what = `${direction} rate limiter: ${name} bucket`;
  const { size, refillTimeMs, oneTimeBurst } = asked;
  if (size === null || refillTimeMs === null) {
    throw new InvalidConfigError(`${direction} rate limiter: ${name}_burst requires the ${name} bucket`, {
      hint: `Say ${name}() too: how much in which time.`,
    });
  }
  if (size === 0) {
    throw new InvalidConfigError(`${what}: size must be greater than zero`, {
      hint: "To let nothing through, use a policy.",
    });
  }
  if (refillTimeMs < 1) {
    throw new InvalidConfigError(`${what}: the refill time must be at least 1 ms`, {
      hint: "Say in how many ms it is filled again: 1000 is a second.",
    });
  }
  return { size, refillTimeMs, oneTimeBurst: oneTimeBurst ?? 0 };
}

/** @throws InvalidConfigError */
export function checkAmount(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidConfigError(`${name} must be a non-negative integer`, {
    hint: "Write it as a whole number; sizes are bytes, times ms.",
  });
}

/** @throws InvalidConfigError */
export function finishLimiter(direction: string, { bandwidth, ops }: AskedLimiter): RateLimiterConfig {
  if (bandwidth === null && ops === null) {
    throw new InvalidConfigError(
      `${direction} rate limiter: rate limiter must configure at least one of bandwidth or ops`,
      { hint: "Say bandwidth(bytes, ms) or ops(frames, ms)." },
    );
  }
  return {
    bandwidth: bandwidth === null ? null : finishBucket(direction, "bandwidth", bandwidth),
    ops: ops === null ? null : finishBucket(direction, "ops", ops),
  };
}

/** @throws InvalidConfigError for what is none; a direction or bucket may be left out or null */
export function checkRateLimiter(path: string, input: unknown): NetworkRateLimiterConfig {
  refuseUnknownKeys(path, input, ["egress", "ingress"]);
  const { egress, ingress } = input as Partial<NetworkRateLimiterConfig>;
  return someOf({
    egress: isSaid(egress) ? checkLimiter(`${path}.egress`, "egress", egress) : null,
    ingress: isSaid(ingress) ? checkLimiter(`${path}.ingress`, "ingress", ingress) : null,
  });
}

/** @throws InvalidConfigError when it limits nothing */
export function someOf(limits: NetworkRateLimiterConfig): NetworkRateLimiterConfig {
  if (limits.egress !== null || limits.ingress !== null) return limits;
  throw new InvalidConfigError("rate limiter must configure at least one of egress or ingress", {
    hint: "egress is what the guest sends, ingress what it gets.",
  });
}

function checkLimiter(path: string, direction: Direction, input: unknown): RateLimiterConfig {
  refuseUnknownKeys(path, input, ["bandwidth", "ops"]);
  const { bandwidth, ops } = input as Partial<RateLimiterConfig>;
  return finishLimiter(direction, {
    bandwidth: isSaid(bandwidth) ? checkBucket(`${path}.bandwidth`, "bandwidth", bandwidth) : null,
    ops: isSaid(ops) ? checkBucket(`${path}.ops`, "ops", ops) : null,
  });
}

function checkBucket(path: string, bucket: Bucket, input: unknown): AskedBucket {
  refuseUnknownKeys(path, input, ["size", "refillTimeMs", "oneTimeBurst"]);
  const { size, refillTimeMs, oneTimeBurst } = input as Partial<TokenBucketConfig>;
  const amount = (name: string, value: number | null | undefined): number | null =>
    isSaid(value) ? checkAmount(name, value) : null;
  return {
    size: amount(units[bucket], size),
    refillTimeMs: amount("refillTimeMs", refillTimeMs),
    oneTimeBurst: amount("oneTimeBurst", oneTimeBurst),
  };
}

function isSaid<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}
