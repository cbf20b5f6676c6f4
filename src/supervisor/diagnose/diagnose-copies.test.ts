import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { locateHome, prepareHome } from "../../store/home.ts";
import { diskCopiesFinding, inspectCopies, poolsFinding } from "./diagnose-copies.ts";

test("what a copy costs is told as the file system has it", () => {
  assert.equal(diskCopiesFinding(true).status, "ok");
  assert.match(diskCopiesFinding(false).detail, /cannot share blocks/);
});

test("a pool that has nobody ready is warned about, with what to do", () => {
  assert.equal(poolsFinding([]).status, "info");
  assert.equal(poolsFinding([{ name: "a", ready: 1, wanted: 2, log: "/a/log" }]).status, "ok");
  const { status, detail, fix } = poolsFinding([
    { name: "a", ready: 1, wanted: 2, log: "/a/log" },
    { name: "b", ready: 0, wanted: 3, log: "/b/log" },
  ]);
  assert.deepEqual({ status, detail }, { status: "warning", detail: "a: 1 of 2 ready\nb: 0 of 3 ready" });
  assert.match(fix, /What is taken of b .*\/b\/log says why/);
});

test("this host is looked at, and nothing is left of that", async () => {
  const directory = mkdtempSync(join(tmpdir(), "msb-copies-"));
  try {
    const home = locateHome({ MSB_HOME: directory });
    await prepareHome(home);
    const before = readdirSync(home.cache);
    assert.deepEqual(
      (await inspectCopies(home)).map(({ name }) => name),
      ["copies", "pools"],
    );
    assert.deepEqual(readdirSync(home.cache), before);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
