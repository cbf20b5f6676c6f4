import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";
import { backendFromEnvironment, checkEnvironment, numberFromEnvironment } from "./environment-settings.ts";

test("a number that is not set, or empty, is its default", () => {
  for (const environment of [{}, { MSB_BOOT_TIMEOUT_MS: "" }]) {
    assert.equal(numberFromEnvironment("MSB_BOOT_TIMEOUT_MS", environment), 180_000);
    checkEnvironment(environment);
  }
  assert.equal(numberFromEnvironment("MSB_BOOT_TIMEOUT_MS", { MSB_BOOT_TIMEOUT_MS: "1" }), 1);
  assert.equal(numberFromEnvironment("MSB_AGENT_TIMEOUT_MS", { MSB_AGENT_TIMEOUT_MS: "0" }), 0);
});

const numbers = ["abc", "0", "-1", "1.5", "1e3", "0x10", " 5", "5s", "2147483648", "9".repeat(400), "NaN"];
const wrong: readonly (readonly [string, string])[] = [
  ...numbers.map((value) => ["MSB_BOOT_TIMEOUT_MS", value] as const),
  ["MSB_AGENT_TIMEOUT_MS", "-1"],
  ["MSB_ACCEL", "xen"],
  ["MSB_BACKEND", "Local"],
  ["MSB_TEMPLATES", "sometimes"],
  ["MSB_TEMPLATES", "constructor"],
];
for (const [name, value] of wrong) {
  test(`${name}=${value.slice(0, 20)} is refused, with its name and what it may be`, () => {
    assert.throws(
      () => {
        checkEnvironment({ [name]: value });
      },
      (error) => {
        assert.ok(error instanceof InvalidConfigError);
        assert.equal(error.message, `${name} is ${JSON.stringify(value)}`);
        assert.match(error.hint, /^Set it to .*unset it/);
        return true;
      },
    );
  });
}

test("a cloud is refused, whichever variable chooses it, and what goes before it is not", () => {
  for (const environment of [{ MSB_BACKEND: "cloud" }, { MSB_PROFILE: "work" }]) {
    const [name] = Object.keys(environment);
    assert.throws(
      () => {
        checkEnvironment(environment);
      },
      (error) =>
        error instanceof UnsupportedOperationError &&
        error.message.startsWith(`${name} `) &&
        !error.message.includes("work") &&
        error.hint !== "",
    );
    checkEnvironment(environment, true);
  }
  assert.equal(backendFromEnvironment({ MSB_BACKEND: "local", MSB_PROFILE: "work" }), "MSB_BACKEND");
  // Neither chooses anything alone.
  const access = { MSB_API_KEY: "secret", MSB_API_URL: "https://example.org" };
  for (const environment of [{}, { MSB_BACKEND: "", MSB_PROFILE: "" }, access])
    assert.equal(backendFromEnvironment(environment), null);
});
