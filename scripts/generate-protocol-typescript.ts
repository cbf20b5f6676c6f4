import { PROTOCOL_VERSION } from "../src/protocol/schema/limits.ts";
import { enums, messages, structs } from "../src/protocol/schema/schema.ts";
import type { Fields, FieldType, Route } from "../src/protocol/schema/types.ts";
import { minimumBytes } from "./generate-protocol-validate.ts";

/** The text of `src/protocol/generated/messages.ts`. */
export function typescriptMessages(): string {
  return `// Generated from src/protocol/schema/ by scripts/generate-protocol.ts. Change the schema, then run \`npm run generate\`.

import type { Route } from "../schema/types.ts";
import { violation } from "../violation.ts";
import { WireReader, WireWriter } from "../wire.ts";

/** Both ends of a hop must have the same one; compared in the first message each sends. */
export const PROTOCOL_VERSION = ${PROTOCOL_VERSION};

${Object.entries(enums).map(enumSource).join("\n")}
${Object.entries(structs).map(structSource).join("\n")}
${Object.entries(messages)
  .map(([name, { doc, fields }]) => messageInterface(name, doc, fields))
  .join("\n")}
export type Message =
${Object.keys(messages).map(unionMember).join("\n")};

/** Which messages may travel on which route. */
export interface MessageOn {
${routes().map(routeMember).join("\n")}
}

/**
 * Encodes one control message: its tag, then its fields.
 *
 * @returns The payload of a control frame.
 * @throws ProtocolError when a value does not fit its field. Nothing was sent then.
 */
export function encodeMessage(message: Message): Buffer {
  const writer = new WireWriter(message.type);
  switch (message.type) {
${Object.entries(messages)
  .map(([name, { tag, fields }]) => encodeCase(name, tag, fields))
  .join("\n")}
  }
  return writer.finish();
}

/**
 * Decodes the payload of a control frame. Fields of type \`bytes\` are views of \`bytes\`, not copies.
 *
 * @param route - Where the frame came from and who reads it.
 * @throws ProtocolError for an unknown tag, a message that may not travel on this route, bytes missing or left over, and a
 *   value that its field does not allow.
 */
export function decodeMessage<R extends Route>(bytes: Uint8Array, route: R): MessageOn[R] {
  const reader = new WireReader(bytes);
  const tag = reader.u8();
  const entry = entries.get(tag);
  if (entry === undefined || !entry.routes.includes(route)) {
    throw violation(\`unexpected message tag: \${tag} (\${entry?.type ?? "of no message"}) on \${route}\`);
  }
  reader.message = entry.type;
  const message = entry.read(reader);
  reader.end();
  return message as MessageOn[R];
}

interface Entry {
  readonly type: Message["type"];
  readonly routes: readonly Route[];
  readonly read: (reader: WireReader) => Message;
}

/** By tag. */
const entries: ReadonlyMap<number, Entry> = new Map<number, Entry>([
${Object.entries(messages)
  .map(([name, { tag, routes: on, fields }]) => decodeEntry(name, tag, on, fields))
  .join("\n")}
]);

${Object.entries(structs).map(structCodec).join("\n")}`;
}

function enumSource([name, values]: [string, readonly string[]]): string {
  const list = enumConstant(name);
  return `export const ${list} = [${values.map(quote).join(", ")}] as const;
export type ${name} = (typeof ${list})[number];
`;
}

function structSource([name, fields]: [string, Fields]): string {
  return `export interface ${name} {\n${members(fields)}}\n`;
}

function messageInterface(name: string, doc: string, fields: Fields): string {
  return `/** ${doc} */
export interface ${name}Message {
  readonly type: ${quote(name)};
${members(fields)}}
`;
}

function members(fields: Fields): string {
  return Object.entries(fields)
    .map(([field, type]) => `  readonly ${field}: ${typeName(type)};\n`)
    .join("");
}

function unionMember(name: string): string {
  return `  | ${name}Message`;
}

function routes(): readonly Route[] {
  return [...new Set(Object.values(messages).flatMap((message) => message.routes))];
}

function routeMember(route: Route): string {
  const names = Object.keys(messages).filter((name) => messages[name]?.routes.includes(route));
  return `  readonly ${quote(route)}:\n${names.map((name) => `  ${unionMember(name)}`).join("\n")};`;
}

function encodeCase(name: string, tag: number, fields: Fields): string {
  const writes = Object.entries(fields).map(([field, type]) => `      ${write(type, `message.${field}`)};\n`);
  return `    case ${quote(name)}:\n      writer.u8(${tag});\n${writes.join("")}      break;`;
}

function decodeEntry(name: string, tag: number, on: readonly Route[], fields: Fields): string {
  const reader = Object.keys(fields).length === 0 ? "()" : "(reader)";
  return `  [
    ${tag},
    {
      type: ${quote(name)},
      routes: [${on.map(quote).join(", ")}],
      read: ${reader} => ({
        type: ${quote(name)},
${reads(fields, "        ")}      }),
    },
  ],`;
}

function structCodec([name, fields]: [string, Fields]): string {
  const writes = Object.entries(fields).map(([field, type]) => `  ${write(type, `value.${field}`)};\n`);
  return `export function write${name}(writer: WireWriter, value: ${name}): void {
${writes.join("")}}

export function read${name}(reader: WireReader): ${name} {
  return {
${reads(fields, "    ")}  };
}
`;
}

function reads(fields: Fields, indent: string): string {
  return Object.entries(fields)
    .map(([field, type]) => `${indent}${field}: ${read(type)},\n`)
    .join("");
}

function typeName(type: FieldType): string {
  if (typeof type === "object") {
    if ("list" in type) return `readonly ${typeName(type.list)}[]`;
    if ("optional" in type) return `${typeName(type.optional)} | null`;
    return "struct" in type ? type.struct : type.enum;
  }
  switch (type) {
    case "u64":
    case "i64":
      return "bigint";
    case "bool":
      return "boolean";
    case "str":
      return "string";
    case "bytes":
      return "Uint8Array";
    default:
      return "number";
  }
}

function write(type: FieldType, value: string): string {
  if (typeof type === "string") return `writer.${type}(${value})`;
  if ("list" in type) return `writer.list(${value}, (item) => ${write(type.list, "item")})`;
  if ("optional" in type) return `writer.optional(${value}, (item) => ${write(type.optional, "item")})`;
  if ("struct" in type) return `write${type.struct}(writer, ${value})`;
  return `writer.choice(${enumConstant(type.enum)}, ${value})`;
}

function read(type: FieldType): string {
  if (typeof type === "string") return `reader.${type}()`;
  if ("list" in type) return `reader.list(${minimumBytes(type.list)}, () => ${read(type.list)})`;
  if ("optional" in type) return `reader.optional(() => ${read(type.optional)})`;
  if ("struct" in type) return `read${type.struct}(reader)`;
  return `reader.choice(${enumConstant(type.enum)})`;
}

/** `StdinMode` → `stdinModes`. */
function enumConstant(name: string): string {
  return `${name.charAt(0).toLowerCase()}${name.slice(1)}s`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
