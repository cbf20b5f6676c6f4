import * as v from "valibot";

/**
 * An object whose keys are a user's or a stranger's. Unlike valibot's `record` it keeps each of them: `__proto__`,
 * `prototype` and `constructor` are words like others, and become properties of the object itself.
 *
 * @example
 * ```ts
 * const labels = userKeys(v.string());
 * v.parse(labels, JSON.parse('{"constructor":"acme"}')); // { constructor: "acme" }
 * ```
 */
export function userKeys<V>(
  value: v.GenericSchema<unknown, V> | v.GenericSchema<string, V>,
): v.GenericSchema<Record<string, unknown>, Record<string, V>> {
  return v.pipe(
    v.custom<Record<string, unknown>>(
      (input) => typeof input === "object" && input !== null && !Array.isArray(input),
      "must be an object",
    ),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const kept: [string, V][] = [];
      for (const [key, input] of Object.entries(dataset.value)) {
        const parsed = v.safeParse(value, input);
        if (parsed.success) kept.push([key, parsed.output]);
        else {
          addIssue({
            message: parsed.issues[0].message,
            path: [{ type: "object", origin: "value", input: dataset.value, key, value: input }],
          });
          return NEVER;
        }
      }
      return Object.fromEntries(kept);
    }),
  );
}
