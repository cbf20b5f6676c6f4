import * as v from "valibot";

/** What {@link keyed} makes. */
export type KeyedSchema<Value extends v.GenericSchema> = v.GenericSchema<
  unknown,
  Record<string, v.InferOutput<Value>>
> & { readonly value: Value };

/**
 * An object whose keys are not ours: labels, hosts, files. Like `v.record`, which leaves `__proto__`, `constructor` and `prototype`
 * out without a word, but with every key; and an array is none.
 */
export function keyed<const Value extends v.GenericSchema>(value: Value): KeyedSchema<Value> {
  const isObject = (given: unknown): given is Record<string, unknown> =>
    typeof given === "object" && given !== null && !Array.isArray(given);
  const schema = v.pipe(
    v.custom<Record<string, unknown>>(isObject, "must be an object"),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const input = dataset.value;
      const output: [key: string, value: v.InferOutput<Value>][] = [];
      for (const [key, given] of Object.entries(input)) {
        const parsed = v.safeParse(value, given);
        if (!parsed.success) {
          const [{ message, path = [] }] = parsed.issues;
          addIssue({
            message,
            path: [{ type: "object", origin: "value", input, key, value: given }, ...path],
          });
          return NEVER;
        }
        output.push([key, parsed.output]);
      }
      // An entry becomes a property of the object itself, whatever its name.
      return Object.fromEntries(output);
    }),
  );
  return Object.assign(schema, { value });
}
