import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { stoppedSandbox } from "../../test/support/stopped-sandbox.ts";
import { checkSnapshotConfig } from "../config/snapshots/snapshot-config.ts";
import {
  InvalidConfigError,
  ImageNotFoundError,
  IoError,
  SnapshotAlreadyExistsError,
  SnapshotIntegrityError,
  SnapshotNotFoundError,
  UnsupportedOperationError,
} from "../errors/index.ts";
import { sparseTarHeader, tarEnd, tarHeader, tarPadding } from "../image/tar/writer.ts";
import { locateHome, type Home } from "../store/home.ts";
import { createSnapshot } from "../store/snapshots/create-snapshot.ts";
import { listSnapshots, type FoundSnapshot } from "../store/snapshots/snapshots.ts";
import { removeSnapshot } from "../store/snapshots/remove-snapshot.ts";
import { loadArchive } from "./load-archive.ts";
import { saveArchive, type SaveArchiveOptions } from "./save-archive.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-archive-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

let made = 0;
const newPath = (): string => join(directory, String(++made));
const newHome = (): Home => locateHome({ MSB_HOME: newPath() });
const never = new AbortController().signal;
const plain: SaveArchiveOptions = {
  withParents: false,
  since: null,
  withImage: false,
  plainTar: true,
  embedIntegrity: false,
};

async function take(home: Home, box: string, name: string, recordIntegrity = false): Promise<FoundSnapshot> {
  const config = checkSnapshotConfig({
    ...{ subject: name, fromSandbox: box, name: null, path: null, destDir: null, labels: { a: "b" } },
    ...{ force: false, recordIntegrity, resumable: false, guestFlush: "auto" as const },
  });
  return await createSnapshot(home, config, null, never);
}

async function taken(): Promise<{ home: Home; snapshot: FoundSnapshot }> {
  const home = newHome();
  await stoppedSandbox(home, "box");
  return { home, snapshot: await take(home, "box", "snap") };
}

function load(
  home: Home,
  path: string,
  verify = false,
  destination: string | null = null,
): Promise<FoundSnapshot> {
  return loadArchive(home, path, destination, { verify }, never);
}

/** Nothing was taken in, and nothing is left of the try. */
function assertNothing(home: Home): void {
  assert.deepEqual(existsSync(home.snapshots) ? readdirSync(home.snapshots) : [], []);
}

test("what is loaded is what was saved, sparse, compressed or not", async () => {
  const { home, snapshot } = await taken();
  for (const options of [plain, { ...plain, plainTar: false }, { ...plain, embedIntegrity: true }]) {
    const path = newPath();
    await saveArchive(home, "snap", path, options, never);
    assert.ok(statSync(path).size < 100_000);
    const isZstd = readFileSync(path).readUInt32LE(0) === 0xfd2f_b528;
    assert.equal(isZstd, !options.plainTar);
    const other = newHome();
    const loaded = await load(other, path, true);
    assert.equal(loaded.digest, snapshot.digest);
    assert.equal(loaded.directory, join(other.snapshots, "snap"));
    assert.deepEqual(readFileSync(loaded.upper), readFileSync(snapshot.upper));
    assert.ok(statSync(loaded.upper).blocks * 512 < statSync(loaded.upper).size / 8);
    assert.deepEqual(readdirSync(other.snapshots), ["snap"]);
    await assert.rejects(load(other, path), SnapshotAlreadyExistsError);
    const elsewhere = newPath();
    assert.equal((await load(other, path, false, elsewhere)).directory, join(elsewhere, "snap"));
  }
});

test("GNU tar unpacks an archive to a directory that is a snapshot", async () => {
  const { home, snapshot } = await taken();
  const [path, target] = [newPath(), newPath()];
  await saveArchive(home, "snap", path, plain, never);
  mkdirSync(target);
  execFileSync("tar", ["-C", target, "-xf", path]);
  const [found] = await listSnapshots(join(target, "snapshots"));
  assert.equal(found?.digest, snapshot.digest);
  assert.deepEqual(readFileSync(found.upper), readFileSync(snapshot.upper));
});

test("parents come along, and are left where they are already", async () => {
  const { home, snapshot: parent } = await taken();
  await stoppedSandbox(home, "second", { snapshotDigest: parent.digest, content: "second" });
  const child = await take(home, "second", "child", true);
  const path = newPath();
  await saveArchive(home, "child", path, { ...plain, withParents: true }, never);
  const other = newHome();
  assert.equal((await load(other, path, true)).digest, child.digest);
  const digests = (await listSnapshots(other.snapshots)).map(({ digest }) => digest);
  assert.deepEqual(digests.toSorted(), [parent.digest, child.digest].toSorted());
  await removeSnapshot(other, "child", false, null);
  await load(other, path);
  assert.deepEqual(readdirSync(other.snapshots).sort(), ["child", "snap"]);
  // A name that another one has by now.
  await removeSnapshot(other, "child", false, null);
  await removeSnapshot(other, "snap", false, null);
  await stoppedSandbox(other, "box");
  await take(other, "box", "snap");
  await assert.rejects(load(other, path), SnapshotAlreadyExistsError);
  assert.deepEqual(readdirSync(other.snapshots), ["snap"]);
  await removeSnapshot(home, "snap", true, null);
  await assert.rejects(
    saveArchive(home, "child", newPath(), { ...plain, withParents: true }, never),
    SnapshotNotFoundError,
  );
});

test("of those that it goes back to only what came after one of them", async () => {
  const { home, snapshot: first } = await taken();
  await stoppedSandbox(home, "two", { snapshotDigest: first.digest, content: "two" });
  const second = await take(home, "two", "second");
  await stoppedSandbox(home, "three", { snapshotDigest: second.digest, content: "three" });
  await take(home, "three", "third");
  const path = newPath();
  const names = async (): Promise<string[]> => {
    const other = newHome();
    await load(other, path);
    return readdirSync(other.snapshots).sort();
  };
  await saveArchive(home, "third", path, { ...plain, since: "snap" }, never);
  assert.deepEqual(await names(), ["second", "third"]);
  await saveArchive(home, "third", path, { ...plain, withParents: true, since: second.digest }, never);
  assert.deepEqual(await names(), ["third"]);
  for (const since of ["third", "second"])
    await assert.rejects(
      saveArchive(home, "second", newPath(), { ...plain, since }, never),
      InvalidConfigError,
    );
  await assert.rejects(
    saveArchive(home, "third", newPath(), { ...plain, since: "missing" }, never),
    SnapshotNotFoundError,
  );
  // What lies before it need not be here.
  await removeSnapshot(home, "snap", true, null);
  await saveArchive(home, "third", path, { ...plain, since: "second" }, never);
  assert.deepEqual(await names(), ["third"]);
});

test("an archive that cannot be written whole does not appear", async () => {
  const { home, snapshot } = await taken();
  const path = newPath();
  await assert.rejects(saveArchive(home, "missing", path, plain, never), SnapshotNotFoundError);
  await assert.rejects(saveArchive(home, "snap", join(path, "no", "directory"), plain, never), IoError);
  const imageDigest = `sha256:${"a".repeat(64)}`;
  await stoppedSandbox(home, "alpine", { image: "alpine", imageDigest });
  await take(home, "alpine", "with-image");
  await assert.rejects(
    saveArchive(home, "with-image", path, { ...plain, withImage: true }, never),
    ImageNotFoundError,
  );
  truncateSync(snapshot.upper, 4096);
  await assert.rejects(saveArchive(home, "snap", path, plain, never), SnapshotIntegrityError);
  await assert.rejects(saveArchive(home, "snap", path, plain, AbortSignal.abort(new Error("given up"))));
  assert.equal(existsSync(path), false);
  assert.deepEqual(readdirSync(home.snapshots).sort(), ["snap", "with-image"]);
});

test("an import finds a changed disk, a load does not look", async () => {
  const { home } = await taken();
  const [path, changed] = [newPath(), newPath()];
  await saveArchive(home, "snap", path, { ...plain, embedIntegrity: true }, never);
  const bytes = readFileSync(path);
  const at = bytes.indexOf("contentcontent");
  bytes.write("C", at);
  writeFileSync(changed, bytes);
  const other = newHome();
  await assert.rejects(load(other, changed, true), SnapshotIntegrityError);
  assertNothing(other);
  await load(other, changed);
});

type Entry = [name: string, content: string | Buffer, type?: "file" | "symlink"];

function archiveOf(entries: readonly Entry[]): string {
  const parts = entries.flatMap(([name, content, type = "file"]) => {
    const bytes = Buffer.from(content);
    const isFile = type === "file";
    const fields = { mode: 0o600, uid: 0, gid: 0, mtimeNs: 0n, size: isFile ? bytes.length : 0 };
    const header = tarHeader({
      ...fields,
      name: Buffer.from(name),
      type,
      linkName: isFile ? undefined : bytes,
    });
    return isFile ? [header, bytes, tarPadding(bytes.length)] : [header];
  });
  const path = newPath();
  writeFileSync(path, Buffer.concat([...parts, tarEnd]));
  return path;
}

test("hostile archives are refused, and nothing is left of them", async () => {
  const { snapshot } = await taken();
  const { digest, text, descriptor } = snapshot;
  const entry = { name: "snap", digest, integrity: null };
  const index = (change: object = {}): string =>
    JSON.stringify({ artifact: "snapshot-archive", schema: 1, snapshots: [entry], images: [], ...change });
  const disk = Buffer.alloc(descriptor.state.upper.size_bytes);
  const start: Entry[] = [
    ["snapshots.json", index()],
    ["snapshots/0/snapshot.json", text],
  ];
  const whole: Entry[] = [...start, ["snapshots/0/upper.ext4", disk]];
  const lead = join(directory, "outside");
  writeFileSync(lead, "outside");
  const cases: Record<string, readonly Entry[]> = {
    nothing: [],
    "no index": whole.slice(1),
    "an index that is none": [["snapshots.json", "[]"]],
    "a name that is a path": [["snapshots.json", index({ snapshots: [{ ...entry, name: "../out" }] })]],
    "a hidden name": [["snapshots.json", index({ snapshots: [{ ...entry, name: ".x" }] })]],
    "two of one name": [["snapshots.json", index({ snapshots: [entry, entry] })]],
    "no snapshots": [["snapshots.json", index({ snapshots: [] })]],
    "another digest": [
      ["snapshots.json", index({ snapshots: [{ ...entry, digest: `sha256:${"0".repeat(64)}` }] })],
      ...whole.slice(1),
    ],
    "cut off": start,
    "a short disk": [...start, ["snapshots/0/upper.ext4", "short"]],
    "a disk that is a link": [...start, ["snapshots/0/upper.ext4", lead, "symlink"]],
    "a file elsewhere": [...whole, ["../../escaped", "x"]],
    "an absolute file": [...whole, [join(directory, "escaped"), "x"]],
    "a second disk": [...whole, ["snapshots/0/upper.ext4", disk]],
    "a large index": [["snapshots.json", " ".repeat(2 ** 21)]],
    "an image that nobody needs": [
      ["snapshots.json", index({ images: [{ ref: "alpine", manifest_digest: `sha256:${"1".repeat(64)}` }] })],
      ...whole.slice(1),
      ["images/0.tar", "x"],
    ],
    "something else": [
      ["index.json", "{}"],
      ["oci-layout", "{}"],
    ],
  };
  const home = newHome();
  for (const [what, entries] of Object.entries(cases)) {
    await assert.rejects(load(home, archiveOf(entries)), SnapshotIntegrityError, what);
    assertNothing(home);
  }
  const later = archiveOf([["snapshots.json", index({ schema: 2 })]]);
  await assert.rejects(load(home, later), UnsupportedOperationError);
  const text2 = JSON.stringify({ ...descriptor, schema: 2 });
  await assert.rejects(
    load(
      home,
      archiveOf([
        ["snapshots.json", index()],
        ["snapshots/0/snapshot.json", text2],
      ]),
    ),
    UnsupportedOperationError,
  );
  // No archive at all, or one whose compression is damaged or cut off.
  const path = newPath();
  const packed = zstdCompressSync(readFileSync(archiveOf(whole)));
  for (const bytes of [Buffer.from("no archive"), Buffer.alloc(0), packed.subarray(0, packed.length - 9)]) {
    writeFileSync(path, bytes);
    await assert.rejects(load(home, path), SnapshotIntegrityError);
  }
  await assert.rejects(load(home, join(directory, "missing")), IoError);
  assertNothing(home);
  assert.equal(readFileSync(lead, "utf8"), "outside");
  assert.equal(existsSync(join(directory, "escaped")), false);
  // As it should be.
  await load(home, archiveOf(whole));
});

test("a bomb of zeros takes no room, and a map of holes leads nowhere", async () => {
  const { home, snapshot } = await taken();
  const path = newPath();
  await saveArchive(home, "snap", path, { ...plain, plainTar: false }, never);
  const bytes = zstdDecompressSync(readFileSync(path));
  const size = snapshot.descriptor.state.upper.size_bytes;
  // Up to the extended header, whose content is in the block before which its own header is.
  const records = bytes.indexOf("GNU.sparse.major");
  const head = bytes.subarray(0, records - (records % 512) - 512);
  // All of it as zeros, which compress to nothing.
  const whole = Buffer.concat([
    sparseTarHeader("snapshots/0/upper.ext4", size, [[0, size]]),
    Buffer.alloc(size),
    tarEnd,
  ]);
  const bomb = newPath();
  writeFileSync(bomb, zstdCompressSync(Buffer.concat([head, whole])));
  const other = newHome();
  const loaded = await load(other, bomb);
  assert.equal(statSync(loaded.upper).size, size);
  assert.ok(statSync(loaded.upper).blocks * 512 < 1024 * 1024);
  for (const pieces of [
    [[size, 4096]],
    [
      [8192, 4096],
      [4096, 4096],
    ],
    [[-4096, 4096]],
  ] as [number, number][][]) {
    const stored = Buffer.alloc(pieces.length * 4096, 1);
    const bad = Buffer.concat([sparseTarHeader("snapshots/0/upper.ext4", size, pieces), stored, tarEnd]);
    writeFileSync(bomb, Buffer.concat([head, bad]));
    await assert.rejects(load(newHome(), bomb), SnapshotIntegrityError);
  }
});
