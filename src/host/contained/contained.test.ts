import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { deepTree, withFewDescriptors } from "../../../test/support/few-descriptors.ts";
import { Descent } from "./descent.ts";
import { removeTree } from "./remove-tree.ts";
import { treeUsage } from "./tree-usage.ts";
import { walkTree } from "./walk-tree.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-contained-"));
const root = join(directory, "root");
beforeEach(() => {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
});
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Does something as somebody who is not root, whom modes hold up. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  const { seteuid } = process;
  if (process.geteuid?.() !== 0 || seteuid === undefined) {
    await work();
    return;
  }
  seteuid.call(process, 65534);
  try {
    await work();
  } finally {
    seteuid.call(process, 0);
  }
}

test("directories that their owner may neither write nor read are removed by him, at every depth", async () => {
  chmodSync(directory, 0o777);
  if (process.getuid?.() === 0) chownSync(root, 65534, 65534);
  await asNobody(async () => {
    const inner = join(root, "a/b/c");
    mkdirSync(inner, { recursive: true });
    writeFileSync(join(inner, "file"), "x");
    mkdirSync(join(root, "a/closed/inner"), { recursive: true });
    symlinkSync("/", join(root, "a/closed/link"));
    for (const path of [inner, dirname(inner), dirname(dirname(inner))]) chmodSync(path, 0o555);
    chmodSync(join(root, "a"), 0o755);
    for (const name of ["a/closed/inner", "a/closed"]) chmodSync(join(root, name), 0);
    chmodSync(join(root, "a"), 0o555);
    chmodSync(root, 0);
    await removeTree({ path: Buffer.from(root) });
  });
  assert.ok(!existsSync(root));
});

test("all of a tree is counted that is deeper than a process may have files open", async () => {
  const bottom = deepTree(root);
  let bytes = 0;
  for (let path = join(root, bottom); path !== directory; path = dirname(path))
    bytes += lstatSync(path).blocks * 512;
  const code = `
import { treeUsage } from ${JSON.stringify(import.meta.resolve("./tree-usage.ts"))};
console.log(await treeUsage(process.argv[2]));`;
  assert.equal(Number(await withFewDescriptors(code, root)), bytes);
});

test("what is beside a deep directory is counted too, and files with several names once", async () => {
  for (const name of ["a/b/c", "a/d", "e"]) {
    mkdirSync(join(root, name), { recursive: true });
    writeFileSync(join(root, name, "f"), Buffer.alloc(100_000, 1));
  }
  const fileBytes = lstatSync(join(root, "e/f")).blocks * 512;
  const all = await treeUsage(root);
  assert.ok(all >= 3 * fileBytes, String(all));
  rmSync(join(root, "a/d/f"));
  assert.equal(await treeUsage(root), all - fileBytes);
});

test("a walk goes on where it can when directories are moved, and is not led out by a link", () => {
  const outside = join(directory, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "victim"), Buffer.alloc(3333));
  // Whatever order they come in: the one that is walked through is moved away, the others become links.
  for (const name of ["a", "b", "c"]) {
    mkdirSync(join(root, name, "inner"), { recursive: true });
    writeFileSync(join(root, name, "inner/file"), Buffer.alloc(1111));
  }
  writeFileSync(join(root, "last"), Buffer.alloc(2222));
  const sizes: bigint[] = [];
  let directories = 0;
  for (const { status } of walkTree(root)) {
    if (!status.isDirectory()) sizes.push(status.size);
    else if (++directories === 2) {
      // It is in one of them, about to go into `inner`.
      for (const name of ["a", "b", "c"]) {
        renameSync(join(root, name), join(directory, `moved-${name}`));
        symlinkSync(outside, join(root, name));
      }
    }
  }
  const links = sizes.filter((size) => size === BigInt(outside.length)).length;
  assert.equal(sizes.filter((size) => size === 1111n).length, 1);
  assert.equal(sizes.filter((size) => size === 3333n).length, 0);
  assert.equal(sizes.filter((size) => size === 2222n).length, 1, "the rest of the top is told of");
  assert.equal(links + 1 + 1, sizes.length);
});

test("the way up ends where somebody has moved a directory away", async () => {
  mkdirSync(join(root, "a/b"), { recursive: true });
  mkdirSync(join(root, "other"));
  await using tree = await Descent.open(root);
  await assert.rejects(tree.up(), /at the top/);
  const top = tree.identity;
  await tree.down(Buffer.from("a"));
  await tree.down(Buffer.from("b"));
  const inner = tree.identity;
  renameSync(join(root, "a/b"), join(root, "other/b"));
  await assert.rejects(tree.up(), { code: "ESTALE" });
  assert.equal(tree.identity, inner, "it stays where it is");
  renameSync(join(root, "other/b"), join(root, "a/b"));
  await (await tree.up()).close();
  await (await tree.up()).close();
  assert.equal(tree.identity, top);
  symlinkSync("a", join(root, "link"));
  await assert.rejects(tree.down(Buffer.from("link")));
  assert.equal(tree.identity, top);
});
