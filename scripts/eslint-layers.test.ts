import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Linter } from "eslint";
import tseslint from "typescript-eslint";
import { layersRule, type Layers } from "./eslint-layers.ts";

const SOURCE = join(import.meta.dirname, "../src");
const SUPPORT = join(import.meta.dirname, "../test/support");
const layers = JSON.parse(await readFile(join(import.meta.dirname, "../layers.json"), "utf8")) as Layers;

/** What the rule says about `code` as the content of `src/<file>`. */
function report(file: string, code: string, listed: Layers = layers): string[] {
  const linter = new Linter({ cwd: join(SOURCE, "..") });
  const messages = linter.verify(
    code,
    [
      {
        files: ["**/*.ts"],
        languageOptions: { parser: tseslint.parser },
        plugins: { own: { rules: { layers: layersRule(listed, SOURCE, SUPPORT) } } },
        rules: { "own/layers": "error" },
      },
    ],
    { filename: join(SOURCE, file) },
  );
  return messages.map(({ message }) => message);
}

test("a folder may import from itself, its layers and packages", () => {
  assert.deepEqual(
    report(
      "supervisor/main.ts",
      `import "./clients/client.ts"; import "../machine/machine.ts"; import "node:fs"; import "valibot";
       export * from "../protocol/frame.ts"; const a = await import("../store/home.ts");`,
    ),
    [],
  );
  assert.deepEqual(
    report("index.ts", `export * from "./api/index.ts"; export * from "./errors/index.ts";`),
    [],
  );
});

test("every kind of forbidden import is reported", () => {
  const forbidden = [
    `import { Machine } from "../machine/machine.ts";`,
    `import type { Machine } from "../machine/machine.ts";`,
    `export { Machine } from "../machine/machine.ts";`,
    `export * from "../machine/machine.ts";`,
    `const machine = await import("../machine/machine.ts");`,
    `type Machine = import("../machine/machine.ts").Machine;`,
  ];
  for (const code of forbidden) {
    assert.deepEqual(
      report("cli/x.ts", code),
      [
        "src/cli may not import from src/machine (layers.json allows: errors, host, config, api, cli/output, dashboard, mcp/program.ts)",
      ],
      code,
    );
  }
});

test("nobody but the supervisor reaches the supervisor, and the entry only the API and the errors", () => {
  for (const folder of Object.keys(layers).filter((name) => !/^(supervisor|index\.ts$)/.test(name))) {
    assert.equal(report(`${folder}/x.ts`, `import "../supervisor/main.ts";`).length, 1, folder);
  }
  assert.equal(report("index.ts", `export * from "./supervisor/main.ts";`).length, 1);
  assert.equal(report("index.ts", `export * from "./store/index.ts";`).length, 1);
});

test("imports that leave src/, or come in by its package's name, are reported", () => {
  assert.equal(report("store/x.ts", `import "../../guest/target.ts";`).length, 1);
  assert.equal(report("cli/x.ts", `import { Sandbox } from "microsandbox";`).length, 1);
  assert.equal(report("newcomer/x.ts", `import "../errors/index.ts";`).length, 1);
});

test("a part may be a folder within one, or a file; only tests reach what supports them", () => {
  const fine = { a: ["b/open"], "a/inner": [], b: [], "index.ts": ["a"] };
  const found = (file: string, code: string): number => report(file, code, fine).length;
  assert.equal(found("a/x.ts", `import "../b/open/y.ts"; import "../b/open.ts";`), 1);
  assert.equal(found("a/x.ts", `import "../b/closed.ts";`), 1);
  assert.equal(found("a/x.ts", `import "./inner/y.ts";`), 1);
  assert.equal(found("a/inner/x.ts", `import "../x.ts"; import "./y.ts";`), 1);
  assert.equal(found("index.ts", `export * from "./a/x.ts";`), 0);
  assert.equal(found("a/x.test.ts", `import "../../test/support/y.ts";`), 0);
  assert.equal(found("a/x.ts", `import "../../test/support/y.ts";`), 1);
});

test("layers that need each other are refused", () => {
  const refused =
    (wrong: Layers): (() => unknown) =>
    (): unknown =>
      layersRule(wrong, SOURCE, SUPPORT);
  assert.throws(refused({ a: ["b"], b: ["c"], c: ["a"] }), /a → b → c → a/);
  assert.throws(refused({ a: ["b/inner"], b: ["a/other"] }), /a → b → a/);
  assert.throws(refused({ a: ["b"] }), /does not list/);
});

test("what the command line prints knows neither its grammar nor its commands", () => {
  for (const target of ["../grammar/command.ts", "../commands.ts", "../commands/sandbox/run.ts"])
    assert.equal(report("cli/output/x.ts", `import "${target}";`).length, 1, target);
  assert.deepEqual(report("cli/grammar/x.ts", `import "../output/style.ts";`), []);
});

test("the writer of root file systems knows nothing of stores and registries", () => {
  for (const target of ["../store/layout.ts", "../registry/client.ts", "../pull/pull.ts"])
    assert.equal(report("image/erofs/x.ts", `import "${target}";`).length, 1, target);
  assert.deepEqual(report("image/pull/x.ts", `import "../erofs/writer.ts";`), []);
});
