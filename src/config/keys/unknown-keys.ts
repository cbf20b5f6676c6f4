import { InvalidConfigError } from "../../errors/index.ts";
import { nearest } from "./nearest.ts";

/**
 * Refuses what is no object, and a key that nobody reads: a misspelled safety switch must not be dropped in silence. Keys with the value undefined are
 * not there.
 *
 * @param path of the object, as the user would write it: `registry.auth`; empty for the outermost one
 * @throws InvalidConfigError that names the key's path and the nearest known key, and never a value
 */
export function refuseUnknownKeys(
  path: string,
  given: unknown,
  known: readonly string[],
): asserts given is object {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new InvalidConfigError(`${path === "" ? "the configuration" : path} must be an object`, {
      hint: `Its keys are ${known.join(", ")}.`,
    });
  }
  const key = Object.keys(given).find(
    (candidate) => !known.includes(candidate) && Reflect.get(given, candidate) !== undefined,
  );
  if (key !== undefined) throw new InvalidConfigError(unknownKey(path, key, known), { hint: unknownKeyHint });
}

export const unknownKeyHint = "Correct the key, or leave it out.";

/** What is wrong with a key, in one clause. */
export function unknownKey(path: string, key: string, known: readonly string[]): string {
  const suggestion = nearest(key, known);
  const whole = path === "" ? key : `${path}.${key}`;
  const words = `there is no setting ${JSON.stringify(whole)}`;
  return suggestion === null ? words : `${words}: did you mean ${JSON.stringify(suggestion)}?`;
}
