import assert from "node:assert/strict";
import { test } from "node:test";

import { ProtocolError } from "../errors/index.ts";
import { decodeMessage, encodeMessage, type ExecMessage, type Message } from "./generated/messages.ts";

const exec: ExecMessage = {
  type: "Exec",
  argv: ["sh"],
  env: [],
  cwd: "/",
  user: "",
  tty: false,
  rows: 24,
  cols: 80,
  stdin: "null",
  rlimits: [{ resource: 7, soft: 1n, hard: 2n ** 64n - 1n }],
};

function roundTrip(message: ExecMessage): Message {
  return decodeMessage(encodeMessage(message), "client→supervisor");
}

test("a value that does not fit its field is refused before anything is sent", () => {
  const limit = { resource: 7, soft: 1n, hard: 1n };
  const wrong: Message[] = [
    { ...exec, rows: 65536 },
    { ...exec, rows: -1 },
    { ...exec, rows: 1.5 },
    { ...exec, rows: Number.NaN },
    { ...exec, rlimits: [{ ...limit, resource: 256 }] },
    { ...exec, rlimits: [{ ...limit, soft: -1n }] },
    { ...exec, rlimits: [{ ...limit, hard: 2n ** 64n }] },
    { type: "Ping", nonce: 2 ** 32 },
    { type: "ExecExited", code: 2 ** 31, signal: 0 },
    { type: "ExecExited", code: -(2 ** 31) - 1, signal: 0 },
    { type: "Touched", activitySequence: 2 ** 53 },
    { type: "Touched", activitySequence: -1 },
  ];
  for (const message of wrong) {
    assert.throws(
      () => encodeMessage(message),
      (error) =>
        error instanceof ProtocolError && error.message.startsWith(message.type) && error.hint !== "",
    );
  }
});

test("a choice that the schema does not have is refused", () => {
  const choice: string = "file";
  assert.throws(() => encodeMessage({ ...exec, stdin: choice as ExecMessage["stdin"] }), {
    name: "ProtocolError",
    message: "Exec: file is not one of null, pipe",
  });
});

test("strings pass unchanged, byte order marks and zero bytes included", () => {
  const argv = ["", "\uFEFFstart", "a\0b", "é漢😀", "x".repeat(70_000)];
  assert.deepEqual(roundTrip({ ...exec, argv }), { ...exec, argv });
});

test("a string that has no UTF-8 form is refused rather than changed", () => {
  assert.throws(() => encodeMessage({ ...exec, argv: ["\uD800"] }), ProtocolError);
});

test("long lists pass", () => {
  const env = Array.from({ length: 20_000 }, (_, index) => `KEY${index}=value`);
  assert.deepEqual(roundTrip({ ...exec, env }), { ...exec, env });
});

test("the borders of u53 and i32 pass", () => {
  for (const activitySequence of [0, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    const message: Message = { type: "Touched", activitySequence };
    assert.deepEqual(decodeMessage(encodeMessage(message), "supervisor→client"), message);
  }
  for (const code of [-(2 ** 31), -1, 0, 2 ** 31 - 1]) {
    const message: Message = { type: "ExecExited", code, signal: 255 };
    assert.deepEqual(decodeMessage(encodeMessage(message), "agent→supervisor"), message);
  }
});

test("a message is decoded from a view at any offset, and its bytes are a view of it", () => {
  const message: Message = {
    type: "Seed",
    protocolVersion: 1,
    entropy: Uint8Array.of(1, 2, 3),
  };
  const padded = new Uint8Array([9, 9, 9, ...encodeMessage(message), 9]);
  const seed = decodeMessage(padded.subarray(3, -1), "supervisor→agent");
  assert.ok(seed.type === "Seed");
  assert.deepEqual({ ...seed, entropy: Uint8Array.from(seed.entropy) }, message);
  assert.equal(seed.entropy.buffer, padded.buffer);
});

test("a list of 2^32 - 1 elements in a short message is refused without building it", () => {
  const bytes = encodeMessage({ ...exec, argv: [] });
  bytes.writeUInt32BE(0xffff_ffff, 1);
  const start = performance.now();
  assert.throws(() => decodeMessage(bytes, "client→supervisor"), /^ProtocolError: truncated message: Exec/);
  // As many strings would take minutes, and more memory than there is.
  assert.ok(performance.now() - start < 10_000);
});
