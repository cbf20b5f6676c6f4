import assert from "node:assert/strict";
import { test } from "node:test";
import { pick, type Random, rounds, seeded } from "../../../../test/support/fuzz.ts";
import type { Hit } from "./hit.ts";
import { PatternStream, type Replaced } from "./pattern-stream.ts";
import { Patterns } from "./patterns.ts";

/** Prefixes of each other, overlapping, one within another, with characters of escapes, not ASCII, and short. */
const sets = [
  ["$MSB_A", "$MSB_AB", "$MSB_ABC_D"],
  ["abcab", "cabc", "bca"],
  ["x$KEY_Y", "$KEY"],
  ["%KEY%24", "a\\b/c", "p+q r"],
  ["schlüssel-🔑", "$K", "k"],
].map((set) => set.map((text) => Buffer.from(text)));

function inPercent(random: Random, bytes: Buffer): string {
  return Array.from(bytes, (byte) => {
    const hex = byte.toString(16).padStart(2, "0");
    return random(2) === 0 ? String.fromCharCode(byte) : `%${random(2) === 0 ? hex : hex.toUpperCase()}`;
  }).join("");
}

function inJson(random: Random, bytes: Buffer): string {
  const units = bytes.toString().split("");
  return units
    .map((unit) => {
      const hex = unit.charCodeAt(0).toString(16).padStart(4, "0");
      if (random(2) === 0 && unit < "\x7f") return unit;
      return `\\u${random(2) === 0 ? hex : hex.toUpperCase()}`;
    })
    .join("");
}

function inBase64(random: Random, bytes: Buffer): string {
  const around = [Buffer.alloc(random(4), "-"), bytes, Buffer.alloc(random(4), "-")];
  return Buffer.concat(around).toString(pick(random, ["base64", "base64url"]));
}

function written(random: Random, bytes: Buffer): Buffer {
  const raw = bytes.toString("latin1");
  const forms = [
    () => raw,
    () => raw.slice(0, random(raw.length)),
    () => raw.slice(random(raw.length)),
    () => inPercent(random, bytes),
    () => inJson(random, bytes),
    () => inBase64(random, bytes),
    () => inBase64(random, bytes).slice(0, -2),
    () => bytes.toString("utf16le"),
  ];
  const text = pick(random, forms)();
  return random(8) === 0 ? Buffer.from(text, "utf16le") : Buffer.from(text, "latin1");
}

function someText(random: Random, patterns: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [];
  for (let count = random(8); count >= 0; count--) {
    parts.push(written(random, pick(random, patterns)));
    if (random(2) === 0)
      parts.push(
        Buffer.from(pick(random, ["", "%", "\\", "%2", "\\u00", "$", "=", "JE1", "\0", "ab\n", "+"])),
      );
  }
  return Buffer.concat(parts);
}

interface Outcome {
  readonly out: string;
  readonly findings: readonly string[];
}

/** @param cuts sizes of the pieces */
function outcome(patterns: Patterns, text: Buffer, replaced: Replaced, nextSize: () => number): Outcome {
  const findings = new Set<string>();
  let at = 0;
  let passed = 0;
  const out: Buffer[] = [];
  const stream = new PatternStream(patterns, replaced, ({ start, end, pattern, form }: Hit, bytes) => {
    assert.equal(bytes.length, end - start);
    const finding = `${at + start}-${at + end} ${pattern} ${form}`;
    // The last byte of what may not go on is still here.
    if (replaced === "none" && !findings.has(finding))
      assert.ok(passed < at + end, "it was passed on already");
    findings.add(finding);
    assert.deepEqual(bytes, text.subarray(at + start, at + end));
    const isReplaced = {
      none: false,
      raw: form === "raw",
      text: form !== "base64",
      all: true,
    }[replaced];
    if (!isReplaced || pattern === 0) return null;
    return Buffer.from(`<${pattern}>`);
  });
  while (at < text.length) {
    // In memory of its own, which is overwritten when it has been passed on.
    const piece = Buffer.from(text.subarray(at, at + nextSize()));
    for (const part of stream.push(piece)) {
      out.push(Buffer.from(part));
      passed += part.length;
    }
    at += piece.length;
    piece.fill(0x58);
  }
  out.push(...stream.end());
  return { out: Buffer.concat(out).toString("latin1"), findings: [...findings].sort() };
}

test("However text is cut, the same is found in it, and the same comes out", (context) => {
  const random = seeded(context);
  for (let round = rounds(3000); round > 0; round--) {
    const set = pick(random, sets);
    const patterns = new Patterns(set);
    const text = someText(random, set);
    const replaced = pick(random, ["none", "raw", "text", "all"] as const);
    const whole = outcome(patterns, text, replaced, () => text.length);
    const sizes = pick(random, [[1], [1, 2, 3], [1, 2, 40]]);
    const cut = outcome(patterns, text, replaced, () => pick(random, sizes));
    assert.deepEqual(cut, whole, `${replaced} ${JSON.stringify(text.toString("latin1"))}`);
    if (replaced === "none") assert.equal(whole.out, text.toString("latin1"));
  }
});

test("Every form of every pattern is found, whatever is around it", (context) => {
  const random = seeded(context);
  for (let round = rounds(3000); round > 0; round--) {
    const set = sets[0] ?? [];
    const index = random(set.length);
    const bytes = set[index] ?? Buffer.alloc(0);
    const [form, text] = pick(random, [
      ["raw", bytes],
      ["percent", Buffer.from(`%${bytes.toString("hex", 0, 1)}${inPercent(random, bytes.subarray(1))}`)],
      ["json", Buffer.from(`\\u0024${inJson(random, bytes.subarray(1))}`)],
      ["base64", Buffer.from(inBase64(random, bytes))],
      ["utf-16", Buffer.from(bytes.toString(), "utf16le")],
      ["utf-16", Buffer.from(bytes.toString(), "utf16le").swap16()],
    ] as const);
    const around = Buffer.concat([Buffer.alloc(random(5), " "), text, Buffer.alloc(random(5), " ")]);
    const { findings } = outcome(new Patterns(set), around, "none", () => 1 + random(9));
    assert.ok(
      findings.some((one) => one.endsWith(` ${index} ${form}`)),
      `${form} ${JSON.stringify(around.toString("latin1"))}: ${findings.join(", ")}`,
    );
    assert.equal(findings.length, 1, findings.join(", "));
  }
});
