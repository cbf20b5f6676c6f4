import assert from "node:assert/strict";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { long, storeImage } from "../../../test/support/stored-image.ts";
import { sandboxRecord } from "../../../test/support/sandbox-record.ts";
import { stoppedSandbox } from "../../../test/support/stopped-sandbox.ts";
import { keyA, keyB, make } from "../../../test/support/template-support.ts";
import { imageStore, prepareStore } from "../../image/store/layout.ts";
import { tryLockFile } from "../../host/locks/lock.ts";
import { locateHome, prepareHome, type Home } from "../../store/home.ts";
import { newPoolRecord, poolNames, poolPaths, writePool, type PoolRecord } from "../../store/pools/pools.ts";
import { sandboxPaths, stagingPaths } from "../../store/sandboxes.ts";
import { suspensionPaths } from "../../store/suspension.ts";
import { InvalidConfigError, IoError, Sandbox, Snapshot, Storage, Volume } from "../index.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-storage-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

let homes = 0;
async function newHome(): Promise<Home> {
  process.env["MSB_HOME"] = join(directory, String(++homes));
  const home = locateHome();
  await prepareHome(home);
  return home;
}

const mib = 1024 * 1024;
const data = Buffer.alloc(2 * mib, "data");
const week = 7 * 86_400_000;

/** Everything below a directory. */
function tree(root: string): string[] {
  return (readdirSync(root, { recursive: true }) as string[]).sort();
}

function poolRecord(name: string, isOwned: boolean): PoolRecord {
  const { config } = sandboxRecord(name, { image: "localhost/base" });
  return newPoolRecord({
    ...{ id: `id-of-${name}`, name, createdAt: new Date().toISOString(), size: 1, maxMemoryMib: null },
    ...{ config, asked: "", warm: { kind: "none" }, point: "point-0", isOwned },
  });
}

/** A sandbox with a snapshot and a volume, what killed processes leave beside all of these, and templates of two ages. */
async function filled(): Promise<{ home: Home; leftovers: string[] }> {
  const home = await newHome();
  await stoppedSandbox(home, "box", { image: "example.org/used:1" });
  await stoppedSandbox(home, "base");
  await Snapshot.builder("kept").fromSandbox("base").create();
  await Volume.create({ name: "data" });
  const store = imageStore(home);
  await prepareStore(store);
  await storeImage(store, "example.org/used:1");
  await storeImage(store, "example.org/old:1", long);
  await storeImage(store, "example.org/young:1");
  for (const key of [keyA, keyB]) await make(home, key);
  const unused = new Date(Date.now() - 2 * week);
  utimesSync(join(home.templates, keyA, "template.json"), unused, unused);

  const removed = join(home.sandboxes, ".removed-0123456789abcdef");
  const staging = stagingPaths(home, "0123456789abcdef").directory;
  const used = join(sandboxPaths(home, "box").directory, ".suspended-used");
  const rollback = join(sandboxPaths(home, "box").directory, ".rollback-new");
  const checkpoint = join(sandboxPaths(home, "box").directory, "checkpoints", ".new-1");
  const volume = join(home.volumes, ".removed-0123456789abcdef");
  const snapshot = join(home.snapshots, ".gone.staging");
  const template = join(home.templates, ".new-0123456789abcdef");
  const pool = join(home.pools, ".removed-0123456789abcdef");
  // Of a program that was killed before it had any member.
  const orphan = poolPaths(home, "orphan");
  const leftovers = [removed, staging, used, rollback, checkpoint, volume, snapshot, template, pool];
  leftovers.push(orphan.directory);
  for (const path of leftovers) {
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "memory"), data);
  }
  for (const [name, isOwned] of [
    ["orphan", true],
    ["workers", false],
  ] as const) {
    const { directory: place, record } = poolPaths(home, name);
    mkdirSync(place, { recursive: true });
    await writePool(record, poolRecord(name, isOwned));
  }
  // Of a fork: another one has the same.
  const { directory: suspended, memory } = suspensionPaths(sandboxPaths(home, "base").directory);
  mkdirSync(suspended);
  rmSync(join(removed, "memory"));
  writeFileSync(memory, data);
  linkSync(memory, join(removed, "memory"));
  utimesSync(staging, long, long);
  return { home, leftovers: leftovers.sort() };
}

test("what would go is told, and nothing else goes than that", async () => {
  const { home, leftovers } = await filled();
  const before = tree(home.root).filter((path) => !path.endsWith("lock"));
  const usage = await Storage.usage();
  const plan = await Storage.prune({ dryRun: true });
  assert.deepEqual(
    tree(home.root).filter((path) => !path.endsWith("lock")),
    before,
  );
  const { images, templates, leftovers: left } = plan;
  assert.deepEqual(images.references, ["example.org/old:1", "example.org/young:1"]);
  assert.deepEqual(templates.keys, [keyA]);
  assert.deepEqual(left.paths, leftovers);
  // One shares its memory with a sandbox.
  assert.ok(left.bytes >= 9 * data.length && left.bytes < 10 * data.length, String(left.bytes));
  assert.equal(plan.bytesReclaimed, images.bytes + templates.bytes + left.bytes);

  assert.equal(usage.path, home.root);
  assert.equal(usage.reclaimableBytes, plan.bytesReclaimed);
  assert.equal(
    usage.totalBytes,
    Object.values(usage.kinds).reduce((sum, { bytes }) => sum + bytes, 0),
  );
  const counts = Object.entries(usage.kinds).map(([kind, { count, active }]) => [kind, count, active]);
  assert.deepEqual(counts, [
    ["images", 3, 1],
    ["templates", 2, 1],
    ["snapshots", 1, 0],
    ["volumes", 1, 0],
    ["pools", 2, 0],
    ["sandboxes", 2, 0],
    ["forkMemory", null, null],
    ["other", null, null],
  ]);

  const report = await Storage.prune();
  assert.deepEqual(report, { ...plan, dryRun: false });
  for (const path of leftovers) assert.ok(!existsSync(path), path);
  assert.deepEqual((await Sandbox.list()).map(({ name }) => name).sort(), ["base", "box"]);
  assert.ok(existsSync(suspensionPaths(sandboxPaths(home, "base").directory).memory));
  assert.equal((await Snapshot.list()).length, 1);
  assert.equal((await Volume.list()).length, 1);
  assert.deepEqual(await poolNames(home), ["workers"]);
  const after = await Storage.usage();
  assert.equal(after.reclaimableBytes, 0);
  const freed = usage.totalBytes - after.totalBytes;
  assert.ok(Math.abs(freed - report.bytesReclaimed) < mib, `${freed}, told ${report.bytesReclaimed}`);
  assert.equal((await Storage.prune({ olderThanSeconds: 0 })).templates.keys.length, 1);
});

test("what was used since a time stays, but not what nobody can use", async () => {
  const { home, leftovers } = await filled();
  const { images, templates, leftovers: left } = await Storage.prune({ olderThanSeconds: 86_400 });
  assert.deepEqual(images.references, ["example.org/old:1"]);
  assert.deepEqual(templates.keys, [keyA]);
  assert.deepEqual(left.paths, leftovers);
  rmSync(join(home.templates, keyB, "memory"));
  assert.deepEqual((await Storage.prune({ olderThanSeconds: 1e12 })).templates.keys, [keyB]);
});

test("what somebody works on stays", async () => {
  const home = await newHome();
  await stoppedSandbox(home, "box");
  const { directory: own, lock } = sandboxPaths(home, "box");
  mkdirSync(join(own, ".suspended-new"));
  await using _suspends = await tryLockFile(lock);
  const staging = stagingPaths(home, "0123456789abcdef");
  mkdirSync(staging.directory);
  utimesSync(staging.directory, long, long);
  await using _makes = await tryLockFile(staging.lock);
  utimesSync(staging.directory, long, long);
  assert.deepEqual((await Storage.prune()).leftovers, { paths: [], bytes: 0 });
  assert.ok(existsSync(join(own, ".suspended-new")) && existsSync(staging.directory));
});

test("while a sandbox cannot be read nothing is pruned, and it is said that it cannot be told", async () => {
  const { home } = await filled();
  writeFileSync(sandboxPaths(home, "box").config, "{");
  const before = tree(home.root).filter((path) => !path.endsWith("lock"));
  await assert.rejects(Storage.prune(), (error) => error instanceof IoError && error.hint !== "");
  assert.deepEqual(
    tree(home.root).filter((path) => !path.endsWith("lock")),
    before,
  );
  const { images, volumes, sandboxes } = (await Storage.usage()).kinds;
  assert.deepEqual([images.active, images.reclaimableBytes, volumes.active], [null, null, null]);
  assert.ok(images.bytes > 0 && sandboxes.bytes > 0);
});

test("of a home that is not there nothing is told, and none is made", async () => {
  process.env["MSB_HOME"] = join(directory, "nowhere");
  const { totalBytes, reclaimableBytes } = await Storage.usage();
  assert.deepEqual([totalBytes, reclaimableBytes], [0, 0]);
  assert.equal((await Storage.prune({ dryRun: true })).bytesReclaimed, 0);
  assert.ok(!existsSync(join(directory, "nowhere")));
});

test("wrong options are refused, and both can be given up", async () => {
  await newHome();
  for (const options of [
    { olderThanSeconds: -1 },
    { olderThanSeconds: "7d" },
    { olderThanSeconds: Number.NaN },
    { dryRun: "yes" },
    { older: 1 },
  ])
    await assert.rejects(Storage.prune(options as never), InvalidConfigError, JSON.stringify(options));
  const reason = new Error("never mind");
  const signal = AbortSignal.abort(reason);
  await assert.rejects(Storage.usage({ signal }), reason);
  await assert.rejects(Storage.prune({ signal }), reason);
});

test("a snapshot's usage is that of its disk", async () => {
  const { home } = await filled();
  const snapshot = await Snapshot.open("kept");
  const { ownBytes, sharedBytes, parts } = await snapshot.storageUsage();
  assert.equal(sharedBytes, 0);
  assert.ok(parts.disk.ownBytes > 0 && parts.disk.ownBytes < mib && parts.memory.ownBytes === 0);
  assert.equal(ownBytes, parts.disk.ownBytes + parts.other.ownBytes);
  linkSync(join(home.snapshots, "kept", "upper.ext4"), join(directory, "link"));
  assert.equal((await snapshot.storageUsage()).parts.disk.sharedBytes, parts.disk.ownBytes);
});
