import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "../output/usage-error.ts";
import { parseCopyOperand, parseCopyOperands } from "./copy-operand.ts";

const longest = "n".repeat(128);

const sides: readonly [text: string, expected: string][] = [
  ["-", "archive"],
  ["./-", "host ./-"],
  ["file", "host file"],
  [".", "host ."],
  ["..", "host .."],
  ["/a:/b", "host /a:/b"],
  ["./a:/b", "host ./a:/b"],
  ["../a:/b", "host ../a:/b"],
  [".a:/b", "host .a:/b"],
  ["dir/", "host dir/"],
  ["dir/.", "host dir/."],
  ["--", "host --"],
  ["demo:/", "sandbox demo /"],
  ["demo:/a:b", "sandbox demo /a:b"],
  ["demo:/a b/.", "sandbox demo /a b/."],
  ["demo:/\n", "sandbox demo /\n"],
  ["a.b_c-d:/x", "sandbox a.b_c-d /x"],
  [`${longest}:/x`, `sandbox ${longest} /x`],
];

for (const [text, expected] of sides) {
  test(`${JSON.stringify(text.slice(0, 20))} is ${expected.slice(0, 20)}`, () => {
    const side = parseCopyOperand(text);
    const found =
      side.kind === "archive"
        ? side.kind
        : side.kind === "host"
          ? `host ${side.path}`
          : `sandbox ${side.sandbox} ${side.path}`;
    assert.equal(found, expected);
  });
}

test("what is no side is refused, with what it could be", () => {
  for (const [text, hint] of [
    ["", "NAME:/path"],
    [":", "NAME:/path"],
    [":/x", "./:/x"],
    ["demo:", "demo:/"],
    ["demo:x", "demo:/x"],
    ["demo:x/y", "./demo:x/y"],
    ["demo:/\0", "NAME:/path"],
  ] as const) {
    assert.throws(
      () => parseCopyOperand(text),
      (error) => error instanceof UsageError && error.hint.includes(hint),
      JSON.stringify(text),
    );
  }
});

test("one side at least is in a sandbox", () => {
  for (const [source, destination] of [
    ["a", "b"],
    ["-", "-"],
    ["a", "-"],
    ["-", "a"],
    ["./demo:/x", "/y"],
  ] as const) {
    assert.throws(() => parseCopyOperands(source, destination), UsageError);
  }
  assert.equal(parseCopyOperands("demo:/x", "other:/y").destination.kind, "sandbox");
  assert.equal(parseCopyOperands("-", "demo:/y").source.kind, "archive");
  assert.equal(parseCopyOperands("demo:/x", "-").destination.kind, "archive");
});
