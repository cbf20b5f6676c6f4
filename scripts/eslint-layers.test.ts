import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Linter } from "eslint";
import tseslint from "typescript-eslint";
import { layersRule, type Layers } from "./eslint-layers.ts";

const SOURCE = join(import.meta.dirname, "../src");
const layers = JSON.parse(await readFile(join(import.meta.dirname, "../layers.json"), "utf8")) as Layers;

/** What the rule says about `code` as the content of `src/<file>`. */
function report(file: string, code: string): string[] {
  const linter = new Linter({ cwd: join(SOURCE, "..") });
  const messages = linter.verify(
    code,
    [
      {
        files: ["**/*.ts"],
        languageOptions: { parser: tseslint.parser },
        plugins: { own: { rules: { layers: layersRule(layers, SOURCE) } } },
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
      `import "./boot.ts"; import "../machine/index.ts"; import "node:fs"; import "valibot";
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
    `import { Machine } from "../machine/index.ts";`,
    `import type { Machine } from "../machine/index.ts";`,
    `export { Machine } from "../machine/index.ts";`,
    `export * from "../machine/index.ts";`,
    `const machine = await import("../machine/index.ts");`,
    `type Machine = import("../machine/index.ts").Machine;`,
  ];
  for (const code of forbidden) {
    assert.deepEqual(
      report("api/sandbox.ts", code),
      ["src/api may not import from src/machine (layers.json allows: errors, protocol, store, image, plan)"],
      code,
    );
  }
});

test("nobody but the supervisor reaches the supervisor, and the entry only the API and the errors", () => {
  for (const folder of Object.keys(layers).filter((name) => name !== "supervisor" && name !== "index.ts")) {
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

test("layers that need each other are refused", () => {
  assert.throws(() => layersRule({ a: ["b"], b: ["c"], c: ["a"] }, SOURCE), /a → b → c → a/);
  assert.throws(() => layersRule({ a: ["b"] }, SOURCE), /does not list/);
});
