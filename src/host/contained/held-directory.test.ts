import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, chmodSync, rmSync, writeFileSync } from "node:fs";
import { readFile, rename, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { HeldDirectory } from "./held-directory.ts";

// The first test of a process of its own: what is found out of the first directory holds for all.
test("a directory that may not be searched leads no later one astray", async (t) => {
  const place = mkdtempSync(join(tmpdir(), "msb-held-"));
  t.after(() => {
    rmSync(place, { recursive: true, force: true });
  });
  chmodSync(place, 0o755);
  mkdirSync(join(place, "shut"));
  mkdirSync(join(place, "open"));
  mkdirSync(join(place, "elsewhere"));
  writeFileSync(join(place, "open/file"), "its own");
  writeFileSync(join(place, "elsewhere/file"), "somebody else's");
  chmodSync(join(place, "shut"), 0o444);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65534);
  try {
    await (await HeldDirectory.open(join(place, "shut"))).close();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
  const held = await HeldDirectory.open(join(place, "open"));
  try {
    await rename(join(place, "open"), join(place, "moved"));
    await symlink("elsewhere", join(place, "open"));
    assert.equal(await readFile(held.at("file"), "utf8"), "its own");
  } finally {
    await held.close();
  }
});

test("a directory that may be gone through and not read is opened itself, and a link to one is not", async (t) => {
  const place = mkdtempSync(join(tmpdir(), "msb-held-"));
  t.after(() => {
    rmSync(place, { recursive: true, force: true });
  });
  chmodSync(place, 0o755);
  mkdirSync(join(place, "unread"));
  writeFileSync(join(place, "unread/file"), "its own");
  await symlink("unread", join(place, "link"));
  chmodSync(join(place, "unread"), 0o711);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65534);
  else chmodSync(join(place, "unread"), 0o311);
  try {
    if (process.platform === "linux") {
      await assert.rejects(HeldDirectory.open(join(place, "unread")), { code: "EACCES" });
      await using held = await HeldDirectory.openItself(join(place, "unread"));
      assert.equal(await readFile(held.at("file"), "utf8"), "its own");
    }
    await assert.rejects(HeldDirectory.openItself(join(place, "link")), { code: /^(ENOTDIR|ELOOP)$/u });
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});
