import assert from "node:assert/strict";
import type { TestContext } from "node:test";

export type Random = (limit: number) => number;

/** Whole numbers from 0 up to, not including, `limit`: xorshift32 (Marsaglia, "Xorshift RNGs", 2003). */
export function seeded(context: TestContext): Random {
  const seed = Number(process.env["PROTOCOL_FUZZ_SEED"] ?? 20240229);
  context.diagnostic(`PROTOCOL_FUZZ_SEED=${seed}`);
  // Xorshift stays at 0 for ever.
  let state = seed | 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * limit);
  };
}

export function rounds(usual: number): number {
  return Number(process.env["PROTOCOL_FUZZ_ROUNDS"] ?? usual);
}

export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[random(items.length)];
  assert.ok(item !== undefined);
  return item;
}

export function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random(256)));
}

export function mutate(random: Random, bytes: Buffer): Buffer {
  let result = Buffer.from(bytes);
  for (let change = random(4); change >= 0; change--) {
    const at = random(result.length + 1);
    const action = random(4);
    if (action === 0)
      result = Buffer.concat([result.subarray(0, at), randomBytes(random, 1), result.subarray(at)]);
    else if (action === 1) result = result.subarray(0, at);
    else if (at < result.length) {
      result[at] =
        action === 2 ? (result[at] ?? 0) ^ (1 << random(8)) : pick(random, [0, 1, 2, 127, 128, 255]);
    }
  }
  return result;
}

/** The same bytes in pieces of all sizes. */
export function* chunks(random: Random, bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + random(pick(random, [1, 12, 5000]));
    // A copy of its own, as a socket gives: a decoder that kept a view of something else would be found out.
    yield Buffer.from(bytes.subarray(at, end));
    at = end;
  }
}
