import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { stoppedSandbox } from "../../../test/support/stopped-sandbox.ts";
import { locateHome } from "../../store/home.ts";
import {
  InvalidConfigError,
  Sandbox,
  SandboxNotRunningError,
  SandboxReplacedError,
  Snapshot,
  SnapshotAlreadyExistsError,
  SnapshotBuilder,
  SnapshotNotFoundError,
} from "../index.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-api-snapshots-"));
process.env["MSB_HOME"] = directory;
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

test("what is wrong is told by build() and create(), not by a setter", async () => {
  const wrong = [
    () => new SnapshotBuilder("snap").fromSandbox("box").label("service.x", "1"),
    () => new SnapshotBuilder("snap").fromSandbox({} as never),
    () => new SnapshotBuilder("snap").fromSandbox("box").force("yes" as never),
    () => new SnapshotBuilder(5 as never).fromSandbox("box"),
    () => new SnapshotBuilder("box"),
    () => new SnapshotBuilder(),
  ];
  for (const make of wrong) {
    assert.throws(() => make().build(), InvalidConfigError);
    await assert.rejects(make().create(), InvalidConfigError);
  }
  for (const call of [
    () => Snapshot.get(5 as never),
    () => Snapshot.open(""),
    () => Snapshot.remove("a b"),
    () => Snapshot.remove("snap", { force: 1 } as never),
    () => Snapshot.save("snap", "", {}),
    () => Snapshot.save("snap", "out", { withParent: true } as never),
    () => Snapshot.load("archive", 5 as never),
  ])
    await assert.rejects(call(), InvalidConfigError);
  assert.deepEqual(readdirSync(directory), []);
});

test("a handle of a sandbox takes the snapshot of that one; a handle of a snapshot opens and removes it", async () => {
  const home = locateHome();
  await stoppedSandbox(home, "box");
  const sandbox = await Sandbox.get("box");
  const snapshot = await sandbox.snapshot("first");
  assert.equal(snapshot.path, join(home.snapshots, "first"));
  assert.equal(
    (await sandbox.snapshotTo(join(directory, "place", "second"))).path,
    join(directory, "place", "second"),
  );
  await assert.rejects(
    Snapshot.builder("x").fromSandbox(sandbox).resumable().create(),
    SandboxNotRunningError,
  );
  const [listed, ...others] = await Snapshot.list();
  assert.deepEqual([listed?.name, listed?.digest, others], ["first", snapshot.digest, []]);
  assert.deepEqual((await Snapshot.listDir(join(directory, "place"))).length, 1);
  assert.equal(await Snapshot.reindex(join(directory, "place")), 1);
  assert.equal((await Snapshot.get(join(directory, "place", "second"))).name, null);
  const handle = await Snapshot.get(snapshot.digest);
  assert.deepEqual(await (await handle.open()).verify(), {
    digest: snapshot.digest,
    path: snapshot.path,
    upper: { kind: "notRecorded" },
  });
  // The name is another one's by now.
  await Snapshot.builder("first").fromSandbox("box").force().create();
  await assert.rejects(handle.remove(), SnapshotNotFoundError);
  await Sandbox.remove("box");
  await stoppedSandbox(home, "box", { status: "starting" });
  await assert.rejects(sandbox.snapshot("third"), SandboxReplacedError);
  await Snapshot.remove("first");
  assert.deepEqual(await Snapshot.list(), []);
});

test("a sandbox whose process was killed has crashed, whatever it did then, and is captured", async () => {
  const home = locateHome();
  for (const status of ["starting", "running", "paused", "draining"] as const) {
    const name = `was-${status}`;
    await stoppedSandbox(home, name, { status });
    assert.equal((await (await Sandbox.get(name)).snapshot(name)).sourceSandbox, name);
  }
});

test("a snapshot is copied to another place, and saved; several are loaded", async () => {
  await stoppedSandbox(locateHome(), "copied");
  const [one, two] = await Promise.all(
    ["one", "two"].map((name) => Snapshot.builder(name).fromSandbox("copied").recordIntegrity().create()),
  );
  assert.ok(one !== undefined && two !== undefined);
  assert.match(one.id, /^[0-9a-f]{16}$/);
  assert.notEqual(one.id, two.id);
  const target = join(directory, "elsewhere", "again");
  const copy = await one.copyTo(target);
  assert.deepEqual([copy.path, copy.digest, copy.id], [target, one.digest, one.id]);
  assert.equal((await copy.verify()).upper.kind, "verified");
  await assert.rejects(two.copyTo(target), SnapshotAlreadyExistsError);
  assert.equal((await Snapshot.open(target)).digest, one.digest);
  assert.equal((await two.copyTo(target, { force: true })).digest, two.digest);
  for (const wrong of ["", join(directory, ".hidden"), 5 as never])
    await assert.rejects(one.copyTo(wrong), InvalidConfigError);
  assert.deepEqual(readdirSync(join(directory, "elsewhere")), ["again"]);

  const handle = await Snapshot.get("one");
  assert.deepEqual(await handle.storageUsage(), await one.storageUsage());
  const archives = [one, two].map(({ id }) => join(directory, `${id}.tar.zst`));
  await Promise.all([one, two].map((each, at) => each.saveTo(archives[at] ?? "")));
  await assert.rejects(Snapshot.loadMany(archives), SnapshotAlreadyExistsError);
  await Promise.all([one, two].map(({ path }) => Snapshot.remove(path)));
  await assert.rejects(handle.storageUsage(), SnapshotNotFoundError);
  await assert.rejects(one.copyTo(join(directory, "elsewhere", "late")), SnapshotNotFoundError);
  assert.deepEqual(readdirSync(join(directory, "elsewhere")), ["again"]);
  await assert.rejects(Snapshot.loadMany("archive" as never), InvalidConfigError);
  assert.deepEqual(await Snapshot.loadMany([]), []);
  const loaded = await Snapshot.loadMany(archives);
  assert.deepEqual(
    loaded.map(({ name, digest }) => [name, digest]),
    [
      ["one", one.digest],
      ["two", two.digest],
    ],
  );
  await Snapshot.builder("one").fromSandbox("copied").force().create();
  await assert.rejects(handle.storageUsage(), SnapshotNotFoundError);
});

test("a group's name is its newest snapshot, where none has that name; none is removed by it", async () => {
  await stoppedSandbox(locateHome(), "grouped");
  const take = (name: string): SnapshotBuilder => Snapshot.builder(name).fromSandbox("grouped");
  const first = await take("g1").create();
  const second = await take("g2").create();
  const apart = await take("g3").group("apart").create();
  assert.deepEqual([first.group, apart.group], ["grouped", "apart"]);
  assert.equal((await Snapshot.groupHead("grouped")).digest, second.digest);
  const references = ["grouped", "grouped:g1", "apart", "apart:g3", first.id, "g1"];
  const found = await Promise.all(references.map(async (each) => (await Snapshot.get(each)).digest));
  const { digest } = first;
  assert.deepEqual(found, [second.digest, digest, apart.digest, apart.digest, digest, digest]);
  assert.equal((await Snapshot.open("grouped")).group, "grouped");
  for (const wrong of ["apart:g1", "nobody:g1", "nobody", "grouped:nothing"])
    await assert.rejects(Snapshot.get(wrong), SnapshotNotFoundError, wrong);
  for (const wrong of ["a b:g1", "grouped:a b", "grouped:", ":g1", "a:b:c"])
    await assert.rejects(Snapshot.get(wrong), InvalidConfigError, wrong);
  assert.throws(() => take("g4").group("a:b").build(), InvalidConfigError);
  await assert.rejects(Snapshot.groupHead("nobody"), SnapshotNotFoundError);
  await assert.rejects(Snapshot.groupHead("a/b"), InvalidConfigError);
  // A name comes before a group, and what is removed is never guessed.
  await assert.rejects(Snapshot.remove("grouped"), SnapshotNotFoundError);
  const named = await take("grouped").create();
  assert.equal((await Snapshot.get("grouped")).digest, named.digest);
  // An archive takes it along.
  const archive = join(directory, "apart.tar");
  await apart.saveTo(archive);
  await Snapshot.remove("g3");
  await assert.rejects(Snapshot.groupHead("apart"), SnapshotNotFoundError);
  await Snapshot.load(archive);
  assert.equal((await Snapshot.groupHead("apart")).digest, apart.digest);
});
