import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { call, withCode } from "../../../test/support/provider-call.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import { allMethods, isWritable, type FileProvider } from "../file-provider.ts";
import { readOnly } from "./read-only.ts";

/** A directory, and what lies beside it, which nobody may ever reach. */
function tree(t: TestContext): { files: FileProvider; inside: string; outside: string } {
  const top = mkdtempSync(join(tmpdir(), "msb-read-only-"));
  t.after(() => rmSync(top, { recursive: true, force: true }));
  const [inside, outside] = [join(top, "inside"), join(top, "outside")];
  mkdirSync(join(inside, "d"), { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, "file"), "secret");
  writeFileSync(join(inside, "d", "file"), "0123456789");
  return { files: readOnly(inside), inside, outside };
}

const text = async (files: FileProvider, path: string, offset = 0): Promise<string> =>
  Buffer.from(await files.read(path, offset, 1_000, call)).toString();

test("a directory is listed and read, and has nothing that writes", async (t) => {
  const { files, inside } = tree(t);
  symlinkSync("d/file", join(inside, "link"));
  execFileSync("mkfifo", [join(inside, "pipe")]);
  writeFileSync(Buffer.concat([Buffer.from(`${inside}/`), Buffer.from([0xff])]), "no text");
  const entries = await files.list("/", call);
  assert.deepEqual(
    entries.map(({ name, stat }) => [name, stat?.kind]).sort(),
    [
      ["d", "directory"],
      ["link", "symlink"],
    ],
    "what cannot be shown is left out",
  );
  assert.equal(await text(files, "/d/file", 4), "456789");
  assert.equal(await text(files, "/d/file", 100), "");
  assert.equal(await files.readLink?.("/link", call), "d/file");
  const { kind, size, uid } = await files.stat("/d/file", call);
  assert.deepEqual([kind, size, uid], ["file", 10, 0]);
  for (const path of ["/none", "/pipe", "/none/x"])
    await assert.rejects(files.stat(path, call), withCode("ENOENT"));
  await assert.rejects(files.read("/d", 0, 1, call), withCode("EISDIR"));
  await assert.rejects(files.list("/d/file", call), withCode("ENOTDIR"));
  assert.equal(isWritable(files), false);
  assert.ok(allMethods.length > 4);
});

test("nothing leads out", async (t) => {
  const { files, inside, outside } = tree(t);
  symlinkSync(outside, join(inside, "out"));
  symlinkSync("../outside", join(inside, "up"));
  for (const path of ["/out/file", "/up/file", "/../outside/file", "/d/../../outside/file"]) {
    await assert.rejects(files.stat(path, call), withCode("EACCES"), path);
    await assert.rejects(files.read(path, 0, 10, call), withCode("EACCES"), path);
    await assert.rejects(files.list(path, call), withCode("EACCES"), path);
  }
  for (const path of ["/out", "/up"]) {
    assert.equal((await files.stat(path, call)).kind, "symlink");
    await assert.rejects(files.read(path, 0, 10, call));
    await assert.rejects(files.list(path, call));
  }

  // A directory and a link that change places all the time.
  symlinkSync(outside, join(inside, "other"));
  const [place, directory, link] = [join(inside, "d"), join(inside, "real"), join(inside, "other")];
  let seen = 0;
  const looking = (async () => {
    while (seen < 2_000) {
      const content = await text(files, "/d/file").catch(() => "");
      assert.notEqual(content, "secret");
      const names = await files.list("/d", call).catch(() => []);
      for (const { stat } of names) assert.notEqual(stat?.size, 6);
      seen++;
    }
  })();
  while (seen < 2_000) {
    renameSync(place, directory);
    renameSync(link, place);
    await new Promise(setImmediate);
    renameSync(place, link);
    renameSync(directory, place);
    await new Promise(setImmediate);
  }
  await looking;
});

test("what is no directory is refused at once", (t) => {
  const { inside } = tree(t);
  symlinkSync(inside, join(inside, "self"));
  for (const path of [join(inside, "none"), join(inside, "d/file"), join(inside, "self")])
    assert.throws(() => readOnly(path), InvalidConfigError);
});
