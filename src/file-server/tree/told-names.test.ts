import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import { NodeTable } from "./node-table.ts";
import { makeNode, type Node } from "./node.ts";
import { ToldNames } from "./told-names.ts";

const stat = statSync("/", { bigint: true });
const directory = (id: number): Node => makeNode(id, BigInt(id), stat);

test("names are remembered up to so many bytes in all directories, and far fewer that are not there", () => {
  const names = new ToldNames(10_000, 1000);
  const [one, two] = [directory(1), directory(2)];
  assert.equal(names.add(one, "unwatched", 5), false);
  names.begin(one);
  names.begin(two);
  let missing = 0;
  while (names.add(missing % 2 === 0 ? one : two, `missing${missing}`, 0)) missing++;
  assert.ok(missing > 2 && missing < 10, `${missing}`);
  let there = 0;
  while (names.add(there % 2 === 0 ? one : two, `there${there}`, there + 1)) there++;
  assert.ok(there > 50 && names.bytes <= 10_000, `${there} in ${names.bytes} bytes`);
  assert.equal((one.told?.size ?? 0) + (two.told?.size ?? 0), missing + there);
  // What takes the place of a known one needs no room; what is gone gives its back.
  assert.ok(names.add(one, "there0", 99));
  assert.ok(names.add(one, "there0", 98));
  names.remove(two, "there1");
  assert.ok(names.add(one, "other0", 97));
  names.end(one);
  names.end(two);
  assert.equal(names.bytes, 0);
});

test("what the kernel has forgotten is not remembered", () => {
  const names = new ToldNames();
  const nodes = new NodeTable(stat, (node) => names.forget(node));
  names.begin(nodes.root);
  for (let each = 0; each < 1000; each++) {
    const name = `file${each}`;
    const node = nodes.tell(
      { parent: nodes.root, name },
      {
        ...stat,
        ino: BigInt(each) + (1n << 40n),
      },
    );
    assert.ok(names.add(nodes.root, name, node.id));
    nodes.forget(node.id, 1);
  }
  assert.equal(nodes.root.told?.size, 0);
  assert.equal(names.bytes, 0);
});
