import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../../../errors/index.ts";
import { HttpBuilder } from "./http-builder.ts";

test("a method where the host belongs is a mistake, with what to write instead", () => {
  for (const [say, hint] of [
    [(h: HttpBuilder) => h.deny("DELETE"), /deny\("DELETE", "\*"/],
    [(h: HttpBuilder) => h.deny("DELETE", "/admin/**"), /deny\("DELETE", "\*"/],
    [(h: HttpBuilder) => h.allow("GET", "/repos/**"), /allow\("GET", "\*"/],
    [(h: HttpBuilder) => h.allow("GET", "POST"), /host/],
  ] as const)
    assert.throws(
      () => say(new HttpBuilder()),
      (error: unknown) =>
        error instanceof InvalidConfigError &&
        /which is a method/.test(error.message) &&
        hint.test(error.hint),
    );
  const { rules } = new HttpBuilder()
    .deny("delete.example")
    .deny("DELETE", "*")
    .deny(["PUT"], "get", "/a")
    .build();
  assert.deepEqual(
    rules.map(({ methods, host }) => [methods.join(), host]),
    [
      ["", "delete.example"],
      ["DELETE", "*"],
      ["PUT", "get"],
    ],
  );
});

test("a path is kept in Unicode's composed form", () => {
  const { rules } = new HttpBuilder().deny("a.example", "/a\u0308/**").build();
  assert.equal(rules[0]?.path, "/\u00e4/**");
});
