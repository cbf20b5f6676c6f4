import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../errors/index.ts";
import { checkSandboxName } from "./sandbox-name.ts";

test("names that can be", () => {
  for (const name of ["a", "0", "A.b_c-d", "n".repeat(128), "a..", "CON"]) checkSandboxName(name);
});

test("names that cannot", () => {
  const bad = [
    "",
    ".",
    "..",
    ".a",
    "-a",
    "_a",
    "a/b",
    "a b",
    "a\n",
    "\na",
    "a\0",
    "ü",
    "n".repeat(129),
    "..%2f",
  ];
  for (const name of bad) {
    assert.throws(
      () => checkSandboxName(name),
      (error) => error instanceof InvalidConfigError && error.hint !== "",
      JSON.stringify(name),
    );
  }
  for (const value of [undefined, null, 5, {}, ["a"]])
    assert.throws(() => checkSandboxName(value), InvalidConfigError);
});
