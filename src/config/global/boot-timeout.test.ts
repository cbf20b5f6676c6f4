import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { bootTimeoutMs } from "./boot-timeout.ts";

test("the time for a boot is what the environment says, and nothing else is taken for a time", () => {
  const from = (value: string | undefined): number => bootTimeoutMs({ MSB_BOOT_TIMEOUT_MS: value });
  assert.deepEqual([from(undefined), from(""), from("5000")], [180_000, 180_000, 5000]);
  for (const value of ["abc", "0", "-1", "1.5", "1e3", " 5", "Infinity", "86400001"]) {
    assert.throws(
      () => from(value),
      (error) => error instanceof InvalidConfigError && error.message.includes(JSON.stringify(value)),
      value,
    );
  }
});
