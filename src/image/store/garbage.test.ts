import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { IoError } from "../../errors/index.ts";
import { locateHome, type Home } from "../../store/home.ts";
import { removeSandbox } from "../../store/sandboxes.ts";
import { digestOf } from "../digest.ts";
import { bringing } from "./brought.ts";
import { blobsOf } from "./images.ts";
import { nameImage } from "./index-file.ts";
import { blobPath, imageStore, prepareStore, writeBlob, type ImageStore } from "./layout.ts";
import { pruneImages, removeImage } from "./manage.ts";
import { rootFileSystemKey, rootFileSystemPath } from "./rootfs-path.ts";
import { findImageUses } from "./uses.ts";

const long = new Date(Date.now() - 2 * 86_400_000);

async function newHome(t: TestContext): Promise<{ home: Home; store: ImageStore }> {
  const directory = await mkdtemp(join(tmpdir(), "msb-garbage-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const home = locateHome({ MSB_HOME: directory });
  const store = imageStore(home);
  await prepareStore(store);
  return { home, store };
}

interface Stored {
  readonly manifestDigest: string;
  readonly blobs: readonly string[];
  readonly rootfs: string;
}

/** An image of one layer, two days old. */
async function storeImage(store: ImageStore, name: string): Promise<Stored> {
  const content = Buffer.from(`the layer of ${name}`);
  const diffId = digestOf(content);
  const config = Buffer.from(
    JSON.stringify({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [diffId] } }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: {
        mediaType: "application/vnd.oci.image.config.v1+json",
        digest: digestOf(config),
        size: config.length,
      },
      layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: diffId, size: content.length }],
    }),
  );
  for (const bytes of [content, config, manifest]) await writeBlob(store, bytes);
  const manifestDigest = digestOf(manifest);
  const blobs = blobsOf({
    manifestDigest,
    configDigest: digestOf(config),
    layers: [{ mediaType: "", digest: diffId, size: content.length }],
  });
  const path = rootFileSystemPath(store, [diffId]);
  await writeFile(path, "");
  for (const each of [...blobs.map((digest) => blobPath(store, digest)), path])
    await utimes(each, long, long);
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  await nameImage(store, name, {
    mediaType,
    digest: manifestDigest,
    size: manifest.length,
    sourceDigest: manifestDigest,
  });
  return { manifestDigest, blobs, rootfs: `${rootFileSystemKey([diffId])}.erofs` };
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
  const use = { sandbox: "sandbox", reference: "example.org/used:1", manifestDigest };
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
