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
