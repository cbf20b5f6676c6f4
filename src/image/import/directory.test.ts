import assert from "node:assert/strict";
import { chmod, mkdir, readFile, readdir, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ImageError, IoError } from "../../errors/index.ts";
import { importDirectory } from "./directory.ts";
import { defaultImportLimits } from "./limits.ts";
import { readErofs } from "../../../test/support/erofs-reader.ts";
import { hasPrograms, run, workDirectory } from "../../../test/support/image-support.ts";

const options = {
  owner: (path: string) => (path.startsWith("home/") ? { uid: 1000, gid: 1001 } : { uid: 0, gid: 0 }),
  seconds: 7,
};

test("a directory of the host becomes an image, the same each time", async () => {
  await using work = await workDirectory();
  const source = join(work.path, "source");
  await mkdir(join(source, "home/me"), { recursive: true });
  await writeFile(join(source, "home/me/file"), "content");
  await writeFile(join(source, "gr\u00fc\u00df"), "x".repeat(700_001));
  await writeFile(join(source, "empty"), "");
  await symlink("home/me", join(source, "me"));
  await chmod(join(source, "empty"), 0o4711);
  await chmod(source, 0o750);
  const first = join(work.path, "first");
  const size = await importDirectory(source, first, defaultImportLimits, options);
  await utimes(join(source, "empty"), 1, 1);
  await importDirectory(source, join(work.path, "second"), defaultImportLimits, options);
  const bytes = await readFile(first);
  assert.equal(bytes.length, size);
  assert.ok(bytes.equals(await readFile(join(work.path, "second"))));
  if (await hasPrograms("fsck.erofs")) await run("fsck.erofs", ["--extract", first]);
  const found = await readErofs(first);
  assert.deepEqual([...found.keys()].sort(), [
    "",
    "empty",
    Buffer.from("gr\u00fc\u00df").toString("latin1"),
    "home",
    "home/me",
    "home/me/file",
    "me",
  ]);
  const file = found.get("home/me/file");
  assert.deepEqual([file?.content, file?.uid, file?.gid, file?.seconds], ["content", 1000, 1001, 7]);
  assert.equal(found.get("")?.mode, 0o040750);
  assert.equal(found.get("")?.uid, 0);
  assert.equal(found.get("empty")?.mode, 0o104711);
  assert.equal(found.get("me")?.content, "home/me");
  assert.equal(found.get("home")?.links, 3);
});

test("a fifo in the directory is refused and nothing is left", async () => {
  await using work = await workDirectory();
  const source = join(work.path, "source");
  await mkdir(source);
  await run("mkfifo", [join(source, "pipe")]);
  await assert.rejects(
    importDirectory(source, join(work.path, "image"), defaultImportLimits, options),
    (error) => error instanceof ImageError && /pipe is neither/.test(error.message),
  );
  assert.deepEqual(await readdir(work.path), ["source"]);
});

test("a directory that is not there is told", async () => {
  await using work = await workDirectory();
  const source = join(work.path, "missing");
  await assert.rejects(
    importDirectory(source, join(work.path, "image"), defaultImportLimits, options),
    IoError,
  );
  assert.deepEqual(await readdir(work.path), []);
});
