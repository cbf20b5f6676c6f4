import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { long, storeImage } from "../../../test/support/stored-image.ts";
import { IoError } from "../../errors/index.ts";
import { locateHome, type Home } from "../../store/home.ts";
import { removeSandbox } from "../../store/sandboxes.ts";
import { digestOf } from "../digest.ts";
import { bringing } from "./brought.ts";
import { blobPath, imageStore, prepareStore, writeBlob, type ImageStore } from "./layout.ts";
import { pruneImages, removeImage } from "./manage.ts";
import { findImageUses } from "./uses.ts";

async function newHome(t: TestContext): Promise<{ home: Home; store: ImageStore }> {
  const directory = await mkdtemp(join(tmpdir(), "msb-garbage-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const home = locateHome({ MSB_HOME: directory });
  const store = imageStore(home);
  await prepareStore(store);
  return { home, store };
}

const blobs = async (store: ImageStore): Promise<string[]> =>
  (await readdir(join(store.blobs, "sha256"))).map((hex) => `sha256:${hex}`).sort();

async function strays(store: ImageStore): Promise<string> {
  const stray = await writeBlob(store, Buffer.from("a layer that arrived"));
  const part = join(store.ingest, digestOf(Buffer.from("a beginning")).replace(":", "-"));
  await writeFile(part, "a");
  for (const path of [blobPath(store, stray), part]) await utimes(path, long, long);
  return stray;
}

test("another operation takes nothing of an image whose manifest or configuration cannot be read", async (t) => {
  for (const damaged of [0, 1]) {
    const { home, store } = await newHome(t);
    const image = await storeImage(store, "example.org/damaged:1");
    await writeFile(blobPath(store, image.blobs[damaged] ?? ""), "damaged");
    const stray = await strays(store);
    await bringing(
      home,
      () => false,
      () => Promise.resolve(),
    );
    assert.deepEqual(await blobs(store), [...image.blobs, stray].sort());
    assert.deepEqual(await readdir(store.rootfs), [image.rootfs]);
    // Of a beginning nobody's image consists.
    assert.deepEqual(await readdir(store.ingest), []);

    // What is told to go does, and no more.
    const other = await storeImage(store, "example.org/other:1");
    await removeImage(home, "example.org/other:1", () => Promise.resolve([]));
    assert.deepEqual(await blobs(store), [...image.blobs, stray].sort());
    assert.ok(!(await readdir(store.rootfs)).includes(other.rootfs));
    await removeImage(home, "example.org/damaged:1", () => Promise.resolve([]));
    assert.deepEqual(await blobs(store), []);
    assert.deepEqual(await readdir(store.rootfs), []);
  }
});

test("a prune leaves what a sandbox may need whose image cannot be read", async (t) => {
  const { home, store } = await newHome(t);
  const image = await storeImage(store, "example.org/used:1");
  await storeImage(store, "example.org/unused:1");
  const { manifestDigest } = image;
  await writeFile(blobPath(store, manifestDigest), "damaged");
  const use = {
    user: { kind: "sandbox", name: "sandbox" } as const,
    reference: "example.org/used:1",
    manifestDigest,
  };
  assert.equal((await pruneImages(home, () => Promise.resolve([use]))).imageRefsRemoved, 1);
  assert.deepEqual(await blobs(store), [...image.blobs].sort());
  assert.deepEqual(await readdir(store.rootfs), [image.rootfs]);
});

test("nothing is pruned or removed while the record of a sandbox cannot be read", async (t) => {
  const { home, store } = await newHome(t);
  const image = await storeImage(store, "example.org/used:1");
  const directory = join(home.sandboxes, "box");
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "config.json"), "{");
  const uses = (): ReturnType<typeof findImageUses> => findImageUses(home);
  const isUnknown = (error: unknown): boolean => {
    assert.ok(error instanceof IoError, String(error));
    assert.match(error.message, /cannot tell which image the sandbox box has/);
    assert.notEqual(error.hint, "");
    return true;
  };
  await assert.rejects(pruneImages(home, uses), isUnknown);
  await assert.rejects(removeImage(home, "example.org/used:1", uses, { force: true }), isUnknown);
  // A pull goes on, and leaves what it cannot tell about.
  await bringing(
    home,
    () => false,
    () => Promise.resolve(),
  );
  assert.deepEqual(await blobs(store), [...image.blobs].sort());
  assert.deepEqual(await readdir(store.rootfs), [image.rootfs]);
  await removeSandbox(home, "box", null);
  assert.equal((await pruneImages(home, uses)).imageRefsRemoved, 1);
  assert.deepEqual(await blobs(store), []);
});

test("what nobody went on with for a day goes with the next operation", async (t) => {
  const { home, store } = await newHome(t);
  const image = await storeImage(store, "example.org/whole:1");
  await strays(store);
  const young = await writeBlob(store, Buffer.from("a young layer"));
  await bringing(
    home,
    () => false,
    () => Promise.resolve(),
  );
  assert.deepEqual(await blobs(store), [...image.blobs, young].sort());
  assert.deepEqual(await readdir(store.ingest), []);
});

test("what would be pruned is told, and stays; what was used since a time stays, too", async (t) => {
  const { home, store } = await newHome(t);
  const old = await storeImage(store, "example.org/old:1", long);
  const young = await storeImage(store, "example.org/young:1");
  await strays(store);
  const nobody = (): Promise<[]> => Promise.resolve([]);
  const before = [await blobs(store), await readdir(store.rootfs), await readdir(store.ingest)];
  const plan = await pruneImages(home, nobody, { dryRun: true });
  assert.deepEqual(plan.references, ["example.org/old:1", "example.org/young:1"]);
  assert.deepEqual([await blobs(store), await readdir(store.rootfs), await readdir(store.ingest)], before);

  const unusedSince = new Date(Date.now() - 3_600_000);
  const planned = await pruneImages(home, nobody, { unusedSince, dryRun: true });
  const report = await pruneImages(home, nobody, { unusedSince });
  assert.deepEqual(report, planned);
  assert.deepEqual(report.references, ["example.org/old:1"]);
  assert.ok(report.bytesReclaimed > 0 && report.bytesReclaimed < plan.bytesReclaimed);
  assert.deepEqual(await blobs(store), [...young.blobs].sort());
  assert.deepEqual(await readdir(store.rootfs), [young.rootfs]);
  assert.deepEqual(await readdir(store.ingest), []);
  assert.ok(!(await blobs(store)).includes(old.manifestDigest));
  await pruneImages(home, nobody);
  assert.deepEqual(await blobs(store), []);
});
