import {
  areas,
  connectionMessages,
  enums,
  messages,
  services,
  streamMessages,
  structs,
} from "../src/protocol/schema/schema.ts";
import { serviceMistakes } from "./generate-protocol-services.ts";
import type { Fields, FieldType } from "../src/protocol/schema/types.ts";

/** Fails with every mistake in the schema that the generated codecs could not express. */
export function validateSchema(): void {
  const mistakes: string[] = [];
  const tags = new Map<number, string>();
  for (const [name, { tag, routes, fields }] of Object.entries(messages)) {
    const holder = tags.get(tag);
    if (holder !== undefined) mistakes.push(`${name} and ${holder} have the same tag ${tag}`);
    tags.set(tag, name);
    if (!Number.isInteger(tag) || tag < 0 || tag > 255) mistakes.push(`${name}: tag ${tag} is not one byte`);
    if (routes.length === 0) mistakes.push(`${name}: no route`);
    if ("type" in fields) mistakes.push(`${name}: a field cannot be called type`);
    mistakes.push(...fieldMistakes(name, fields));
  }
  for (const [name, fields] of Object.entries(structs)) mistakes.push(...fieldMistakes(name, fields));
  for (const [name, values] of Object.entries(enums)) {
    if (values.length === 0 || values.length > 256) mistakes.push(`${name}: ${values.length} values`);
    if (new Set(values).size !== values.length) mistakes.push(`${name}: a value appears twice`);
  }
  for (const part of ["enums", "structs", "messages", "services"] as const) {
    const names = areas.flatMap((area) => Object.keys(area[part] ?? {}));
    for (const name of names.filter((name, at) => names.indexOf(name) !== at))
      mistakes.push(`${part}: two areas have a ${name}`);
  }
  mistakes.push(...serviceMistakes({ messages, services, connectionMessages, streamMessages }));
  if (mistakes.length > 0) throw new Error(`src/protocol/schema/:\n  ${mistakes.join("\n  ")}`);
}

function fieldMistakes(owner: string, fields: Fields): string[] {
  return Object.entries(fields).flatMap(([field, type]) => typeMistakes(`${owner}.${field}`, type));
}

function typeMistakes(where: string, type: FieldType): string[] {
  if (typeof type === "string") return [];
  if ("optional" in type) return typeMistakes(where, type.optional);
  if ("enum" in type) return type.enum in enums ? [] : [`${where}: no enum ${type.enum}`];
  if ("struct" in type) return type.struct in structs ? [] : [`${where}: no struct ${type.struct}`];
  const mistakes = typeMistakes(where, type.list);
  // An element of no bytes would let a short message claim four thousand million elements.
  if (mistakes.length === 0 && minimumBytes(type.list) === 0)
    mistakes.push(`${where}: elements may be empty`);
  return mistakes;
}

/** The size of the smallest encoding of a type, in bytes. */
export function minimumBytes(type: FieldType): number {
  if (typeof type === "object") {
    if ("struct" in type) return fieldsMinimumBytes(structs[type.struct] ?? {});
    return "list" in type ? 4 : 1;
  }
  switch (type) {
    case "u8":
    case "bool":
      return 1;
    case "u16":
      return 2;
    case "u32":
    case "i32":
    case "str":
    case "bytes":
      return 4;
    case "u53":
    case "u64":
    case "i64":
      return 8;
  }
}

function fieldsMinimumBytes(fields: Fields): number {
  return Object.values(fields).reduce((sum, type) => sum + minimumBytes(type), 0);
}
