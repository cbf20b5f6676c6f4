/** Holds the TypeScript side of the protocol to `test/vectors/protocol.txt`; the agent's tests hold the Rust side to the same lines. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import { test } from "node:test";

import { pascal, snake } from "./generate-protocol-rust.ts";
import { ProtocolError } from "../src/errors/index.ts";
import { encodeFrame, FrameDecoder, FrameKind, type Frame } from "../src/protocol/frame.ts";
import { decodeMessage, encodeMessage, type Message } from "../src/protocol/generated/messages.ts";
import { Streams } from "../src/protocol/streams.ts";
import { messages, structs } from "../src/protocol/schema/schema.ts";
import type { Fields, FieldType, Route } from "../src/protocol/schema/types.ts";

const lines = readFileSync(new URL("../test/vectors/protocol.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));

/** Lines of one sort as their first `count` fields after the sort's name, and the rest of the line. */
function vectors(sort: string, count: number): string[][] {
  return lines
    .filter((line) => line.startsWith(`${sort} `))
    .map((line) => {
      const fields = line.split(" ").slice(1);
      return [...fields.slice(0, count), fields.slice(count).join(" ")];
    });
}

function part(fields: readonly string[], index: number): string {
  const value = fields[index];
  assert.ok(value !== undefined, `field ${index} is missing: ${fields.join(" ")}`);
  return value;
}

function hex(text: string): Buffer {
  const bytes = Buffer.from(text === "-" ? "" : text, "hex");
  assert.equal(bytes.toString("hex"), text === "-" ? "" : text);
  return bytes;
}

const allRoutes = [...new Set(Object.values(messages).flatMap((message) => message.routes))];

function asRoute(text: string): Route {
  const route = allRoutes.find((known) => known === text);
  assert.ok(route !== undefined, `unknown route ${text}`);
  return route;
}

function asKind(text: string): FrameKind {
  const kind = Object.values(FrameKind).find((known) => String(known) === text);
  assert.ok(kind !== undefined, `unknown kind ${text}`);
  return kind;
}

function refusal(rule: string): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof ProtocolError);
    assert.ok(error.message.startsWith(rule), `${error.message} does not begin with ${rule}`);
    assert.notEqual(error.hint, "");
    return true;
  };
}

/** A message as the vectors have it, which is what Rust's `{:?}` prints. */
function messageText(message: Message): string {
  const fields = messages[message.type]?.fields ?? {};
  if (Object.keys(fields).length === 0) return message.type;
  return `${message.type}(${structText(message.type, fields, message)})`;
}

function structText(name: string, fields: Fields, value: object): string {
  const values = new Map<string, unknown>(Object.entries(value));
  const members = Object.entries(fields).map(
    ([field, type]) => `${snake(field)}: ${valueText(type, values.get(field))}`,
  );
  return `${name} { ${members.join(", ")} }`;
}

function valueText(type: FieldType, value: unknown): string {
  if (typeof type === "object") {
    if ("optional" in type) return value === null ? "None" : `Some(${valueText(type.optional, value)})`;
    if ("list" in type && Array.isArray(value)) {
      return `[${value.map((item) => valueText(type.list, item)).join(", ")}]`;
    }
    if ("enum" in type && typeof value === "string") return pascal(value);
    if ("struct" in type && typeof value === "object" && value !== null) {
      return structText(type.struct, structs[type.struct] ?? {}, value);
    }
  } else if (type === "bytes" && value instanceof Uint8Array) return `[${value.join(", ")}]`;
  else if (type === "str" && typeof value === "string") return JSON.stringify(value);
  else if (type === "bool" && typeof value === "boolean") return String(value);
  else if ((type === "u64" || type === "i64") && typeof value === "bigint") return String(value);
  else if (typeof value === "number") return String(value);
  return assert.fail(`${String(value)} is not a ${JSON.stringify(type)}`);
}

test("every message has a vector, and every line has a known sort", () => {
  const covered = new Set(vectors("message", 2).map((fields) => part(fields, 2).split("(")[0]));
  assert.deepEqual([...covered].sort(), Object.keys(messages).sort());
  const known = ["message", "bad-message", "frame", "bad-frame", "bad-streams"].flatMap((sort) =>
    vectors(sort, 0),
  );
  assert.equal(known.length, lines.length);
});

for (const fields of vectors("message", 2)) {
  const [routes, bytes, text] = [part(fields, 0).split(",").map(asRoute), part(fields, 1), part(fields, 2)];
  test(`message ${text.slice(0, 80)}`, () => {
    for (const route of routes) {
      const message = decodeMessage(hex(bytes), route);
      assert.equal(messageText(message), text);
      assert.equal(encodeMessage(message).toString("hex"), bytes);
      assert.deepEqual(messages[message.type]?.routes, routes);
    }
    for (const route of allRoutes.filter((other) => !routes.includes(other))) {
      assert.throws(() => decodeMessage(hex(bytes), route), refusal("unexpected message tag"));
    }
    const first = routes[0];
    assert.ok(first !== undefined);
    for (let length = 0; length < hex(bytes).length; length++) {
      assert.throws(() => decodeMessage(hex(bytes).subarray(0, length), first), refusal("truncated message"));
    }
  });
}

for (const fields of vectors("bad-message", 2)) {
  test(`bad message ${fields.join(" ").slice(0, 100)}`, () => {
    assert.throws(
      () => decodeMessage(hex(part(fields, 1)), asRoute(part(fields, 0))),
      refusal(part(fields, 2)),
    );
  });
}

for (const fields of vectors("frame", 3)) {
  test(`frame ${fields.join(" ")}`, () => {
    const [stream, kind] = [Number(part(fields, 0)), asKind(part(fields, 1))];
    const [payload, bytes] = [hex(part(fields, 2)), hex(part(fields, 3))];
    assert.deepEqual(encodeFrame(stream, kind, payload), bytes);
    assert.deepEqual(new FrameDecoder().push(bytes), [{ stream, kind, payload }]);
  });
}

for (const fields of vectors("bad-frame", 2)) {
  test(`bad frame ${fields.join(" ")}`, () => {
    const [count, bytes] = [Number(part(fields, 0)), hex(part(fields, 1))];
    const decoder = new FrameDecoder();
    for (let at = 0; at < count - 1; at++) decoder.push(bytes.subarray(at, at + 1));
    assert.throws(() => decoder.push(bytes.subarray(count - 1, count)), refusal(part(fields, 2)));
    assert.throws(() => new FrameDecoder().push(bytes), refusal(part(fields, 2)));
  });
}

for (const fields of vectors("bad-streams", 2)) {
  const [routes, bytes, rule] = [
    part(fields, 0).split(",").map(asRoute),
    hex(part(fields, 1)),
    part(fields, 2),
  ];
  const received = routes.filter((route) => route !== "supervisor→agent");
  for (const route of received) {
    test(`bad streams on ${route}: ${rule}, ${fields[1]?.slice(0, 60)}`, async () => {
      const frames = new FrameDecoder().push(bytes);
      const refused = await streamsFailure(route, frames);
      assert.ok(refused !== null);
      refusal(rule)(refused);
      assert.equal(await streamsFailure(route, frames.slice(0, -1)), null);
    });
  }
}

/** What a receiver that answers nothing finds wrong with these frames. */
async function streamsFailure(incoming: Route, frames: readonly Frame[]): Promise<Error | null> {
  const peer = new PassThrough();
  const nobody = { message: () => undefined, data: () => undefined, lost: () => undefined };
  const closed = new Promise<Error | null>((resolve) => {
    new Streams(
      peer,
      { incoming },
      {
        message: () => undefined,
        accept: () => nobody,
        reason: () => new Error("the connection is gone"),
        closed: resolve,
      },
    );
  });
  for (const { stream, kind, payload } of frames) peer.write(encodeFrame(stream, kind, payload));
  peer.end();
  return await closed;
}
