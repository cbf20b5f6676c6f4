/** A folder is small enough to be taken in at a glance; one that outgrows this is split by what its files are about. */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

const most = 15;
const root = join(import.meta.dirname, "..");

test(`no folder of src/, agent/src/ or test/vm/ holds more than ${most} source files`, () => {
  const sizes = new Map<string, number>();
  for (const file of globSync(["src/**/*.ts", "src/**/*.tsx", "agent/src/**/*.rs", "test/vm/**/*.ts"], {
    cwd: root,
  })) {
    if (file.startsWith("src/") && file.endsWith(".test.ts")) continue;
    const folder = dirname(file);
    sizes.set(folder, (sizes.get(folder) ?? 0) + 1);
  }
  assert.ok(sizes.size > 20, "the folders were found");
  const large = [...sizes].filter(([, size]) => size > most);
  assert.deepEqual(large, []);
});
