import { InvalidConfigError } from "../errors/index.ts";

export type Pair = readonly [key: string, value: string];
/** Names with values: an object, a Map, or a list of pairs. */
export type PairsInput = Readonly<Record<string, string>> | Iterable<Pair>;

/**
 * The pairs that a user gave, in their order. What is in them is for the caller to check.
 *
 * @throws InvalidConfigError when they are none: `["A=B"]` is no list of pairs
 */
export function pairsOf(
  name: string,
  input: Readonly<Record<string, unknown>> | Iterable<readonly [key: string, value: unknown]>,
): (readonly [key: unknown, value: unknown])[] {
  const given: unknown = input;
  if (typeof given !== "object" || given === null) throw notPairs(name);
  if (!(Symbol.iterator in given)) return Object.entries(given);
  return [...(given as Iterable<unknown>)].map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2) throw notPairs(name);
    return [pair[0], pair[1]];
  });
}

function notPairs(name: string): InvalidConfigError {
  return new InvalidConfigError(`${name} is neither an object nor a list of pairs`, {
    hint: 'Write {NAME: "value"} or [["NAME", "value"]].',
  });
}

/** Of a key that comes more than once, the last value counts. */
export function joinPairs(earlier: readonly Pair[], later: readonly Pair[]): Pair[] {
  return [...new Map([...earlier, ...later])];
}
