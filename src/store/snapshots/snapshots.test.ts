import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { diskBytes, stoppedSandbox } from "../../../test/support/stopped-sandbox.ts";
import { checkSnapshotConfig, type SnapshotAsked } from "../../config/snapshots/snapshot-config.ts";
import {
  CustomError,
  InvalidConfigError,
  IoError,
  JsonError,
  SandboxNotFoundError,
  SandboxReplacedError,
  SnapshotAlreadyExistsError,
  SnapshotIntegrityError,
  SnapshotNotFoundError,
  SnapshotSandboxRunningError,
  UnsupportedOperationError,
} from "../../errors/index.ts";
import { locateHome, type Home } from "../home.ts";
import { lockStoppedSandbox, sandboxPaths } from "../sandboxes.ts";
import { createSnapshot } from "./create-snapshot.ts";
import { canonicalJson } from "./descriptor.ts";
import { removeSnapshot } from "./remove-snapshot.ts";
import { copyUpper, findSnapshot, listSnapshots, type FoundSnapshot } from "./snapshots.ts";
import { sweepSnapshots } from "./staging.ts";
import { verifySnapshot } from "./verify-snapshot.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-snapshots-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

let homes = 0;
const newHome = (): Home => locateHome({ MSB_HOME: join(directory, String(++homes)) });
const never = new AbortController().signal;

const nothing = { name: null, path: null, destDir: null, fromSandbox: null, labels: {} };
const off = { force: false, recordIntegrity: false, resumable: false, guestFlush: "auto" as const };
function take(home: Home, asked: Partial<SnapshotAsked>, signal = never): Promise<FoundSnapshot> {
  const config = checkSnapshotConfig({ ...nothing, ...off, subject: "snap", ...asked });
  return createSnapshot(home, config, null, signal);
}

/** A home with a stopped sandbox `box` and its snapshot `snap`. */
async function taken(asked: Partial<SnapshotAsked> = {}): Promise<{ home: Home; snapshot: FoundSnapshot }> {
  const home = newHome();
  await stoppedSandbox(home, "box");
  return { home, snapshot: await take(home, { fromSandbox: "box", ...asked }) };
}

function edit(snapshot: FoundSnapshot, change: (descriptor: Record<string, unknown>) => void): void {
  const path = join(snapshot.directory, "snapshot.json");
  const descriptor = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  change(descriptor);
  writeFileSync(path, JSON.stringify(descriptor));
}

test("a snapshot has the sandbox's disk, sparse, and says what it is of", async () => {
  const { home, snapshot } = await taken({ labels: { __proto__x: "1", stage: "test" } });
  const source = sandboxPaths(home, "box").upper;
  assert.deepEqual(readFileSync(snapshot.upper), readFileSync(source));
  assert.ok(statSync(snapshot.upper).blocks * 512 < diskBytes / 8);
  const { descriptor } = snapshot;
  assert.deepEqual(descriptor.image, { ref: "localhost/base", manifest_digest: null });
  assert.deepEqual({ ...descriptor.labels }, { __proto__x: "1", stage: "test" });
  assert.deepEqual([descriptor.source_sandbox, descriptor.parent], ["box", null]);
  assert.equal(snapshot.directory, join(home.snapshots, "snap"));
  assert.deepEqual(readdirSync(home.snapshots), ["snap"]);
  assert.deepEqual(readdirSync(snapshot.directory).sort(), ["snapshot.json", "upper.ext4"]);
  assert.equal(statSync(snapshot.directory).mode & 0o777, 0o700);
  for (const reference of ["snap", snapshot.digest, snapshot.directory])
    assert.equal((await findSnapshot(home, reference)).digest, snapshot.digest);
});

test("the digest is that of the canonical form: not of how the file is written", async () => {
  assert.equal(
    canonicalJson({ b: [1, { d: null, c: "é" }], a: true }),
    '{"a":true,"b":[1,{"c":"é","d":null}]}',
  );
  const { home, snapshot } = await taken();
  edit(snapshot, (descriptor) => {
    const { artifact } = descriptor;
    delete descriptor["artifact"];
    descriptor["artifact"] = artifact;
  });
  assert.equal((await findSnapshot(home, "snap")).digest, snapshot.digest);
  edit(snapshot, (descriptor) => (descriptor["source_sandbox"] = "other"));
  assert.notEqual((await findSnapshot(home, "snap")).digest, snapshot.digest);
});

test("both ways to say which sandbox and which snapshot", () => {
  const check = (asked: Partial<SnapshotAsked>): unknown[] => {
    const { fromSandbox, name, destDir } = checkSnapshotConfig({
      ...nothing,
      ...off,
      subject: "x",
      ...asked,
    });
    return [fromSandbox, name, destDir];
  };
  assert.deepEqual(check({ fromSandbox: "box" }), ["box", "x", null]);
  assert.deepEqual(check({ name: "snap" }), ["x", "snap", null]);
  assert.deepEqual(check({ path: "/a/b/snap" }), ["x", "snap", "/a/b"]);
  assert.deepEqual(check({ fromSandbox: "box", destDir: "/a" }), ["box", "x", "/a"]);
  assert.deepEqual(check({ fromSandbox: "box", subject: null, name: "n" }), ["box", "n", null]);
  const wrong: Partial<SnapshotAsked>[] = [
    {},
    { subject: null, name: "n" },
    { fromSandbox: "box", subject: null },
    { name: "n", path: "/a/b" },
    { path: "/a/b", destDir: "/a" },
    { path: "/" },
    { path: "/a/.hidden" },
    { fromSandbox: "box", labels: { "sandbox.x": "1" } },
    ...["", ".", "..", "a/b", "a\\b", "a:b", ".a", "~a", "ä", "n".repeat(129)].map((name) => ({ name })),
  ];
  for (const asked of wrong) assert.throws(() => check(asked), InvalidConfigError, JSON.stringify(asked));
});

test("a sandbox whose disk cannot be captured is refused, and nothing is left", async () => {
  const home = newHome();
  await assert.rejects(take(home, { fromSandbox: "missing" }), SandboxNotFoundError);
  await stoppedSandbox(home, "disk-less", { content: null });
  await assert.rejects(take(home, { fromSandbox: "disk-less" }), /has no disk yet/);
  await stoppedSandbox(home, "memory", { rootDisk: { kind: "tmpfs", sizeMib: 64 } });
  await assert.rejects(take(home, { fromSandbox: "memory" }), InvalidConfigError);
  await stoppedSandbox(home, "bind", { image: directory });
  await assert.rejects(take(home, { fromSandbox: "bind" }), InvalidConfigError);
  assert.equal(existsSync(home.snapshots), false);
});

test("only of a sandbox that does not run, and of the one that is meant", async () => {
  const home = newHome();
  await stoppedSandbox(home, "box");
  const lock = await lockStoppedSandbox(home, "box", null, "start");
  await assert.rejects(take(home, { fromSandbox: "box" }), SnapshotSandboxRunningError);
  await lock.release();
  const config = checkSnapshotConfig({ ...nothing, ...off, subject: "snap", fromSandbox: "box" });
  await assert.rejects(createSnapshot(home, config, "0123456789abcdef", never), SandboxReplacedError);
  await stoppedSandbox(home, "crashed", { status: "crashed" });
  await take(home, { fromSandbox: "crashed" });
  // It can be started again.
  await (await lockStoppedSandbox(home, "crashed", null, "start")).release();
});

test("a name that is taken stays whose it is, unless the snapshot is to be replaced", async () => {
  const { home, snapshot } = await taken();
  await assert.rejects(take(home, { fromSandbox: "box" }), SnapshotAlreadyExistsError);
  assert.equal((await findSnapshot(home, "snap")).digest, snapshot.digest);
  const next = await take(home, { fromSandbox: "box", force: true });
  assert.notEqual(next.digest, snapshot.digest);
  assert.equal((await findSnapshot(home, "snap")).digest, next.digest);
  // What is no snapshot is never replaced.
  mkdirSync(join(home.snapshots, "empty"));
  mkdirSync(join(home.snapshots, "other"));
  writeFileSync(join(home.snapshots, "other", "file"), "");
  writeFileSync(join(home.snapshots, "file"), "");
  for (const subject of ["empty", "other", "file"]) {
    const asked = { subject, fromSandbox: "box", force: true };
    await assert.rejects(take(home, asked), SnapshotAlreadyExistsError);
  }
  assert.deepEqual(readdirSync(home.snapshots).sort(), ["empty", "file", "other", "snap"]);
});

test("of many who make the same snapshot one wins, and the others are told", async () => {
  const home = newHome();
  for (const name of ["a", "b", "c", "d"]) await stoppedSandbox(home, name, { content: name });
  const results = await Promise.allSettled(
    ["a", "b", "c", "d"].map((fromSandbox) => take(home, { fromSandbox })),
  );
  const [winner, ...others] = results.filter(({ status }) => status === "fulfilled");
  assert.ok(winner?.status === "fulfilled" && others.length === 0);
  for (const result of results)
    if (result.status === "rejected") assert.ok(result.reason instanceof SnapshotAlreadyExistsError);
  const { descriptor, upper } = await findSnapshot(home, "snap");
  assert.equal(readFileSync(upper).toString("latin1", 8192, 8193), descriptor.source_sandbox);
  assert.deepEqual(readdirSync(home.snapshots), ["snap"]);
});

test("who is killed at any step leaves nothing that is taken for a snapshot", async () => {
  const { home, snapshot } = await taken();
  const maker = new URL("../../../test/support/snapshot-maker.ts", import.meta.url).pathname;
  for (const point of ["empty", "copied", "described"]) {
    for (const name of ["killed", "snap"]) {
      const args = [maker, join(home.snapshots, name), point, snapshot.directory];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      await once(child.stdout, "data");
      // While it lives the place is its own.
      const other = { subject: name, fromSandbox: "box", force: true };
      await assert.rejects(take(home, other), SnapshotAlreadyExistsError);
      child.kill("SIGKILL");
      await once(child, "exit");
      assert.ok(readdirSync(home.snapshots).includes(`.${name}.staging`), point);
      assert.deepEqual(
        (await listSnapshots(home.snapshots)).map(({ digest }) => digest),
        [snapshot.digest],
      );
    }
    await assert.rejects(findSnapshot(home, "killed"), SnapshotNotFoundError);
    await sweepSnapshots(home.snapshots);
    assert.deepEqual(readdirSync(home.snapshots), ["snap"], point);
  }
  // Between the two steps of a replacement, and in the middle of a removal.
  cpSync(snapshot.directory, join(home.snapshots, ".killed.staging"), { recursive: true });
  cpSync(snapshot.directory, join(home.snapshots, ".killed.removed-0123456789abcdef"), { recursive: true });
  assert.equal((await listSnapshots(home.snapshots)).length, 1);
  await take(home, { subject: "killed", fromSandbox: "box" });
  assert.deepEqual(readdirSync(home.snapshots).sort(), ["killed", "snap"]);
});

test("what is given up, or does not fit, leaves nothing", async () => {
  const home = newHome();
  await stoppedSandbox(home, "box");
  const given = new AbortController();
  given.abort(new Error("given up"));
  await assert.rejects(take(home, { fromSandbox: "box" }, given.signal), /given up/);
  assert.deepEqual(readdirSync(home.snapshots), []);
  // A file in the place of a directory.
  writeFileSync(join(directory, "in-the-way"), "");
  await assert.rejects(take(home, { fromSandbox: "box", destDir: join(directory, "in-the-way") }), IoError);
});

test("a snapshot lies anywhere, and one that was copied by hand is as good", async () => {
  const { home, snapshot } = await taken({ destDir: join(directory, "elsewhere", "deep") });
  assert.equal(snapshot.directory, join(directory, "elsewhere", "deep", "snap"));
  await assert.rejects(findSnapshot(home, "snap"), SnapshotNotFoundError);
  assert.deepEqual(await listSnapshots(home.snapshots), []);
  mkdirSync(home.snapshots, { recursive: true });
  cpSync(snapshot.directory, join(home.snapshots, "by-hand"), { recursive: true });
  assert.equal((await findSnapshot(home, "by-hand")).digest, snapshot.digest);
  assert.equal((await findSnapshot(home, snapshot.digest)).directory, join(home.snapshots, "by-hand"));
});

test("verify tells whether the disk is still the same, wherever its holes are", async () => {
  const { home, snapshot } = await taken({ recordIntegrity: true });
  const { integrity } = snapshot.descriptor.state.upper;
  assert.deepEqual(await verifySnapshot(snapshot, never), integrity);
  // Written out: the same content without a hole.
  const content = readFileSync(snapshot.upper);
  writeFileSync(snapshot.upper, content);
  assert.deepEqual(await verifySnapshot(await findSnapshot(home, "snap"), never), integrity);
  for (const at of [8192, 5_000_000, content.length - 1]) {
    const changed = Buffer.from(content);
    changed[at] = (changed[at] ?? 0) ^ 1;
    writeFileSync(snapshot.upper, changed);
    await assert.rejects(verifySnapshot(snapshot, never), SnapshotIntegrityError);
  }
  const without = await take(home, { subject: "without", fromSandbox: "box" });
  assert.equal(await verifySnapshot(without, never), null);
  edit(snapshot, ({ state }) => {
    (state as { upper: { integrity: { algorithm: string } } }).upper.integrity.algorithm = "other";
  });
  await assert.rejects(verifySnapshot(await findSnapshot(home, "snap"), never), UnsupportedOperationError);
});

test("damaged and foreign snapshots are refused, with what is wrong", async () => {
  const upper = (state: unknown): Record<string, unknown> =>
    (state as { upper: Record<string, unknown> }).upper;
  type Case = [
    change: (descriptor: Record<string, unknown>, found: FoundSnapshot) => void,
    error: typeof JsonError,
  ];
  const cases: Record<string, Case> = {
    "a later format": [(d) => (d["schema"] = 2), UnsupportedOperationError],
    "another scope": [(d) => (d["scope"] = "everything"), UnsupportedOperationError],
    "no memory": [(d) => (d["scope"] = "full"), JsonError],
    "another kind": [(d) => (d["state"] = { kind: "checkpoint" }), UnsupportedOperationError],
    "asks for more": [(d) => (d["requires"] = ["x"]), UnsupportedOperationError],
    "something else": [(d) => (d["artifact"] = "image"), JsonError],
    "no date": [(d) => (d["created_at"] = "yesterday"), JsonError],
    "a disk elsewhere": [({ state }) => (upper(state)["file"] = "../snap/upper.ext4"), JsonError],
    "an absolute disk": [({ state }) => (upper(state)["file"] = "/etc/passwd"), JsonError],
    "a huge disk": [({ state }) => (upper(state)["size_bytes"] = 2 ** 52), JsonError],
    "no whole blocks": [({ state }) => (upper(state)["size_bytes"] = 5000), JsonError],
    "another size": [({ state }) => (upper(state)["size_bytes"] = 4096), SnapshotIntegrityError],
    "no disk": [
      (_, found) => {
        unlinkSync(found.upper);
      },
      SnapshotIntegrityError,
    ],
    "a short disk": [
      (_, found) => {
        truncateSync(found.upper, 4096);
      },
      SnapshotIntegrityError,
    ],
    "a link": [
      (_, found) => {
        renameSync(found.upper, join(directory, "moved"));
        symlinkSync(join(directory, "moved"), found.upper);
      },
      SnapshotIntegrityError,
    ],
  };
  for (const [what, [change, error]] of Object.entries(cases)) {
    const { home, snapshot } = await taken();
    edit(snapshot, (descriptor) => {
      change(descriptor, snapshot);
    });
    await assert.rejects(findSnapshot(home, "snap"), error, what);
    assert.deepEqual(await listSnapshots(home.snapshots), [], what);
  }
  const { home, snapshot } = await taken();
  writeFileSync(join(snapshot.directory, "snapshot.json"), "{");
  await assert.rejects(findSnapshot(home, "snap"), JsonError);
});

test("a parent goes only by force, and its children stay usable", async () => {
  const { home, snapshot: parent } = await taken();
  await stoppedSandbox(home, "second", { snapshotDigest: parent.digest });
  const child = await take(home, { subject: "child", fromSandbox: "second" });
  assert.equal(child.descriptor.parent, parent.digest);
  await assert.rejects(removeSnapshot(home, "snap", false, null), CustomError);
  await assert.rejects(removeSnapshot(home, "snap", true, child.digest), SnapshotNotFoundError);
  await removeSnapshot(home, "snap", true, parent.digest);
  await assert.rejects(removeSnapshot(home, "snap", true, null), SnapshotNotFoundError);
  await copyUpper(child, join(directory, "copy"), never);
  assert.deepEqual(readFileSync(join(directory, "copy")), readFileSync(child.upper));
  await removeSnapshot(home, child.digest, false, null);
  assert.deepEqual(readdirSync(home.snapshots), []);
});

test("damaged ones can be removed: by force when nobody can read what they are", async () => {
  const { home, snapshot } = await taken();
  unlinkSync(snapshot.upper);
  await removeSnapshot(home, "snap", false, snapshot.digest);
  const elsewhere = await take(home, { fromSandbox: "box", destDir: join(directory, "damaged") });
  const { directory: inHome } = await take(home, { fromSandbox: "box" });
  for (const each of [inHome, elsewhere.directory]) writeFileSync(join(each, "snapshot.json"), "{");
  await assert.rejects(removeSnapshot(home, "snap", false, null), JsonError);
  await removeSnapshot(home, "snap", true, null);
  assert.deepEqual(readdirSync(home.snapshots), []);
  await assert.rejects(removeSnapshot(home, elsewhere.directory, true, null), JsonError);
});

test("who makes one makes it, though others clear away at that moment", async () => {
  const home = newHome();
  await stoppedSandbox(home, "box");
  for (let round = 0; round < 20; round++) {
    mkdirSync(join(home.snapshots, ".snap.staging"), { recursive: true });
    const sweeps = Array.from({ length: 4 }, () => sweepSnapshots(home.snapshots));
    await Promise.all([take(home, { fromSandbox: "box", force: true }), ...sweeps]);
  }
  await sweepSnapshots(home.snapshots);
  assert.deepEqual(readdirSync(home.snapshots), ["snap"]);
});

test("a copy is of the snapshot that was meant, or fails", async () => {
  const { home, snapshot } = await taken();
  await take(home, { fromSandbox: "box", force: true });
  await assert.rejects(copyUpper(snapshot, join(directory, "stale"), never), SnapshotNotFoundError);
  await removeSnapshot(home, "snap", false, null);
  await assert.rejects(copyUpper(snapshot, join(directory, "gone"), never), SnapshotNotFoundError);
});
