import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { lockTemplate, stageTemplate, tryLockTemplate } from "./template-staging.ts";
import { openTemplate } from "./templates.ts";
import { pruneTemplates } from "./template-eviction.ts";
import { removeTemplate } from "./template-removal.ts";
import { IoError } from "../../errors/index.ts";
import { tryLockFile } from "../../host/locks/lock.ts";
import { sweepTemplateLeftovers } from "./template-removal.ts";
import {
  entries,
  fill,
  imageDetails,
  keyA,
  keyB,
  keyC,
  keyD,
  kill,
  machineDetails,
  make,
  noLimit,
  startMaker,
  TemplateHome,
} from "../../../test/support/template-support.ts";

test("a template is what was put there, for this user only, and nothing else is left", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const created = await make(home, keyA, { details: imageDetails });
  assert.ok(created !== null);
  assert.deepEqual(await entries(home), [keyA]);
  assert.deepEqual((await readdir(created.directory)).sort(), [
    "memory",
    "state",
    "template.json",
    "upper.extents",
  ]);
  assert.equal((await stat(created.directory)).mode & 0o777, 0o700);
  for (const name of await readdir(created.directory)) {
    assert.equal((await stat(join(created.directory, name))).mode & 0o777, 0o600, name);
  }
  const { template, unusable, dropped } = await openTemplate(home, keyA);
  assert.deepEqual([template, unusable, dropped], [created, null, null]);
  assert.equal(await readFile(created.paths.upper, "utf8"), "upper");
  assert.equal(created.record.durable, false);
  assert.deepEqual(created.record.description, imageDetails.description);
});

test("without one of its files it is not made", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  await using lock = await lockTemplate(home, keyA);
  const staged = await stageTemplate(home);
  await fill(staged, "machine");
  await assert.rejects(staged.commit(lock, imageDetails, noLimit), IoError);
  assert.deepEqual(await entries(home), [`${keyA}.lock`]);
  assert.equal((await openTemplate(home, keyA)).template, null);
});

test("what is discarded leaves nothing, and takes what others left with it", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  await kill(await startMaker(home, keyB, "filled"));
  {
    await using staged = await stageTemplate(home);
    await fill(staged, "machine");
    assert.equal((await entries(home)).length, 5);
  }
  assert.deepEqual(await readdir(home.templates), []);
  assert.deepEqual(await readdir(home.run), []);
});

test("a lock that nobody holds goes with the next making, those that are held stay", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  await kill(await startMaker(home, keyA, "locked"));
  const holder = await startMaker(home, keyB, "locked");
  await using _own = await lockTemplate(home, keyC);
  assert.deepEqual(await entries(home), [`${keyA}.lock`, `${keyB}.lock`, `${keyC}.lock`]);
  await make(home, keyD);
  assert.deepEqual(await entries(home), [`${keyB}.lock`, `${keyC}.lock`, keyD]);
  await kill(holder);
  await pruneTemplates(home);
  assert.deepEqual(await entries(home), [`${keyC}.lock`]);
});

test("who tries a lock that nobody holds has it, though others sweep at that moment", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const path = join(home.templates, `${keyA}.lock`);
  for (let round = 0; round < 200; round++) {
    // As one leaves it who is killed while he has the lock.
    await writeFile(path, "");
    const [lock] = await Promise.all([
      tryLockTemplate(home, keyA),
      sweepTemplateLeftovers(home),
      sweepTemplateLeftovers(home),
    ]);
    assert.ok(lock !== null, `round ${round}`);
    // What was taken is the file at this place: somebody else cannot have it too.
    assert.equal(await tryLockFile(path), null);
    await lock.release();
  }
  await sweepTemplateLeftovers(home);
  assert.deepEqual(await readdir(home.templates), []);
});

test("it takes the place of whatever stands there", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const path = join(home.templates, keyA);
  const first = await make(home, keyA);
  const again = await make(home, keyA);
  assert.notEqual(again?.inode, first?.inode);
  await mkdir(join(home.root, "elsewhere"));
  await writeFile(join(home.root, "elsewhere", "kept"), "");
  for (const obstruct of [
    (): Promise<unknown> => writeFile(path, "a file"),
    (): Promise<unknown> => symlink(join(home.root, "elsewhere"), path),
  ]) {
    const seen = (await openTemplate(home, keyA)).template;
    if (seen !== null) await removeTemplate(home, seen);
    await obstruct();
    assert.ok((await make(home, keyA)) !== null);
    assert.ok((await openTemplate(home, keyA)).template !== null);
    assert.deepEqual(await entries(home), [keyA]);
  }
  assert.deepEqual(await readdir(join(home.root, "elsewhere")), ["kept"]);
});

test("that none can be made is remembered", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  {
    await using lock = await lockTemplate(home, keyA);
    await using staged = await stageTemplate(home);
    await fill(staged, "machine");
    await staged.commitUnusable(lock, machineDetails, "the machine cannot be saved");
  }
  assert.deepEqual(await readdir(join(home.templates, keyA)), ["template.json"]);
  const opened = await openTemplate(home, keyA);
  assert.deepEqual(opened, { template: null, unusable: "the machine cannot be saved", dropped: null });
});

test("once it is made, nobody waits any more", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  await using lock = await lockTemplate(home, keyA);
  await using staged = await stageTemplate(home);
  await fill(staged, "machine");
  await staged.commit(lock, machineDetails, noLimit);
  await using next = await tryLockTemplate(home, keyA);
  assert.notEqual(next, null);
});

test("two processes make one template once", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const first = await startMaker(home, keyA, "filled");
  const others = await Promise.all([1, 2].map(() => startMaker(home, keyA, "start")));
  assert.equal(await tryLockTemplate(home, keyA), null);
  await using other = await tryLockTemplate(home, keyB);
  assert.notEqual(other, null);
  await other?.release();
  const words = others.map(async (child) => {
    child.stdin?.write("\n");
    const [word] = (await once(child.stdout ?? assert.fail(), "data")) as [Buffer];
    return String(word);
  });
  const ends = [first, ...others].map((child) => once(child, "close"));
  assert.equal((await openTemplate(home, keyA)).template, null);
  first.stdin?.write("\n");
  assert.deepEqual(await Promise.all(words), ["found\n", "found\n"]);
  await Promise.all(ends);
  assert.deepEqual(await entries(home), [keyA]);
});

for (const step of ["locked", "staged", "filled", "made"]) {
  test(`a maker that is killed when it has ${step}: the next one makes it, nothing is left`, async () => {
    await using scope = await TemplateHome.create();
    const { home } = scope;
    const maker = await startMaker(home, keyA, step);
    const stop = new AbortController();
    const next = lockTemplate(home, keyA, stop.signal);
    await kill(maker);
    await using lock = await next;
    assert.equal((await openTemplate(home, keyA)).template !== null, step === "made");
    {
      await using staged = await stageTemplate(home);
      await fill(staged, "machine");
      await staged.commit(lock, machineDetails, noLimit);
    }
    assert.ok((await openTemplate(home, keyA)).template !== null);
    assert.deepEqual(await readdir(home.templates), [keyA]);
    assert.deepEqual(await readdir(home.run), []);
  });
}

test("what a living maker works on is not swept away", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const maker = await startMaker(home, keyA, "filled");
  await make(home, keyB);
  assert.equal((await readdir(home.run)).length, 1);
  maker.stdin?.write("\n");
  await once(maker, "close");
  assert.deepEqual(await entries(home), [keyA, keyB]);
});

test("waiting for the right to make one is given up", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  await using _held = await lockTemplate(home, keyA);
  const stop = new AbortController();
  const waiting = lockTemplate(home, keyA, stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
});

test("a directory that others can write is refused; a missing one is made", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  await chmod(home.templates, 0o770);
  await assert.rejects(
    lockTemplate(home, keyA),
    (error) => error instanceof IoError && /can be written by other users/.test(error.message),
  );
  await assert.rejects(stageTemplate(home), IoError);
  await chmod(home.templates, 0o700);
  await rm(home.templates, { recursive: true });
  assert.ok((await make(home, keyA)) !== null);
});

test("a key is 64 hexadecimal digits", async () => {
  await using scope = await TemplateHome.create();
  for (const key of ["", "a", "../../etc", "A".repeat(64), `${keyA}/`]) {
    await assert.rejects(openTemplate(scope.home, key), TypeError);
    await assert.rejects(lockTemplate(scope.home, key), TypeError);
  }
});
