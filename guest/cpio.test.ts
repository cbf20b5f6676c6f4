import assert from "node:assert/strict";
import { test } from "node:test";
import { cpioArchive } from "./cpio.ts";

/** Reads "newc" as the kernel's init/initramfs.c does. */
function members(archive: Buffer): { name: string; mode: number; device: string; content: string }[] {
  const result = [];
  for (let at = 0; ;) {
    assert.equal(archive.toString("latin1", at, at + 6), "070701");
    const field = (index: number): number =>
      parseInt(archive.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    const nameEnd = at + 110 + field(11);
    const name = archive.toString("utf8", at + 110, nameEnd - 1);
    const start = (nameEnd + 3) & ~3;
    if (name === "TRAILER!!!") return result;
    result.push({
      name,
      mode: field(1),
      device: `${field(9)}:${field(10)}`,
      content: archive.toString("utf8", start, start + field(6)),
    });
    at = (start + field(6) + 3) & ~3;
  }
}

test("an archive holds its entries in order, aligned to four bytes", () => {
  const archive = cpioArchive([
    { kind: "directory", path: "dev", mode: 0o755 },
    { kind: "character device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "file", path: "init", mode: 0o755, content: Buffer.from("hello") },
    { kind: "file", path: "odd-name", mode: 0o644, content: Buffer.from("sixteen bytes ok") },
  ]);
  assert.deepEqual(members(archive), [
    { name: "dev", mode: 0o040755, device: "0:0", content: "" },
    { name: "dev/console", mode: 0o020600, device: "5:1", content: "" },
    { name: "init", mode: 0o100755, device: "0:0", content: "hello" },
    { name: "odd-name", mode: 0o100644, device: "0:0", content: "sixteen bytes ok" },
  ]);
  // The kernel joins archives only at multiples of four bytes.
  assert.equal(archive.length % 4, 0);
});

test("the same entries give the same bytes", () => {
  const make = (): Buffer =>
    cpioArchive([{ kind: "file", path: "init", mode: 0o755, content: Buffer.from("x") }]);
  assert.ok(make().equals(make()));
});
