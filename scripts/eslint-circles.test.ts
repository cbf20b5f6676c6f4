import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { findCircles, importGraph } from "./eslint-circles.ts";

const directory = await mkdtemp(join(tmpdir(), "circles-"));
after(() => rm(directory, { recursive: true, force: true }));

test("circles are found in values, types, exports and late imports, also across folders", async () => {
  const files = {
    "value/a.ts": `import { b } from "./b.ts";`,
    "value/b.ts": `import { c } from "../other/c.ts";`,
    "other/c.ts": `import { a } from "../value/a.ts";`,
    "type/a.ts": `import type { B } from "./b.ts"; export interface A { b: B }`,
    "type/b.ts": `export type B = import("./a.ts").A | null;`,
    "late/a.ts": `export const b = () => import("./b.ts");`,
    "late/b.ts": `export * from "./a.ts";`,
    "free/a.ts": `import "./b.ts"; import "node:fs";`,
    "free/b.ts": `// import "./a.ts";`,
    "free/a.test.ts": `import "./a.ts";`,
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(directory, path, ".."), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  const found = [...findCircles(importGraph(directory))].map(([file, circle]) => [
    file.slice(directory.length + 1),
    circle.map((path) => path.slice(directory.length + 1)).join(" "),
  ]);
  assert.deepEqual(Object.fromEntries(found), {
    "value/a.ts": "value/a.ts value/b.ts other/c.ts value/a.ts",
    "value/b.ts": "value/b.ts other/c.ts value/a.ts value/b.ts",
    "other/c.ts": "other/c.ts value/a.ts value/b.ts other/c.ts",
    "type/a.ts": "type/a.ts type/b.ts type/a.ts",
    "type/b.ts": "type/b.ts type/a.ts type/b.ts",
    "late/a.ts": "late/a.ts late/b.ts late/a.ts",
    "late/b.ts": "late/b.ts late/a.ts late/b.ts",
  });
});
