import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fields, texts } from "../../../test/support/fuse-kernel.ts";
import { ServedDirectory } from "../../../test/support/served-directory.ts";
import { errno } from "../fuse/numbers.ts";
import { HostTree } from "./host-tree.ts";
import { ToldNames } from "./told-names.ts";
import { Watches } from "./watches.ts";

const root = 1;

test("a guest that has all of the host's files has not the system itself", () => {
  using guest = new ServedDirectory("/");
  const { id } = guest.lookup(root, "proc");
  assert.deepEqual(guest.list(id), [".", ".."]);
  assert.deepEqual(guest.list(id, true), [".", ".."]);
  for (const name of ["self", "1", "version", `${process.pid}`])
    assert.equal(guest.must("lookup", id, texts(name)).readBigUInt64LE(0), 0n, name);
  const make = Buffer.concat([fields([32, 0o755], [32, 0]), texts("d")]);
  assert.equal(guest.ask("mkdir", id, make).errno, errno.acces);
  const create = Buffer.concat([fields([32, 1], [32, 0o644], [32, 0], [32, 0]), texts("version")]);
  assert.equal(guest.ask("create", id, create).errno, errno.acces);
  const to = Buffer.concat([fields([64, id]), texts("etc", "etc")]);
  assert.equal(guest.ask("rename", root, to).errno, errno.acces);
  assert.ok(guest.list(guest.lookup(root, "etc").id).includes("passwd"));
});

test("and it is not served by itself", () => {
  assert.throws(() => new ServedDirectory("/proc"), { errno: errno.acces });
  assert.throws(() => new ServedDirectory("/proc/version", { isFile: true }), { errno: errno.acces });
});

test("a directory that has gone ends no watches, and what others change is not watched", (t) => {
  const host = mkdtempSync(join(tmpdir(), "msb-watches-"));
  t.after(() => rmSync(host, { recursive: true, force: true }));
  for (const name of ["gone", "here"]) mkdirSync(join(host, name));
  for (const kind of ["files", "remote"] as const) {
    const tree = new HostTree(host, false, undefined, () => kind);
    const watches = new Watches(tree, new ToldNames(), { changed: () => undefined, failed: () => undefined });
    const [gone, here] = ["gone", "here"].map((name) => {
      const stat = tree.statEntry(tree.nodes.root, name);
      assert.ok(stat);
      return tree.nodes.tell({ parent: tree.nodes.root, name }, stat);
    });
    assert.ok(gone && here);
    rmSync(join(host, "gone"), { recursive: true });
    assert.equal(watches.watch(gone), false);
    assert.equal(watches.watch(here), kind === "files");
    watches.close();
    tree.close();
    mkdirSync(join(host, "gone"));
  }
});

test("directories that were opened on the way to one that has gone are closed", (t) => {
  const host = mkdtempSync(join(tmpdir(), "msb-way-"));
  t.after(() => rmSync(host, { recursive: true, force: true }));
  const names = ["a", "b", "c", "d"];
  const make = (): void => {
    mkdirSync(join(host, ...names), { recursive: true });
    writeFileSync(join(host, ...names, "file"), "");
  };
  make();
  const tree = new HostTree(host, false);
  const nodes = [tree.nodes.root];
  for (const name of names) {
    const parent = nodes.at(-1) ?? tree.nodes.root;
    const stat = tree.statEntry(parent, name);
    assert.ok(stat);
    nodes.push(tree.nodes.tell({ parent, name }, stat));
  }
  for (const node of nodes.slice(1)) tree.closeDirectory(node);
  const [, a, b, , d] = nodes;
  assert.ok(a && b && d);
  rmSync(join(host, "a/b/c"), { recursive: true });
  assert.throws(() => tree.directoryFd(d), { errno: errno.stale });
  const opened = [a.fd, b.fd];
  tree.close();
  assert.deepEqual([a.fd, b.fd], [-1, -1], `${String(opened)} are open still`);
});
