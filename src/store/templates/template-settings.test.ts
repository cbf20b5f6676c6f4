import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { templateLimitBytes, whyNoTemplates } from "./template-settings.ts";

test("templates are on unless something says off; the environment has the last word", () => {
  const enabled = (value: string | undefined, setting?: boolean | null): boolean =>
    whyNoTemplates(
      value === undefined ? {} : { MSB_TEMPLATES: value },
      setting === undefined ? {} : { templates: { enabled: setting } },
      512,
    ) === null;
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
      () => whyNoTemplates({ MSB_TEMPLATES: value }, {}, 512),
      (error) => error instanceof InvalidConfigError && /on or off/.test(error.hint),
      value,
    );
  }
});

test("the limit, and no room at all", () => {
  assert.equal(templateLimitBytes({}), 10 * 1024 ** 3);
  assert.equal(templateLimitBytes({ templates: { max_size_mib: 3 } }), 3 * 1024 ** 2);
});

test("who has no part in templates is told which setting says so, and what to do about it", () => {
  const reasonFor = (...[environment, templates, memoryMib]: [object, object, number]): string => {
    const barred = whyNoTemplates({ ...environment }, { templates }, memoryMib);
    return barred === null ? "" : `${barred.why} → ${barred.hint}`;
  };
  assert.match(
    reasonFor({ MSB_TEMPLATES: "off" }, { enabled: false }, 512),
    /by MSB_TEMPLATES → Unset MSB_TEMPLATES/,
  );
  assert.match(reasonFor({}, { enabled: false }, 512), /in config\.json → Set templates\.enabled/);
  assert.match(
    reasonFor({ MSB_TEMPLATES: "on" }, { max_size_mib: 0 }, 0),
    /no room .* → Raise templates\.max_size_mib/,
  );
  assert.match(reasonFor({}, { max_size_mib: 100 }, 512), /512 MiB .*max_size_mib \(100\) → Raise/);
  assert.equal(reasonFor({}, { max_size_mib: 512 }, 512), "");
});
