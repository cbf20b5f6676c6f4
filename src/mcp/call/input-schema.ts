import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";

type JsonObject = Readonly<Record<string, unknown>>;

/** Fields that are understood, and that nobody is told of: another one is the same. */
const unlisted = new WeakSet<object>();

/** A second name of a field: whoever knows it from elsewhere may use it, and whoever reads the list need not. */
export function alias<Schema extends v.GenericSchema>(schema: Schema): Schema {
  unlisted.add(schema);
  return schema;
}

/** Where the whole schema of some fields is told already. */
export interface ToldElsewhere {
  readonly tool: string;
  /** In which of its fields, when they are no fields of its own. */
  readonly within?: string;
  readonly fields: readonly string[];
}

/**
 * JSON Schema of a tool's input as clients get it. An agent pays for each word of it in every conversation, so it has what tells
 * something: that keys are texts, and that the others are refused, is so of all of them.
 */
export function inputSchema(entries: v.ObjectEntries, elsewhere: ToldElsewhere | null): JsonObject {
  const listed = Object.fromEntries(Object.entries(entries).filter(([, schema]) => !unlisted.has(schema)));
  const whole = toJsonSchema(v.strictObject(listed), { typeMode: "input" }) as JsonObject;
  const { properties, ...others } = terse(whole) as JsonObject & { readonly properties: JsonObject };
  return { ...others, properties: elsewhere === null ? properties : pointing(properties, elsewhere) };
}

function pointing(properties: JsonObject, { tool, within, fields }: ToldElsewhere): JsonObject {
  const where = within === undefined ? tool : `${within} of ${tool}`;
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => {
      if (!fields.includes(name)) return [name, schema];
      return [name, { type: (schema as JsonObject)["type"], description: `As ${where} has it.` }];
    }),
  );
}

/** A greater number than anybody says is no limit. */
const noLimit = 2 ** 30;

function terse(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(terse);
  if (typeof schema !== "object" || schema === null) return schema;
  const kept = Object.entries(schema).filter(([key, value]) => tells(key, value));
  return Object.fromEntries(kept.map(([key, value]) => [key, terse(value)]));
}

function tells(key: string, value: unknown): boolean {
  switch (key) {
    case "$schema":
    case "propertyNames":
      return false;
    case "additionalProperties":
      return value !== false;
    case "required":
      return !Array.isArray(value) || value.length > 0;
    case "maximum":
      return Number(value) < noLimit;
    default:
      return true;
  }
}
