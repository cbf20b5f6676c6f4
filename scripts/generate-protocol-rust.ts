import { PROTOCOL_VERSION } from "../src/protocol/schema/limits.ts";
import { enums, messages, structs } from "../src/protocol/schema/schema.ts";
import type { Fields, FieldType, MessageDefinition } from "../src/protocol/schema/types.ts";
import { minimumBytes } from "./generate-protocol-validate.ts";

type NamedMessage = readonly [name: string, definition: MessageDefinition];

/**
 * The text of `agent/src/generated/messages.rs`, laid out as rustfmt lays it out. It knows only the messages of the agent's own
 * hop, and outside of tests the agent decodes only what it receives.
 */
export function rustMessages(): string {
  const received = messagesOn("supervisor→agent");
  const sent = messagesOn("agent→supervisor");
  const all = Object.entries(messages).filter(([name]) => isIn(name, received) || isIn(name, sent));
  const used = usedTypes(all.map(([, { fields }]) => fields));
  const usedEnums = Object.entries(enums).filter(([name]) => used.has(name));
  const usedStructs = Object.entries(structs).filter(([name]) => used.has(name));
  return `// Generated from src/protocol/schema/ by scripts/generate-protocol.ts. Change the schema, then run \`npm run generate\`.

//! The control messages of the hop between supervisor and agent.

#![allow(dead_code)]

use crate::protocol::wire::*;

/// Both ends of a hop must have the same one; compared in the first message each sends.
pub const PROTOCOL_VERSION: u32 = ${PROTOCOL_VERSION};

${usedEnums.map(enumSource).join("\n")}
${usedStructs.map(([name, fields]) => structSource(name, "", fields, false)).join("\n")}
${all
  .filter(([, { fields }]) => !isEmpty(fields))
  .map(([name, { doc, fields }]) => structSource(name, doc, fields, !isIn(name, received)))
  .join("\n")}
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
${all.map(variant).join("")}}

impl Message {
    /// Appends the message: its tag, then its fields.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
${all.map(encodeArm).join("")}        }
    }

    /// Decodes the payload of a control frame that the supervisor sent.
    pub fn decode(bytes: &[u8]) -> Result<Message, WireError> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8()? {
${received.map(decodeArm).join("")}            _ => return Err(WireError::UnexpectedTag),
        };
        reader.end()?;
        Ok(message)
    }

    /// Decodes what the agent itself sends.
    #[cfg(test)]
    pub fn decode_sent(bytes: &[u8]) -> Result<Message, WireError> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8()? {
${sent.map(decodeArm).join("")}            _ => return Err(WireError::UnexpectedTag),
        };
        reader.end()?;
        Ok(message)
    }
}
`;
}

function messagesOn(route: MessageDefinition["routes"][number]): readonly NamedMessage[] {
  return Object.entries(messages).filter(([, definition]) => definition.routes.includes(route));
}

function isIn(name: string, list: readonly NamedMessage[]): boolean {
  return list.some(([other]) => other === name);
}

function isEmpty(fields: Fields): boolean {
  return Object.keys(fields).length === 0;
}

/** Names of the structs and enums that these fields need, directly or through a struct. */
function usedTypes(fieldSets: readonly Fields[]): ReadonlySet<string> {
  const used = new Set<string>();
  const visit = (type: FieldType): void => {
    if (typeof type === "string") return;
    if ("list" in type) visit(type.list);
    else if ("optional" in type) visit(type.optional);
    else if ("enum" in type) used.add(type.enum);
    else {
      used.add(type.struct);
      Object.values(structs[type.struct] ?? {}).forEach(visit);
    }
  };
  for (const fields of fieldSets) Object.values(fields).forEach(visit);
  return used;
}

function enumSource([name, values]: [string, readonly string[]]): string {
  return `#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ${name} {
${values.map((value) => `    ${pascal(value)},\n`).join("")}}

impl ${name} {
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        match reader.u8()? {
${values.map((value, index) => `            ${index} => Ok(${name}::${pascal(value)}),\n`).join("")}            _ => Err(WireError::BadEnum),
        }
    }
}
`;
}

function structSource(name: string, doc: string, fields: Fields, decodeInTestsOnly: boolean): string {
  const members = Object.entries(fields).map(
    ([field, type]) => `    pub ${snake(field)}: ${typeName(type)},\n`,
  );
  const writes = Object.entries(fields).map(([field, type]) => writeField(type, `self.${snake(field)}`));
  const reads = Object.entries(fields).map(
    ([field, type]) => `            ${snake(field)}: ${read(type)}?,\n`,
  );
  const comment = doc === "" ? "" : `/// ${doc}\n`;
  return `${comment}#[derive(Clone, Debug, PartialEq)]
pub struct ${name} {
${members.join("")}}

impl ${name} {
    pub fn encode(&self, out: &mut Vec<u8>) {
${writes.map((line) => `        ${line};\n`).join("")}    }

${decodeInTestsOnly ? "    #[cfg(test)]\n" : ""}    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(${name} {
${reads.join("")}        })
    }
}
`;
}

function variant([name, { doc, fields }]: NamedMessage): string {
  return isEmpty(fields) ? `    /// ${doc}\n    ${name},\n` : `    ${name}(${name}),\n`;
}

function encodeArm([name, { tag, fields }]: NamedMessage): string {
  if (isEmpty(fields)) return `            Message::${name} => put_u8(out, ${tag}),\n`;
  return `            Message::${name}(message) => {
                put_u8(out, ${tag});
                message.encode(out);
            }
`;
}

function decodeArm([name, { tag, fields }]: NamedMessage): string {
  if (isEmpty(fields)) return `            ${tag} => Message::${name},\n`;
  return `            ${tag} => Message::${name}(${name}::decode(&mut reader)?),\n`;
}

function typeName(type: FieldType): string {
  if (typeof type === "object") {
    if ("list" in type) return `Vec<${typeName(type.list)}>`;
    if ("optional" in type) return `Option<${typeName(type.optional)}>`;
    return "struct" in type ? type.struct : type.enum;
  }
  switch (type) {
    case "u53":
      return "u64";
    case "str":
      return "String";
    case "bytes":
      return "Vec<u8>";
    default:
      return type;
  }
}

/** A statement that writes a field which `place` names. */
function writeField(type: FieldType, place: string): string {
  return typeof type === "string" && !isBorrowed(type) ? write(type, place, "") : write(type, place, "&");
}

/** `borrow` is `&` when `place` is the value itself and empty when it is a reference (or a copied number) already. */
function write(type: FieldType, place: string, borrow: string): string {
  if (typeof type === "string") return `put_${type}(out, ${borrow}${place})`;
  if ("list" in type) return `put_list(out, ${borrow}${place}, ${elementWriter(type.list)})`;
  if ("optional" in type) return `put_optional(out, ${borrow}${place}, ${elementWriter(type.optional)})`;
  if ("enum" in type) return `put_u8(out, ${place} as u8)`;
  return `${place}.encode(out)`;
}

/** A function of the output and a reference to one element. */
function elementWriter(type: FieldType): string {
  if (typeof type === "object" && "enum" in type) return "|out, item| put_u8(out, *item as u8)";
  if (typeof type === "object") return `|out, item| ${write(type, "item", "")}`;
  return `|out, item| put_${type}(out, ${isBorrowed(type) ? "" : "*"}item)`;
}

function isBorrowed(type: FieldType): boolean {
  return type === "str" || type === "bytes";
}

function read(type: FieldType): string {
  if (typeof type === "string") return `reader.${type}()`;
  if ("list" in type) return `reader.list(${minimumBytes(type.list)}, ${elementReader(type.list)})`;
  if ("optional" in type) return `reader.optional(${elementReader(type.optional)})`;
  return `${"struct" in type ? type.struct : type.enum}::decode(reader)`;
}

function elementReader(type: FieldType): string {
  if (typeof type === "string") return `Reader::${type}`;
  if ("struct" in type) return `${type.struct}::decode`;
  if ("enum" in type) return `${type.enum}::decode`;
  return `|reader| ${read(type)}`;
}

/** `upperSizeMib` → `upper_size_mib`, as the Rust side names it. */
export function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** `null` → `Null`. */
export function pascal(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
