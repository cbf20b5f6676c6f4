import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, stat, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { IoError } from "../../errors/index.ts";
import { copySparse } from "../../host/files/copy-sparse.ts";
import { listTemplates } from "./template-eviction.ts";
import { locateHome, prepareHome, type Home } from "../home.ts";
import { lockTemplate, stageTemplate } from "./template-staging.ts";
import { openTemplate } from "./templates.ts";
import { fill, keyA, keyB, machineDetails, make, noLimit } from "../../../test/support/template-support.ts";

// Full and read-only disks. A small tmpfs stands for them, which only root can mount.
const run = promisify(execFile);
const skip = process.platform === "linux" && process.getuid?.() === 0 ? false : "mounting a tmpfs takes root";

async function smallHome(t: TestContext, size: string): Promise<Home> {
  const root = await mkdtemp(join(tmpdir(), "msb-template-disk-"));
  await run("mount", ["-t", "tmpfs", "-o", `size=${size}`, "msb-test", root]);
  t.after(async () => {
    await run("umount", [root]);
    await rm(root, { recursive: true });
  });
  const home = locateHome({ MSB_HOME: root });
  await prepareHome(home);
  return home;
}

test("on a full disk no template is made and nothing is left", { skip }, async (t) => {
  const home = await smallHome(t, "4m");
  assert.ok((await make(home, keyA, { dataMib: 2 })) !== null);
  await using lock = await lockTemplate(home, keyB);
  {
    await using staged = await stageTemplate(home);
    await assert.rejects(fill(staged, "machine", 8), { code: "ENOSPC" });
  }
  // What fits but for the record.
  {
    await using staged = await stageTemplate(home);
    await fill(staged, "machine");
    const { bavail, bsize } = await statfs(home.root);
    await run("fallocate", ["-l", String(bavail * bsize), join(home.root, "ballast")]);
    await assert.rejects(
      staged.commit(lock, machineDetails, noLimit),
      (error) => error instanceof IoError && /disk is full/.test(error.hint),
    );
  }
  assert.deepEqual((await readdir(home.templates)).sort(), [keyA, `${keyB}.lock`]);
  assert.ok((await openTemplate(home, keyA)).template !== null);
  await rm(join(home.root, "ballast"));
  await lock.release();
  assert.ok((await make(home, keyB)) !== null);
});

test("a copy that does not fit is removed", { skip }, async (t) => {
  const home = await smallHome(t, "4m");
  const outside = await mkdtemp(join(tmpdir(), "msb-template-disk-"));
  t.after(() => rm(outside, { recursive: true }));
  const source = join(outside, "source");
  await run("dd", ["if=/dev/urandom", `of=${source}`, "bs=1M", "count=8"]);
  const target = join(home.root, "target");
  await assert.rejects(
    copySparse(source, target),
    (error) => error instanceof IoError && /disk is full/.test(error.hint),
  );
  await assert.rejects(stat(target), { code: "ENOENT" });
});

test("a read-only home still has its templates", { skip }, async (t) => {
  const home = await smallHome(t, "8m");
  const created = await make(home, keyA);
  await make(home, keyB);
  await rm(join(home.templates, keyB, "memory"));
  await run("mount", ["-o", "remount,ro", home.root]);
  assert.deepEqual((await openTemplate(home, keyA)).template, created);
  assert.equal((await openTemplate(home, keyB)).dropped?.reason, "memory is missing");
  assert.equal((await listTemplates(home)).length, 2);
  await assert.rejects(
    lockTemplate(home, keyB),
    (error) => error instanceof IoError && /read-only/.test(error.hint),
  );
  await assert.rejects(stageTemplate(home), IoError);
});
