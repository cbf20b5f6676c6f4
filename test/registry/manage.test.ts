import assert from "node:assert/strict";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ImageError, ImageInUseError, ImageNotFoundError, JsonError } from "../../src/errors/index.ts";
import { loadImages } from "../../src/image/archive/load.ts";
import { saveImages } from "../../src/image/archive/save.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import { storedImage } from "../../src/image/stored.ts";
import type { ImageUse } from "../../src/image/store/garbage.ts";
import { imageStore } from "../../src/image/store/layout.ts";
import { withLease } from "../../src/image/store/leases.ts";
import { inspectImage, listImages, pruneImages, removeImage } from "../../src/image/store/manage.ts";
import { tryLockFile } from "../../src/host/locks/lock.ts";
import type { Home } from "../../src/store/home.ts";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { image, layer, newHome, scratch, skopeo, writeLayout, type BuiltImage } from "./images.ts";

const run = promisify(execFile);

let directory: Awaited<ReturnType<typeof scratch>>;
let first: BuiltImage;
let second: BuiltImage;
let firstTar: string;
let secondTar: string;

before(async () => {
  directory = await scratch();
  const shared = await layer({ shared: "1" });
  first = image([shared, await layer({ first: "1" })], { config: { Env: ["A=1"], User: "nobody" } });
  second = image([shared, await layer({ second: "2" })]);
  firstTar = await tarOf("first", first);
  secondTar = await tarOf("second", second);
});

after(() => directory[Symbol.asyncDispose]());

async function tarOf(name: string, built: BuiltImage): Promise<string> {
  const layout = join(directory.path, name);
  await writeLayout(layout, built, `example.org/${name}:1`);
  await run("tar", ["-C", layout, "-cf", `${layout}.tar`, "."]);
  return `${layout}.tar`;
}

/** A home with both images: `example.org/first:1` and `example.org/second:1`, which share a layer. */
async function filled(): Promise<Home> {
  const home = await newHome(directory.path);
  await loadImages(home, firstTar);
  await loadImages(home, secondTar);
  return home;
}

const nobody = (): Promise<readonly ImageUse[]> => Promise.resolve([]);
const uses =
  (...list: readonly ImageUse[]) =>
  (): Promise<readonly ImageUse[]> =>
    Promise.resolve(list);

async function blobs(home: Home): Promise<string[]> {
  const names = await readdir(join(home.images, "blobs", "sha256"));
  return names.map((name) => `sha256:${name}`).sort();
}

const blobsOf = ({ manifest, config, layers }: BuiltImage): string[] =>
  [manifest.digest, config.digest, ...layers.map(({ blob }) => blob.digest)].sort();

test("images are listed, newest first, and shown in detail", async () => {
  const empty = await newHome(directory.path);
  assert.deepEqual(await listImages(empty), []);
  const home = await filled();
  const list = await listImages(home);
  assert.deepEqual(
    list.map(({ reference }) => reference),
    ["example.org/second:1", "example.org/first:1"],
  );
  const shown = await inspectImage(home, "example.org/first:1");
  assert.equal(shown.manifestDigest, first.manifest.digest);
  assert.equal(shown.configDigest, first.config.digest);
  assert.deepEqual(shown.config.env, ["A=1"]);
  assert.equal(shown.config.user, "nobody");
  assert.deepEqual(
    shown.layers,
    first.layers.map(({ blob, diffId }, position) => ({
      diffId,
      blobDigest: blob.digest,
      mediaType: blob.mediaType,
      compressedSizeBytes: blob.size,
      position,
    })),
  );
  assert.equal(
    shown.sizeBytes,
    first.layers.reduce((sum, { blob }) => sum + blob.size, first.config.size),
  );
  assert.ok(shown.createdAt !== null && Math.abs(Date.now() - shown.createdAt.getTime()) < 60_000);
  assert.ok((shown.rootFileSystemBytes ?? 0) > 0);
  await assert.rejects(inspectImage(home, "example.org/third"), ImageNotFoundError);
});

test("removing an image keeps what another one shares with it", async () => {
  const home = await filled();
  await removeImage(home, "example.org/first:1", nobody);
  assert.deepEqual(await blobs(home), blobsOf(second));
  assert.equal((await readdir(join(home.images, "rootfs"))).length, 1);
  await pullImage("example.org/second:1", { home, policy: "never" });
  await assert.rejects(removeImage(home, "example.org/first:1", nobody), ImageNotFoundError);
  await removeImage(home, "example.org/second:1", nobody);
  assert.deepEqual(await blobs(home), []);
  assert.deepEqual(await readdir(join(home.images, "rootfs")), []);
});

test("an image in use is not removed; with force only its name goes", async () => {
  const home = await filled();
  const reference = "example.org/first:1";
  const inUse = uses({
    user: { kind: "sandbox", name: "box" },
    reference,
    manifestDigest: first.manifest.digest,
  });
  await assert.rejects(removeImage(home, reference, inUse), (error) => {
    assert.ok(error instanceof ImageInUseError);
    assert.match(error.message, /box/);
    assert.match(error.hint, /force/);
    return true;
  });
  await pullImage(reference, { home, policy: "never" });
  // A sandbox that has pinned nothing holds what the name means.
  await assert.rejects(
    removeImage(
      home,
      reference,
      uses({ user: { kind: "sandbox", name: "b" }, reference, manifestDigest: null }),
    ),
    ImageInUseError,
  );
  await removeImage(home, reference, inUse, { force: true });
  await assert.rejects(pullImage(reference, { home, policy: "never" }), ImageError);
  // The sandbox starts again all the same.
  const kept = await storedImage(first.manifest.digest, reference, { home });
  await run("fsck.erofs", [kept.rootFileSystem.path]);
  // Until it is gone.
  await pruneImages(home, nobody);
  await assert.rejects(storedImage(first.manifest.digest, reference, { home }), /not stored any more/);
});

test("prune removes what no sandbox uses and what interrupted pulls left", async () => {
  const home = await filled();
  await writeFile(join(home.images, "ingest", `sha256-${"0".repeat(64)}`), "part");
  await writeFile(
    join(home.images, "leases", "dead.json"),
    JSON.stringify({ blobs: blobsOf(second), rootfs: [] }),
  );
  await writeFile(join(home.images, "rootfs", `${"0".repeat(64)}.erofs.tmp-1`), "part");
  const report = await pruneImages(
    home,
    uses({
      user: { kind: "sandbox", name: "box" },
      reference: "example.org/first:1",
      manifestDigest: first.manifest.digest,
    }),
  );
  assert.deepEqual(await blobs(home), blobsOf(first));
  assert.deepEqual(
    [report.imageRefsRemoved, report.manifestsRemoved, report.layersRemoved, report.rootFileSystemsRemoved],
    [1, 1, 1, 1],
  );
  assert.ok(report.bytesReclaimed > 0);
  assert.deepEqual(await readdir(join(home.images, "ingest")), []);
  assert.deepEqual(await readdir(join(home.images, "leases")), []);
  assert.equal((await readdir(join(home.images, "rootfs"))).length, 1);
  const nothing = await pruneImages(
    home,
    uses({ user: { kind: "sandbox", name: "b" }, reference: "example.org/first:1", manifestDigest: null }),
  );
  assert.deepEqual(Object.values(nothing), [0, 0, 0, 0, 0, []]);
});

test("prune leaves alone what a pull in progress needs", async () => {
  const home = await filled();
  const store = imageStore(home);
  const partial = join(store.ingest, `sha256-${"0".repeat(64)}`);
  await writeFile(partial, "part");
  await using lock = await tryLockFile(`${partial}.lock`);
  assert.ok(lock !== null);
  await withLease(store, { blobs: blobsOf(second), rootfs: [] }, undefined, async () => {
    await pruneImages(home, nobody);
    assert.deepEqual(await blobs(home), blobsOf(second));
    assert.ok((await readdir(store.ingest)).includes(`sha256-${"0".repeat(64)}`));
  });
  await pruneImages(home, nobody);
  assert.deepEqual(await blobs(home), []);
});

test("what another tool puts into the layout stays, and what is damaged is pulled anew", async () => {
  const home = await filled();
  const foreign = join(directory.path, "foreign");
  await mkdir(foreign);
  const built = image([await layer({ foreign: "yes" })]);
  await writeLayout(foreign, built, "x");
  // Without a name, and under one that is not an image's in full: such a name could mean either.
  for (const name of ["", ":latest", ":foreign:1"]) {
    await skopeo("copy", "--quiet", "--preserve-digests", `oci:${foreign}:x`, `oci:${home.images}${name}`);
  }
  assert.equal((await listImages(home)).length, 2);
  await assert.rejects(removeImage(home, "latest", nobody), ImageNotFoundError);
  await pruneImages(home, nobody);
  assert.deepEqual(await listImages(home), []);
  assert.deepEqual(await blobs(home), blobsOf(built));
  await skopeo("inspect", `oci:${home.images}:latest`);
  await skopeo("inspect", `oci:${home.images}:foreign:1`);

  const again = await filled();
  await rm(join(again.images, "rootfs"), { recursive: true });
  const remade = await pullImage("example.org/first:1", { home: again, policy: "never" });
  await run("fsck.erofs", [remade.rootFileSystem.path]);

  const config = join(again.images, "blobs", "sha256", first.config.digest.slice(7));
  await writeFile(config, "{}");
  const damaged = /the stored image example.org\/first:1 is damaged: .*digest/;
  const use = { home: again, environment: {} };
  await assert.rejects(pullImage("example.org/first:1", { ...use, policy: "never" }), damaged);
  await assert.rejects(inspectImage(again, "example.org/first:1"), damaged);
  await assert.rejects(saveImages(again, ["example.org/first:1"], `${firstTar}.copy`), damaged);
  await assert.rejects(storedImage(first.manifest.digest, "example.org/first:1", use), /damaged.*digest/);
  // It is not gone: a list shows it, and loading it again mends it.
  const listed = (await listImages(again)).map(({ reference, damage }) => [reference, damage !== null]);
  assert.deepEqual(listed.sort(), [
    ["example.org/first:1", true],
    ["example.org/second:1", false],
  ]);
  await loadImages(again, firstTar);
  assert.ok((await listImages(again)).every(({ damage }) => damage === null));
  await rm(config);
  assert.match((await listImages(again)).find(({ damage }) => damage !== null)?.damage ?? "", /is missing/);
  await removeImage(again, "example.org/first:1", nobody);
  assert.deepEqual(await blobs(again), blobsOf(second));
  await writeFile(join(again.images, "index.json"), "{");
  await assert.rejects(listImages(again), JsonError);
});
