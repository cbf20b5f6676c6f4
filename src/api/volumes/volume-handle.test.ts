import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { VolumeNotFoundError } from "../../errors/index.ts";
import { Volume } from "./entry.ts";

const home = mkdtempSync(join(tmpdir(), "msb-volume-handle-"));
const before = process.env["MSB_HOME"];
process.env["MSB_HOME"] = home;
after(() => {
  if (before === undefined) delete process.env["MSB_HOME"];
  else process.env["MSB_HOME"] = before;
  rmSync(home, { recursive: true, force: true });
});

test("a handle removes the volume that it was made for, and no other one of that name", async () => {
  await Volume.create({ name: "one" });
  const old = await Volume.get("one");
  await old.remove();
  await (await Volume.create({ name: "one" })).fs().write("file", "new");
  await assert.rejects(old.remove(), (error) => {
    assert.ok(error instanceof VolumeNotFoundError, String(error));
    assert.match(error.message, /another one made by that name/);
    return true;
  });
  const now = await Volume.get("one");
  assert.equal(await now.fs().readToString("file"), "new");
  await now.remove();
  await assert.rejects(Volume.get("one"), VolumeNotFoundError);
});
