import assert from "node:assert/strict";
import { test } from "node:test";
import { untilLeft } from "./until-left.ts";

/** Loops over the numbers up to 3. @returns what it saw, and how often the stream was left */
async function loop(
  body: (item: number) => "break" | undefined,
  next?: () => Promise<number | null>,
): Promise<{ seen: number[]; left: number; error: unknown }> {
  let [item, left] = [0, 0];
  const seen: number[] = [];
  let thrown: unknown = null;
  const leave = (): Promise<void> => {
    left++;
    return Promise.resolve();
  };
  const numbers = (): Promise<number | null> => Promise.resolve(item < 3 ? ++item : null);
  try {
    for await (const each of untilLeft(next ?? numbers, leave)) {
      seen.push(each);
      if (body(each) === "break") break;
    }
  } catch (error) {
    thrown = error;
  }
  return { seen, left, error: thrown };
}

test("a loop that comes to its end leaves nothing", async () => {
  assert.deepEqual(await loop(() => undefined), { seen: [1, 2, 3], left: 0, error: null });
});

test("a loop that is left, or throws, leaves the stream", async () => {
  const broken = await loop((item) => (item === 2 ? "break" : undefined));
  assert.deepEqual(broken, { seen: [1, 2], left: 1, error: null });
  const error = new Error("of the loop");
  const threw = await loop(() => {
    throw error;
  });
  assert.deepEqual(threw, { seen: [1], left: 1, error });
});

test("an error of the stream's is told, and the stream is as it was", async () => {
  const error = new Error("of the stream");
  const failed = await loop(
    () => undefined,
    () => Promise.reject(error),
  );
  assert.deepEqual(failed, { seen: [], left: 0, error });
});
