import { diskModule, earlyModules } from "../src/protocol/schema/guest-modules.ts";
import { frameKinds, limits, odd, openStreams } from "../src/protocol/schema/limits.ts";
import { connectionMessages, messages, services } from "../src/protocol/schema/schema.ts";
import {
  reverse,
  type Route,
  type ServiceDefinition,
  type SideDefinition,
} from "../src/protocol/schema/types.ts";
import { pascal } from "./generate-protocol-rust.ts";

const head = (comment: string): string =>
  `${comment} Generated from src/protocol/schema/ by scripts/generate-protocol.ts. Change the schema, then run \`npm run generate\`.\n`;

/** The text of `src/protocol/generated/limits.ts`. */
export function typescriptLimits(): string {
  const constants = Object.entries(limits).map(
    ([name, { value, doc }]) => `/** ${doc} */\nexport const ${name} = ${value};\n`,
  );
  const most = Object.entries(openStreams).map(([route, count]) => `  ${quote(route)}: ${count},\n`);
  return `${head("//")}
import type { Route } from "../schema/types.ts";

${constants.join("")}
/** What a frame carries. */
export const FrameKind = { ${Object.entries(frameKinds)
    .map(([name, byte]) => `${name}: ${byte}`)
    .join(", ")} } as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** How many streams whoever sends on a route may have open at a time. */
export const MAX_OPEN_STREAMS: Readonly<Record<Route, number>> = {
${most.join("")}};

/** Whoever sends on these routes opens streams with odd numbers, the other end with even ones. */
export const ODD_ROUTES: readonly Route[] = [${odd.map(quote).join(", ")}];
`;
}

/** The text of `src/protocol/generated/services.ts`. */
export function typescriptServices(): string {
  const entries = Object.entries(services);
  const openers = entries.flatMap(([name, { opens }]) => opens.map((type) => [type, name] as const));
  return `${head("//")}
import type { Route } from "../schema/types.ts";
import type { Message } from "./messages.ts";

type MessageType = Message["type"];

/** What one of the two who share a stream may send after it was opened. */
export interface SideRules {
  readonly messages: readonly MessageType[];
  readonly data: boolean;
  readonly extra: boolean;
}

/** What a stream can be opened for, and what may travel on it then. */
export interface Service {
  readonly name: string;
  /** From whom to whom it may be opened. */
  readonly routes: readonly Route[];
  readonly opener: SideRules;
  readonly acceptor: SideRules;
  /** The acceptor's last message; Failure is one, too. */
  readonly ends: readonly MessageType[];
}

${entries.map(([name, service]) => `/** ${service.doc} */\nconst ${name}: Service = {\n${typescriptRules(name, service)}};\n`).join("\n")}
/** By the message that opens a stream of it. */
export const serviceOpenedBy: ReadonlyMap<MessageType, Service> = new Map<MessageType, Service>([
${openers.map(([type, name]) => `  [${quote(type)}, ${name}],\n`).join("")}]);

/** What may be said on stream 0. */
export const connectionMessages: readonly MessageType[] = [
${connectionMessages.map((type) => `  ${quote(type)},\n`).join("")}];
`;
}

function typescriptRules(name: string, { routes, opener, acceptor }: ServiceDefinition): string {
  return `  name: ${quote(name)},
  routes: [${routes.map(quote).join(", ")}],
  opener: ${typescriptSide(opener)},
  acceptor: ${typescriptSide(acceptor)},
  ends: [${acceptor.ends.map(quote).join(", ")}],
`;
}

function typescriptSide({ messages: types, data }: SideDefinition): string {
  return `{ messages: [${types.map(quote).join(", ")}], data: ${data.includes("data")}, extra: ${data.includes("extra")} }`;
}

/** The text of `agent/src/generated/limits.rs`. */
export function rustLimits(): string {
  const constants = Object.entries(limits).map(
    ([name, { value, doc }]) => `/// ${doc}\npub const ${name}: usize = ${value};\n`,
  );
  const kinds = Object.entries(frameKinds).map(([name, byte]) => [pascal(name), byte] as const);
  return `${head("//")}
${constants.join("")}
/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FrameKind {
${kinds.map(([name, byte]) => `    ${name} = ${byte},\n`).join("")}}

impl FrameKind {
    /// By the byte of a frame's header.
    pub fn of(byte: u8) -> Option<FrameKind> {
        match byte {
${kinds.map(([name, byte]) => `            ${byte} => Some(FrameKind::${name}),\n`).join("")}            _ => None,
        }
    }
}
`;
}

/** The text of `agent/src/generated/modules.rs`. */
export function rustModules(): string {
  return `${head("//")}
/// Everything that is needed before the supervisor's first message, and the file systems. Dependencies come first.
pub const EARLY: &[&str] = &[
${earlyModules.map((name) => `    ${quote(name)},\n`).join("")}];

/// Loaded when the supervisor says which disks are there: what is behind a disk may change until then, and its driver
/// reads the size only once.
pub const DISK: &str = ${quote(diskModule)};
`;
}

/** The text of \`agent/src/generated/services.rs\`, laid out as rustfmt lays it out. It knows the services of the agent's own hop. */
export function rustServices(): string {
  const here = Object.entries(services).filter(([, { routes }]) => routes.some(isAgents));
  const supervisors = here.filter(([, { routes }]) => routes.includes("supervisor→agent"));
  const agents = here.filter(([, { routes }]) => routes.includes("agent→supervisor"));
  return `${head("//")}
//! What streams can be opened for on the hop between supervisor and agent, and what may travel on them.

#![allow(dead_code)]

use super::messages::Message;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Service {
${here.map(([name, { doc }]) => `    /// ${doc}\n    ${pascal(name)},\n`).join("")}}

impl Service {
    /// What a message of the supervisor's opens a stream for.
    pub fn opened_by(message: &Message) -> Option<Service> {
${optionMatch(supervisors)}    }

    /// What a message of the agent's own opens a stream for.
    pub fn opened_with(message: &Message) -> Option<Service> {
${optionMatch(agents)}    }

    /// Whether the one who opened the stream may send this.
    pub fn from_opener(self, message: &Message) -> bool {
${boolMatch(here.map(([name, { opener }]) => [name, opener.messages]))}    }

    /// Whether the one who accepted the stream may send this.
    pub fn from_acceptor(self, message: &Message) -> bool {
${boolMatch(here.map(([name, { acceptor }]) => [name, [...acceptor.messages, ...acceptor.ends]]))}    }

    /// Whether the stream is over with this message of the one who accepted it.
    pub fn ends_with(self, message: &Message) -> bool {
${boolMatch(here.map(([name, { acceptor }]) => [name, [...acceptor.ends, "Failure"]]))}    }

    /// Whether the one who opened the stream may send data, and extra.
    pub fn opener_data(self) -> (bool, bool) {
${dataMatch(here.map(([name, { opener }]) => [name, opener]))}    }

    /// Whether the one who accepted the stream may send data, and extra.
    pub fn acceptor_data(self) -> (bool, bool) {
${dataMatch(here.map(([name, { acceptor }]) => [name, acceptor]))}    }
}

/// Whether the supervisor may say this on stream 0.
pub fn is_for_connection(message: &Message) -> bool {
    matches!(
        message,
${alternatives(
  connectionMessages.filter((type) => travels(type, "supervisor→agent") && type !== "Failure"),
  "        ",
)}
    )
}
`;
}

function isAgents(route: Route): boolean {
  return route === "supervisor→agent" || reverse[route] === "supervisor→agent";
}

function travels(type: string, route: Route): boolean {
  return messages[type]?.routes.includes(route) === true;
}

function pattern(type: string): string {
  return Object.keys(messages[type]?.fields ?? {}).length === 0 ? `Message::${type}` : `Message::${type}(_)`;
}

function alternatives(types: readonly string[], indent: string): string {
  return types.map((type, at) => `${indent}${at === 0 ? "" : "    | "}${pattern(type)}`).join("\n");
}

function optionMatch(openers: readonly (readonly [string, ServiceDefinition])[]): string {
  const arms = openers.flatMap(([name, { opens }]) =>
    opens.map((type) => `            ${pattern(type)} => Some(Service::${pascal(name)}),\n`),
  );
  return `        match message {\n${arms.join("")}            _ => None,\n        }\n`;
}

/** Only messages that the agent's hop knows. */
function boolMatch(lists: readonly (readonly [string, readonly string[]])[]): string {
  const arms = lists.map(([name, types]) => {
    const known = types.filter((type) => messages[type]?.routes.some(isAgents) === true).map(pattern);
    if (known.length === 0) return `            Service::${pascal(name)} => false,\n`;
    const short = `            Service::${pascal(name)} => matches!(message, ${known.join(" | ")}),\n`;
    if (short.length <= 101) return short;
    return `            Service::${pascal(name)} => matches!(
                message,
                ${known.join(" | ")}
            ),\n`;
  });
  return `        match self {\n${arms.join("")}        }\n`;
}

function dataMatch(sides: readonly (readonly [string, SideDefinition])[]): string {
  const arms = sides.map(
    ([name, { data }]) =>
      `            Service::${pascal(name)} => (${data.includes("data")}, ${data.includes("extra")}),\n`,
  );
  return `        match self {\n${arms.join("")}        }\n`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
