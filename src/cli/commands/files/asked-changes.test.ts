import assert from "node:assert/strict";
import { test } from "node:test";
import type { SandboxChange } from "../../../api/index.ts";
import { AskedChanges } from "./asked-changes.ts";
import { layerOf } from "./layer-places.ts";

function change(path: string, other: Partial<SandboxChange> = {}): SandboxChange {
  const pathBytes = Buffer.from(path, "latin1");
  const same = { kind: "added", type: "file", size: 1, mode: 0o644, conflicts: false } as const;
  return { path: pathBytes.toString(), pathBytes, isUtf8: true, ...same, ...other };
}

test("only what was asked about is written, as it was then", () => {
  const asked = new AskedChanges();
  for (const path of ["a", "b", "\xff"]) asked.add(change(path));
  assert.ok(asked.has(change("a")));
  assert.ok(asked.has(change("\xff")));
  assert.equal(asked.leftCount, 0);
  const others = [
    change("b", { kind: "deleted" }),
    change("b", { type: "symlink" }),
    change("b", { size: 2 }),
    change("b", { mode: 0o755 }),
    change("c"),
    change("\xfe"),
  ];
  for (const each of others) assert.ok(!asked.has(each));
  assert.equal(asked.leftCount, 3);
});

test("a path is in the innermost of the directories", () => {
  const layers = [{ guest: "/work" }, { guest: "/work/in" }, { guest: "/other" }];
  assert.equal(layerOf("/work/in/a", layers)?.guest, "/work/in");
  assert.equal(layerOf("/work/in", layers.toReversed())?.guest, "/work/in");
  assert.equal(layerOf("/work/inner", layers)?.guest, "/work");
  assert.equal(layerOf("/elsewhere", layers), undefined);
});
