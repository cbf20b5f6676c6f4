import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import {
  Image,
  InvalidConfigError,
  Sandbox,
  Snapshot,
  SnapshotNotFoundError,
} from "../../../../src/index.ts";
import { MsbHome } from "../../cli/cli-support.ts";
import { smallMemory, timeout } from "../../lifecycle-support.ts";
import { useTemporaryHome } from "../../support.ts";
import type { Needs } from "../../tags.ts";

export const needs: Needs = ["running"];

// Disks that were captured, and sandboxes that begin with them.
const home = useTemporaryHome();

async function fromSnapshot(name: string, snapshot: string): Promise<Sandbox> {
  return await Sandbox.builder(name).fromSnapshot(snapshot).memory(smallMemory).create();
}

async function read(sandbox: Sandbox, path: string): Promise<string> {
  return (await sandbox.fs().readToString(path)).trim();
}

before(async () => {
  const source = await Sandbox.builder("source")
    .image("localhost/base")
    .memory(smallMemory)
    .rootDisk(64)
    .create();
  await source.shell(
    "echo of the source > /root/file; rm /etc/motd; ln -s file /root/link; chmod 700 /root/file",
  );
  await source.stop();
  const taken = await (await Sandbox.get("source")).snapshot("first");
  assert.equal(taken.sizeBytes, 64n * 1024n * 1024n);
  assert.deepEqual([taken.imageRef, taken.sourceSandbox, taken.parent], ["localhost/base", "source", null]);
});

test("a new sandbox has what was written, and both go their own ways", { timeout }, async () => {
  await using child = await fromSnapshot("child", "first");
  assert.equal(await read(child, "/root/link"), "of the source");
  assert.equal(
    (await child.shell("test -e /etc/motd; stat -c %a /root/file; hostname")).stdout(),
    "700\nchild\n",
  );
  assert.equal(child.config.fromSnapshot, "first");
  assert.equal(child.config.snapshotDigest, (await Snapshot.get("first")).digest);
  await child.shell("echo of the child > /root/file");
  await using source = await Sandbox.start("source");
  assert.equal(await read(source, "/root/file"), "of the source");
  await source.shell("echo later > /root/file");
  assert.equal(await read(child, "/root/file"), "of the child");
});

test("of a sandbox that was killed, and of a child: each has its own disk", { timeout }, async () => {
  const child = await fromSnapshot("grandparent", "first");
  await child.shell("echo of the second > /root/file; sync");
  await child.kill();
  const first = await Snapshot.get("first");
  const second = await Snapshot.builder("second")
    .fromSandbox(child)
    .recordIntegrity()
    .label("a", "b")
    .create();
  assert.equal(second.parent, first.digest);
  assert.equal((await second.verify()).upper.kind, "verified");
  await Sandbox.remove("grandparent");
  await assert.rejects(Snapshot.remove("first"), /parent/);
  await first.remove({ force: true });
  await assert.rejects(fromSnapshot("late", "first"), SnapshotNotFoundError);
  await using late = await fromSnapshot("late", second.digest);
  assert.equal(await read(late, "/root/file"), "of the second");
  await Snapshot.remove("second");
  // Its disk is its own: it can stop and start again.
  await late.stop();
  await using again = await Sandbox.start("late");
  assert.equal(await read(again, "/root/file"), "of the second");
  assert.deepEqual(readdirSync(join(home, "snapshots")), []);
  await Image.prune();
});

test("through a file to another home, from the command line", { timeout }, async () => {
  await using other = new MsbHome();
  const cli = new MsbHome({ path: home });
  const created = await cli.msb(
    "snapshot",
    "create",
    "packed",
    "--from",
    "source",
    "--integrity",
    "--label",
    "a=b",
  );
  assert.equal(created.code, 0, created.stderr);
  const [digest = "", path = ""] = created.stdout.split("\n");
  assert.equal(path, join(home, "snapshots", "packed"));
  const file = join(home, "packed.tar.zst");
  assert.equal((await cli.msb("snapshot", "save", "packed", file)).code, 0);
  const loaded = await other.msb("snap", "load", file);
  assert.equal(loaded.stdout.split("\n")[0], digest, loaded.stderr);
  const listed = await other.msb("snapshot", "ls", "--format", "json");
  assert.equal((JSON.parse(listed.stdout) as { digest: string }[])[0]?.digest, digest);
  const inspected = await other.msb("snapshot", "inspect", "packed", "--verify", "--format", "json");
  const { verified, labels } = JSON.parse(inspected.stdout) as { verified: boolean; labels: object };
  assert.deepEqual([verified, labels], [true, { a: "b" }]);
  const ran = await other.msb(
    "run",
    "-q",
    "--memory",
    `${smallMemory}M`,
    "--from-snapshot",
    "packed",
    "--",
    "cat",
    "/root/file",
  );
  assert.equal(ran.stdout, "later\n", ran.stderr);
  assert.equal((await other.msb("run", "alpine", "--from-snap", "packed")).code, 2);
  assert.equal((await other.msb("snapshot", "rm", "packed")).code, 0);
  assert.equal((await other.msb("snapshot", "ls")).stderr, "No snapshots indexed.\n");
  assert.equal((await other.msb("snapshot", "verify", "packed")).code, 1);
});

test("what does not go with a snapshot is refused, and nothing is made", { timeout }, async () => {
  const build = (): ReturnType<typeof Sandbox.builder> => Sandbox.builder("wrong").fromSnapshot("missing");
  await assert.rejects(build().image("localhost/base").create(), InvalidConfigError);
  await assert.rejects(build().rootDisk(64).create(), InvalidConfigError);
  await assert.rejects(
    build()
      .patch((p) => p.mkdir("/a"))
      .create(),
    InvalidConfigError,
  );
  await assert.rejects(build().create(), SnapshotNotFoundError);
  await assert.rejects(Sandbox.create({ name: "wrong", fromSnapshot: "missing" }), SnapshotNotFoundError);
  assert.deepEqual(readdirSync(join(home, "sandboxes")).includes("wrong"), false);
});
