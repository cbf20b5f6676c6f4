import { InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";
import { asksForNothing, laterGlobalKeys } from "../keys/later-keys.ts";
import { unknownKey, unknownKeyHint } from "../keys/unknown-keys.ts";

/** What this file needs to see of a schema of valibot. */
interface Schema {
  readonly entries?: Readonly<Record<string, Schema>>;
  readonly literal?: unknown;
  /** Of what may be missing or null. */
  readonly wrapped?: Schema;
  /** Of the values of an object whose keys are not ours. */
  readonly value?: Schema;
  /** Of a union. */
  readonly options?: readonly Schema[];
}

/**
 * Refuses what no part of `schema` would read, sections inside sections included.
 *
 * @param where it was read, for the message
 * @param path of `value` in the file, empty for the file itself
 * @throws InvalidConfigError that names the key's path and the nearest known key; UnsupportedOperationError for one that a later
 *   version brings
 */
export function refuseUnreadKeys(schema: object, value: unknown, where: string, path = ""): void {
  if (typeof value !== "object" || value === null) return;
  const { entries, wrapped, options, value: ofKey } = schema as Schema;
  // To valibot it is an object without any of the keys.
  if (Array.isArray(value) && entries !== undefined) {
    throw new InvalidConfigError(
      `${where}: ${path === "" ? "the file" : path} must be an object, not a list`,
      {
        hint: "Write it in braces: {}.",
      },
    );
  }
  if (wrapped !== undefined) refuseUnreadKeys(wrapped, value, where, path);
  else if (entries !== undefined) refuseOthers(entries, value, where, path);
  else if (ofKey !== undefined) {
    for (const [key, inner] of Object.entries(value)) refuseUnreadKeys(ofKey, inner, where, `${path}.${key}`);
  } else {
    // A kind that is none is told by the schema.
    const kind: unknown = Reflect.get(value, "kind");
    const option = options?.find((candidate) => candidate.entries?.["kind"]?.literal === kind);
    if (option !== undefined) refuseUnreadKeys(option, value, where, path);
  }
}

function refuseOthers(
  entries: Readonly<Record<string, Schema>>,
  value: object,
  where: string,
  path: string,
): void {
  const later = laterGlobalKeys[path] ?? {};
  const known = [...Object.keys(entries), ...Object.keys(later)];
  for (const [key, inner] of Object.entries(value)) {
    const whole = path === "" ? key : `${path}.${key}`;
    if (Object.hasOwn(entries, key)) refuseUnreadKeys(entries[key] ?? {}, inner, where, whole);
    else if (!Object.hasOwn(later, key))
      throw new InvalidConfigError(`${where}: ${unknownKey(path, key, known)}`, { hint: unknownKeyHint });
    else if (!asksForNothing(inner, later[key])) {
      throw new UnsupportedOperationError(
        `${where}: this version of microsandbox does not have ${whole} yet`,
        {
          hint: `Leave ${whole} out.`,
        },
      );
    }
  }
}
