import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import type { MaybePromise } from "../http/inspector.ts";
import type { SecretValues } from "./secret-values.ts";

export type KnownValues = ReadonlyMap<SecretConfig, string>;

/** Without those that have no value now. A source that fails has none: what it says may be about the value, so nobody is told. */
export function valuesFor(
  secrets: Iterable<SecretConfig>,
  host: string,
  source: SecretValues,
): MaybePromise<KnownValues> {
  const values = new Map<SecretConfig, string>();
  const waited: Promise<void>[] = [];
  for (const secret of new Set(secrets)) {
    const keep = (value: string | null): void => {
      // Nobody means an empty one: it is a file or a variable that was not filled in.
      if (value !== null && value !== "") values.set(secret, value);
    };
    try {
      const value = source.value(secret.envVar, host);
      if (value instanceof Promise) waited.push(value.then(keep, () => undefined));
      else keep(value);
    } catch {
      // It has none.
    }
  }
  return waited.length === 0 ? values : Promise.all(waited).then(() => values);
}
