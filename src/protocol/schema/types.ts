/**
 * What a schema is made of.
 *
 * A message is encoded as its tag (one byte) followed by its fields in order. Field types:
 *
 * | type         | wire                                       | TypeScript      | Rust        |
 * |--------------|--------------------------------------------|-----------------|-------------|
 * | `u8 u16 u32` | big-endian                                 | `number`        | same        |
 * | `i32`        | big-endian, two's complement               | `number`        | `i32`       |
 * | `u53`        | 8 bytes big-endian, at most 2^53 - 1       | `number`        | `u64`       |
 * | `u64`        | 8 bytes big-endian                         | `bigint`        | `u64`       |
 * | `i64`        | big-endian, two's complement               | `bigint`        | `i64`       |
 * | `bool`       | one byte, 0 or 1                           | `boolean`       | `bool`      |
 * | `str`        | u32 length, UTF-8 (invalid UTF-8 is refused)| `string`       | `String`    |
 * | `bytes`      | u32 length, bytes                          | `Uint8Array`    | `Vec<u8>`   |
 * | `{list: T}`  | u32 count, elements                        | `T[]`           | `Vec<T>`    |
 * | `{optional: T}` | one byte 0 or 1, then T                 | `T \| null`     | `Option<T>` |
 * | `{struct: N}`| the fields of struct N                     | interface N     | struct N    |
 * | `{enum: N}`  | one byte, index into the enum              | string union N  | enum N      |
 *
 * A decoder refuses trailing bytes, an unknown tag, an unknown enum index, and a list or string longer than what is left.
 */

export type FieldType =
  | "u8"
  | "u16"
  | "u32"
  | "i32"
  | "u53"
  | "u64"
  | "i64"
  | "bool"
  | "str"
  | "bytes"
  | { readonly list: FieldType }
  | { readonly optional: FieldType }
  | { readonly struct: string }
  | { readonly enum: string };

export type Fields = Readonly<Record<string, FieldType>>;

/** Who sends a message to whom. A peer refuses a message whose route is not one it receives on. */
export type Route = "supervisor→agent" | "agent→supervisor" | "client→supervisor" | "supervisor→client";

/** The other direction of the same hop. */
export const reverse: Readonly<Record<Route, Route>> = {
  "supervisor→agent": "agent→supervisor",
  "agent→supervisor": "supervisor→agent",
  "client→supervisor": "supervisor→client",
  "supervisor→client": "client→supervisor",
};

export interface MessageDefinition {
  /** Never reused for another message while the protocol version stays the same. */
  readonly tag: number;
  readonly routes: readonly Route[];
  readonly doc: string;
  readonly fields: Fields;
}

/** The two kinds of raw bytes that a stream can carry. What each of them is, is the service's to say. */
export type DataFlow = "data" | "extra";

/** One of the two who share a stream. */
export interface SideDefinition {
  /** What it may send after the stream was opened. Those of `stream.ts` are not listed: every service has them. */
  readonly messages: readonly string[];
  /** The kinds of raw bytes it may send. */
  readonly data: readonly DataFlow[];
}

/** What a stream can be opened for. */
export interface ServiceDefinition {
  readonly doc: string;
  /** The first message of a stream, which decides what the stream is for. Each opens one service only. */
  readonly opens: readonly string[];
  /** From whom to whom it may be opened. */
  readonly routes: readonly Route[];
  readonly opener: SideDefinition;
  readonly acceptor: SideDefinition & {
    /** The last message of a stream. The one who accepted a stream always has the last word; Failure is one, too. */
    readonly ends: readonly string[];
  };
}

/** A part of the schema. */
export interface Area {
  readonly enums?: Readonly<Record<string, readonly string[]>>;
  readonly structs?: Readonly<Record<string, Fields>>;
  readonly messages: Readonly<Record<string, MessageDefinition>>;
  readonly services?: Readonly<Record<string, ServiceDefinition>>;
}

export const toAgent = ["supervisor→agent"] as const;
export const fromAgent = ["agent→supervisor"] as const;
export const toSupervisor = ["client→supervisor"] as const;
export const toClient = ["supervisor→client"] as const;
export const down = ["client→supervisor", "supervisor→agent"] as const;
export const up = ["agent→supervisor", "supervisor→client"] as const;

/** A side that says nothing. */
export const silent: SideDefinition = { messages: [], data: [] };

/** A service of questions with one answer: the answer ends the stream. */
export function requests(
  doc: string,
  routes: readonly Route[],
  opens: readonly string[],
  ends: readonly string[],
): ServiceDefinition {
  return { doc, opens, routes, opener: silent, acceptor: { ...silent, ends } };
}
