import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../errors/index.ts";
import { templateLimitBytes, templatesEnabled } from "./template-settings.ts";

test("templates are on unless something says off; the environment has the last word", () => {
  const enabled = (value: string | undefined, setting?: boolean | null): boolean =>
    templatesEnabled(
      value === undefined ? {} : { MSB_TEMPLATES: value },
      setting === undefined ? {} : { templates: { enabled: setting } },
    );
  assert.equal(enabled(undefined), true);
  assert.equal(enabled("", null), true);
  assert.equal(enabled(undefined, false), false);
  assert.equal(enabled("", false), false);
  for (const value of ["on", "1", "true"]) assert.equal(enabled(value, false), true, value);
  for (const value of ["off", "0", "false"]) assert.equal(enabled(value, true), false, value);
});

test("a word that is neither on nor off is refused", () => {
  for (const value of ["yes", "OFF", " off", "toString"]) {
    assert.throws(
      () => templatesEnabled({ MSB_TEMPLATES: value }, {}),
      (error) => error instanceof InvalidConfigError && /on or off/.test(error.hint),
      value,
    );
  }
});

test("the limit, and no room at all", () => {
  assert.equal(templateLimitBytes({}), 10 * 1024 ** 3);
  assert.equal(templateLimitBytes({ templates: { max_size_mib: 3 } }), 3 * 1024 ** 2);
  assert.equal(templatesEnabled({ MSB_TEMPLATES: "on" }, { templates: { max_size_mib: 0 } }), false);
});
