import assert from "node:assert/strict";
import { statSync, type BigIntStats } from "node:fs";
import { test } from "node:test";
import { errno } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import { NodeTable } from "./node-table.ts";

const root = statSync("/", { bigint: true });
const file = (ino: number): BigIntStats =>
  Object.assign(Object.create(root) as BigIntStats, { ino: BigInt(ino) + (1n << 40n) });

test("names take no more than so many bytes, and give them back", () => {
  const nodes = new NodeTable(root, () => undefined, 1 << 20, 10_000);
  const name = (each: number): string => `${"x".repeat(200)}${each}`;
  for (let round = 0; round < 3; round++) {
    const ids: number[] = [];
    assert.throws(
      () => {
        for (let each = 0; each < 1000; each++)
          ids.push(nodes.tell({ parent: nodes.root, name: name(each) }, file(each + 1)).id);
      },
      (error) => error instanceof Refusal && error.errno === errno.nfile,
    );
    assert.ok(ids.length > 10 && ids.length < 60, `${ids.length}`);
    // One that is known already is told all the same.
    nodes.tell({ parent: nodes.root, name: name(0) }, file(1));
    nodes.forget(ids[0] ?? 0, 1);
    for (const id of ids) nodes.forget(id, 1);
    assert.equal(nodes.size, 1);
  }
  // A file with many names: those that are forgotten count no more.
  const { id } = nodes.tell({ parent: nodes.root, name: "a" }, file(1));
  for (let each = 0; each < 1000; each++)
    nodes.addPlace(nodes.get(id), { parent: nodes.root, name: name(each) });
  assert.equal(nodes.isFull, false);
  nodes.forget(id, 1);
  assert.equal(nodes.root.children, 0);
});
