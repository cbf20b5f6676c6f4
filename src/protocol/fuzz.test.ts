/**
 * Random input for both decoders. Each test prints its seed; `PROTOCOL_FUZZ_SEED=… node --test src/protocol/fuzz.test.ts` replays a run and
 * `PROTOCOL_FUZZ_ROUNDS` makes it longer.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { chunks, mutate, pick, randomBytes, rounds, seeded, type Random } from "../../test/support/fuzz.ts";
import { ProtocolError } from "../errors/index.ts";
import { encodeFrame, FrameDecoder, FrameKind, type Frame } from "./frame.ts";
import { decodeMessage, encodeMessage, type Message } from "./generated/messages.ts";
import { enums, messages, structs } from "./schema/schema.ts";
import type { Fields, FieldType, Route } from "./schema/types.ts";

function randomFields(random: Random, fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, randomValue(random, type)]));
}

function randomValue(random: Random, type: FieldType): unknown {
  if (typeof type === "object") {
    if ("optional" in type) return random(2) === 0 ? null : randomValue(random, type.optional);
    if ("list" in type) return Array.from({ length: random(4) }, () => randomValue(random, type.list));
    return "enum" in type
      ? pick(random, enums[type.enum] ?? [])
      : randomFields(random, structs[type.struct] ?? {});
  }
  switch (type) {
    case "bool":
      return random(2) === 1;
    case "str":
      return pick(random, ["", "a", "PATH=/bin", "漢字😀", "\0\uFEFF", "x".repeat(random(300))]);
    case "bytes":
      return Uint8Array.from(randomBytes(random, random(40)));
    case "u64":
      return pick(random, [0n, BigInt(random(2 ** 32)), 2n ** 64n - 1n]);
    case "i64":
      return pick(random, [0n, BigInt(random(2 ** 32)) - 2n ** 31n, -(2n ** 63n), 2n ** 63n - 1n]);
    case "u53":
      return pick(random, [0, random(2 ** 53), Number.MAX_SAFE_INTEGER]);
    case "i32":
      return pick(random, [0, random(2 ** 32) - 2 ** 31, -1, -(2 ** 31)]);
    default: {
      const limit = 2 ** Number(type.slice(1));
      return pick(random, [0, random(limit), limit - 1]);
    }
  }
}

function randomMessage(random: Random): Message {
  const type = pick(random, Object.keys(messages));
  return { type, ...randomFields(random, messages[type]?.fields ?? {}) } as Message;
}

/** `bytes` fields come back as views into a Buffer; this makes them comparable. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}

const allRoutes: readonly Route[] = [
  "supervisor→agent",
  "agent→supervisor",
  "client→supervisor",
  "supervisor→client",
];

test("every message survives the wire", (context) => {
  const random = seeded(context);
  for (let round = rounds(3000); round > 0; round--) {
    const message = randomMessage(random);
    const route = pick(random, messages[message.type]?.routes ?? []);
    assert.deepEqual(plain(decodeMessage(encodeMessage(message), route)), plain(message));
  }
});

test("whatever a peer sends as a message, the worst that happens is a ProtocolError", (context) => {
  const random = seeded(context);
  let accepted = 0;
  let refused = 0;
  for (let round = rounds(10_000); round > 0; round--) {
    const bytes =
      random(4) === 0
        ? randomBytes(random, random(60))
        : mutate(random, encodeMessage(randomMessage(random)));
    const route = pick(random, allRoutes);
    try {
      const message = decodeMessage(bytes, route);
      accepted++;
      assert.ok(messages[message.type]?.routes.includes(route));
      // What is accepted has one form only.
      assert.deepEqual(encodeMessage(message), bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      refused++;
    }
  }
  assert.ok(accepted > 0 && refused > 0, `${accepted} accepted, ${refused} refused`);
});

test("any chunking gives the same frames", (context) => {
  const random = seeded(context);
  for (let round = rounds(500); round > 0; round--) {
    const sent = Array.from({ length: 1 + random(12) }, (): Frame => {
      const kind = pick(random, Object.values(FrameKind));
      const payload = randomBytes(random, 1 + random(pick(random, [2, 20, 3000])));
      return { stream: 1 + random(5), kind, payload };
    });
    const bytes = Buffer.concat(sent.map(({ stream, kind, payload }) => encodeFrame(stream, kind, payload)));
    const decoder = new FrameDecoder();
    const received: Frame[] = [];
    for (const chunk of chunks(random, bytes)) received.push(...decoder.push(chunk));
    decoder.end();
    assert.deepEqual(received, sent);
  }
});

test("any chunking of a broken stream ends with the same error after the same bytes", (context) => {
  const random = seeded(context);
  let failed = 0;
  for (let round = rounds(3000); round > 0; round--) {
    const good = encodeFrame(
      1 + random(3),
      pick(random, Object.values(FrameKind)),
      randomBytes(random, 1 + random(9)),
    );
    const bytes = Buffer.concat([good, mutate(random, good), good]);
    const whole = failure([bytes]);
    assert.equal(failure(chunks(random, bytes)), whole);
    if (whole !== null) failed++;
  }
  assert.ok(failed > 0);
});

/** Which rule these chunks break for a decoder, null when none; anything but a ProtocolError is thrown on. */
function failure(parts: Iterable<Buffer>): string | null {
  const decoder = new FrameDecoder();
  try {
    for (const chunk of parts) decoder.push(chunk);
    decoder.end();
    return null;
  } catch (error) {
    if (error instanceof ProtocolError) return error.message.split(":")[0] ?? "";
    throw error;
  }
}
