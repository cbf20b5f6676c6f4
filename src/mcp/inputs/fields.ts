import * as v from "valibot";

/** Fields that many tools have. */

function described<Schema extends v.GenericSchema>(
  schema: Schema,
  text: string,
): v.SchemaWithPipe<readonly [Schema, v.DescriptionAction<v.InferOutput<Schema>, string>]> {
  return v.pipe(schema, v.description(text));
}

export function text(
  description: string,
): v.SchemaWithPipe<readonly [v.StringSchema<undefined>, v.DescriptionAction<string, string>]> {
  return described(v.string(), description);
}

/** A text that may not be empty. */
export const filled = v.pipe(v.string(), v.minLength(1));

export function optionalText(
  description: string,
): v.OptionalSchema<
  v.SchemaWithPipe<readonly [v.StringSchema<undefined>, v.DescriptionAction<string, string>]>,
  undefined
> {
  return v.optional(text(description));
}

type Flag = v.OptionalSchema<
  v.SchemaWithPipe<readonly [v.BooleanSchema<undefined>, v.DescriptionAction<boolean, string>]>,
  undefined
>;

export function flag(description: string): Flag {
  return v.optional(described(v.boolean(), description));
}

type Whole = v.SchemaWithPipe<
  readonly [
    v.NumberSchema<undefined>,
    v.IntegerAction<number, undefined>,
    v.MinValueAction<number, number, undefined>,
    v.MaxValueAction<number, number, undefined>,
    v.DescriptionAction<number, string>,
  ]
>;

export function whole(least: number, most: number, description: string): Whole {
  return v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most), v.description(description));
}

export function optionalWhole(
  least: number,
  most: number,
  description: string,
): v.OptionalSchema<Whole, undefined> {
  return v.optional(whole(least, most, description));
}

type Texts = v.OptionalSchema<
  v.SchemaWithPipe<
    readonly [v.ArraySchema<v.StringSchema<undefined>, undefined>, v.DescriptionAction<string[], string>]
  >,
  undefined
>;

export function texts(description: string): Texts {
  return v.optional(described(v.array(v.string()), description));
}

type TextRecord = v.OptionalSchema<
  v.SchemaWithPipe<
    readonly [
      v.RecordSchema<v.StringSchema<undefined>, v.StringSchema<undefined>, undefined>,
      v.DescriptionAction<Record<string, string>, string>,
    ]
  >,
  undefined
>;

export function textRecord(description: string): TextRecord {
  return v.optional(described(v.record(v.string(), v.string()), description));
}

/** An hour is longer than any client waits. */
export const longestWaitMs = 3_600_000;

export const sandboxName = text("The sandbox.");
export const timeoutMs = optionalWhole(1, longestWaitMs, "How long to wait, ms.");
export const confirm = flag("Confirms what cannot be undone.");
/** Those of the pair are the same fields in text and bytes. */
export const encoding = v.optional(
  v.pipe(v.picklist(["utf8", "base64"]), v.description("How bytes are written: utf8 by default.")),
);
export const maxBytes = optionalWhole(
  1,
  16 << 20,
  "Bytes in the result, at most what the server allows (1 MiB); the rest can be read later.",
);
export const guestPath = text("Absolute path in the guest.");
export const hostPath = text("Path on the host, in a directory that the server allows.");
/** What a snapshot is called: never a path, which would be the host's. */
export const snapshotName = v.pipe(
  v.string(),
  v.regex(/^[^/]+$/, "a snapshot is named by its name or digest, not by a path"),
  v.description("Name or digest."),
);

/** Without the keys that were left out: the SDK tells them from undefined. */
export function given<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
