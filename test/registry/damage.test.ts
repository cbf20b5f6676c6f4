/** What the disk damages, and what an operation leaves behind that no image names. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { open, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ImageError } from "../../src/errors/index.ts";
import { loadImages } from "../../src/image/archive/load.ts";
import { saveImages } from "../../src/image/archive/save.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import type { PullOptions } from "../../src/image/pull/pull-options.ts";
import { storedImage, type PulledImage } from "../../src/image/stored.ts";
import { imageStore } from "../../src/image/store/layout.ts";
import { withLease } from "../../src/image/store/leases.ts";
import type { Home } from "../../src/store/home.ts";
import {
  image,
  layer,
  newHome,
  noise,
  push,
  scratch,
  sha256,
  writeLayout,
  type BuiltImage,
} from "./images.ts";
import { RegistryServer } from "./registry-server.ts";

const run = promisify(execFile);

let directory: Awaited<ReturnType<typeof scratch>>;
let server: RegistryServer;
let built: BuiltImage;
let layout: string;
let reference: string;

before(async () => {
  directory = await scratch();
  server = await RegistryServer.start(directory.path);
  built = image([await layer({ data: noise(300_000) }), await layer({ "etc/b": "b" })]);
  layout = join(directory.path, "layout");
  // One image, by a registry and by an archive under the same name.
  reference = `${server.host}/app:1`;
  await push(built, reference);
  await writeLayout(layout, built, reference);
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

const pull = (home: Home, options: Partial<PullOptions> = {}, name = reference): Promise<PulledImage> =>
  pullImage(name, { home, environment: {}, ...options });

const blobPath = (home: Home, digest: string): string =>
  join(home.images, "blobs", "sha256", digest.slice(7));

async function blobs(home: Home): Promise<string[]> {
  return (await readdir(join(home.images, "blobs", "sha256"))).map((name) => `sha256:${name}`).sort();
}

const blobsOf = (...images: readonly BuiltImage[]): string[] =>
  [
    ...new Set(
      images.flatMap(({ manifest, config, layers }) => [
        manifest.digest,
        config.digest,
        ...layers.map(({ blob }) => blob.digest),
      ]),
    ),
  ].sort();

async function flip(path: string, at: number): Promise<void> {
  await using file = await open(path, "r+");
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
}

const halve = async (path: string): Promise<void> => truncate(path, Math.floor((await stat(path)).size / 2));
const flipMiddle = async (path: string): Promise<void> => flip(path, Math.floor((await stat(path)).size / 2));

test("what is asked to be fresh is read to its last byte, and made again where it is damaged", async () => {
  const home = await newHome(directory.path);
  const { rootFileSystem } = await pull(home);
  const good = await readFile(rootFileSystem.path);
  const { digest } = built.layers[0]?.blob ?? built.config;
  const ways: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["pull --force", () => pull(home, { policy: "always" })],
    ["load", () => loadImages(home, layout)],
  ];
  for (const [what, mend] of ways) {
    for (const damage of [halve, flipMiddle]) {
      await damage(rootFileSystem.path);
      for (const blob of [digest, built.config.digest]) await damage(blobPath(home, blob));
      await mend();
      assert.ok((await readFile(rootFileSystem.path)).equals(good), what);
      for (const blob of [digest, built.config.digest])
        assert.equal(sha256(await readFile(blobPath(home, blob))), blob, what);
    }
    // What is whole stays the very file: sandboxes share its pages.
    const before = await stat(rootFileSystem.path);
    await mend();
    assert.equal((await stat(rootFileSystem.path)).ino, before.ino, what);
  }
});

test("a start makes a shortened root file system again, and names an image that it cannot mend", async () => {
  const home = await newHome(directory.path);
  const { rootFileSystem, manifestDigest } = await pull(home);
  const good = await readFile(rootFileSystem.path);
  const start = (): Promise<PulledImage> => storedImage(manifestDigest, reference, { home });
  await halve(rootFileSystem.path);
  await start();
  assert.ok((await readFile(rootFileSystem.path)).equals(good));
  // The first block: what the guest would fail to mount.
  await flip(rootFileSystem.path, 1100);
  await start();
  assert.ok((await readFile(rootFileSystem.path)).equals(good));

  await halve(rootFileSystem.path);
  await flipMiddle(blobPath(home, built.layers[0]?.blob.digest ?? ""));
  // Where it cannot be found out which layer it is, the first error is still the one that is told.
  const ingest = join(home.images, "ingest");
  await rm(ingest, { recursive: true });
  await writeFile(ingest, "no directory");
  await assert.rejects(start(), (error) => {
    assert.ok(error instanceof ImageError, String(error));
    assert.match(error.message, /layer 1 of 2 .*\/app:1: .*corrupt/);
    return true;
  });
  await rm(ingest);
  for (const attempt of ["first", "second"]) {
    await assert.rejects(start(), (error) => {
      assert.ok(error instanceof ImageError, String(error));
      assert.match(error.message, /app@sha256:[0-9a-f]{64} is damaged/, attempt);
      assert.match(error.hint, /msb pull --force .*\/app@sha256:/);
      return true;
    });
  }
  // The command that was named.
  await pull(home, { policy: "always" }, `${server.host}/app@${manifestDigest}`);
  await start();
  assert.ok((await readFile(rootFileSystem.path)).equals(good));
});

test("a damaged layer is not saved, and the file that was there stays", async () => {
  const home = await newHome(directory.path);
  await loadImages(home, layout);
  await flipMiddle(blobPath(home, built.layers[0]?.blob.digest ?? ""));
  const output = join(directory.path, "saved.tar");
  await writeFile(output, "before");
  await assert.rejects(saveImages(home, [reference], output), (error) => {
    assert.ok(error instanceof ImageError);
    assert.match(error.message, /app:1 is damaged: its part sha256:/);
    return true;
  });
  assert.equal(await readFile(output, "utf8"), "before");
  assert.deepEqual(
    (await readdir(directory.path)).filter((name) => name.endsWith(".tmp")),
    [],
  );
});

/** Its lower layer is another image's too; the upper one is no tar archive. */
async function refused(): Promise<BuiltImage> {
  const good = await layer({ new: noise(1000) });
  const tar = Buffer.alloc(2048, "no tar archive");
  const { mediaType } = good.blob;
  const blob = {
    mediaType: mediaType.replace("+gzip", ""),
    digest: sha256(tar),
    size: tar.length,
    bytes: tar,
  };
  return image([...built.layers.slice(0, 1), good, { tar, blob, diffId: sha256(tar) }]);
}

test("a refused pull or load leaves nothing but what another image or operation needs", async () => {
  const home = await newHome(directory.path);
  const bad = await refused();
  const name = `${server.host}/bad:1`;
  await push(bad, name);
  const place = join(directory.path, "bad");
  await writeLayout(place, bad, name);
  for (const bring of [() => pull(home, {}, name), () => loadImages(home, place)]) {
    await assert.rejects(bring(), ImageError);
    assert.deepEqual(await blobs(home), []);
    for (const part of ["ingest", "leases", "rootfs"])
      assert.deepEqual(await readdir(join(home.images, part)), [], part);
  }
  await pull(home);
  await assert.rejects(pull(home, {}, name), ImageError);
  assert.deepEqual(await blobs(home), blobsOf(built));
  // Another operation is about to use a layer of it.
  const mine = bad.layers[1]?.blob.digest ?? "";
  await withLease(imageStore(home), { blobs: [mine], rootfs: [] }, undefined, async () => {
    await assert.rejects(pull(home, {}, name), ImageError);
    assert.deepEqual(await blobs(home), [...blobsOf(built), mine].sort());
  });
});

test("two pulls at once that share a layer: the refused one takes nothing from the other", async () => {
  const home = await newHome(directory.path);
  const bad = await refused();
  await push(bad, `${server.host}/twin:bad`);
  const [good, worse] = await Promise.allSettled([pull(home), pull(home, {}, `${server.host}/twin:bad`)]);
  assert.equal(worse.status, "rejected");
  assert.equal(good.status, "fulfilled");
  assert.deepEqual(await blobs(home), blobsOf(built));
  await run("fsck.erofs", [good.value.rootFileSystem.path]);
});

test("an image that lost its name to another goes, and so does what nobody went on with for a day", async () => {
  const home = await newHome(directory.path);
  const first = image([await layer({ one: "1" })]);
  const second = image([await layer({ two: "2" })]);
  const name = `${server.host}/moving:1`;
  await push(first, name);
  await pull(home, {}, name);
  const interrupted = sha256(Buffer.from("young"));
  const forgotten = sha256(Buffer.from("old"));
  const long = new Date(Date.now() - 2 * 86_400_000);
  const part = (digest: string): string => join(home.images, "ingest", digest.replace(":", "-"));
  for (const path of [blobPath(home, interrupted), part(interrupted)]) await writeFile(path, "young");
  for (const path of [blobPath(home, forgotten), part(forgotten)]) {
    await writeFile(path, "old");
    await utimes(path, long, long);
  }
  await push(second, name);
  await pull(home, { policy: "always" }, name);
  assert.deepEqual(await blobs(home), [...blobsOf(second), interrupted].sort());
  assert.deepEqual(await readdir(join(home.images, "ingest")), [interrupted.replace(":", "-")]);
  assert.equal((await readdir(join(home.images, "rootfs"))).length, 1);
  await rm(blobPath(home, interrupted));
});
