import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ImageError } from "../../src/errors/index.ts";
import { loadImages } from "../../src/image/archive/load.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import {
  blob,
  describe,
  image,
  layer,
  newHome,
  noise,
  scratch,
  sha256,
  skopeo,
  writeLayout,
  type BuiltImage,
} from "./images.ts";

const run = promisify(execFile);

let directory: Awaited<ReturnType<typeof scratch>>;
let built: BuiltImage;

before(async () => {
  directory = await scratch();
  const shared = await layer({ data: noise(700_000) });
  built = image([shared, await layer({ b: "b" }), shared]);
});

after(() => directory[Symbol.asyncDispose]());

const blobOf = (layout: string, digest = ""): string => join(layout, "blobs", digest.replace(":", "/"));

test("an OCI layout is loaded from its directory, which stays as it is", async () => {
  const layout = join(directory.path, "plain");
  await writeLayout(layout, built, "example.org/app:1");
  const home = await newHome(directory.path);
  const [loaded, ...others] = await loadImages(home, layout);
  assert.equal(others.length, 0);
  assert.equal(loaded?.reference, "example.org/app:1");
  assert.equal(loaded.manifestDigest, built.manifest.digest);
  const { rootFileSystem } = await pullImage("example.org/app:1", { home, policy: "never" });
  await run("fsck.erofs", [rootFileSystem.path]);
  assert.deepEqual(await readdir(join(home.images, "ingest")), []);
  for (const { blob } of built.layers) {
    assert.equal(sha256(await readFile(blobOf(layout, blob.digest))), blob.digest);
  }
  // Again, into a store that has it all.
  assert.equal((await loadImages(home, layout)).length, 1);
});

test("what skopeo writes into a directory is loaded", async () => {
  const layout = join(directory.path, "source");
  await writeLayout(layout, built, "it");
  const written = join(directory.path, "written");
  await skopeo("copy", "--quiet", `oci:${layout}:it`, `oci:${written}:example.org/other:2`);
  const home = await newHome(directory.path);
  const [loaded] = await loadImages(home, written);
  assert.equal(loaded?.reference, "example.org/other:2");
  const [tagged] = await loadImages(home, written, { tag: "mine" });
  assert.equal(tagged?.reference, "docker.io/library/mine:latest");
});

test("blobs that are links into a store that layouts share are followed", async () => {
  const layout = join(directory.path, "linked");
  await writeLayout(layout, built, "example.org/linked:1");
  const store = join(directory.path, "store");
  await rename(join(layout, "blobs", "sha256"), store);
  await mkdir(join(layout, "blobs", "sha256"));
  for (const name of await readdir(store))
    await symlink(join(store, name), join(layout, "blobs", "sha256", name));
  const home = await newHome(directory.path);
  await loadImages(home, layout);
  // What was loaded is the store's own, not a link.
  const stored = join(home.images, "blobs", "sha256");
  for (const name of await readdir(stored)) assert.ok((await lstat(join(stored, name))).isFile());
  await symlink(store, join(directory.path, "way"));
  await rm(join(layout, "blobs", "sha256"), { recursive: true });
  await symlink(join(directory.path, "way"), join(layout, "blobs", "sha256"));
  await loadImages(await newHome(directory.path), layout);
});

test("layers that need not be in a registry are used where their blobs are", async () => {
  const kinds = [
    { mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip" },
    {
      mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
      urls: ["http://127.0.0.1:1/x"],
    },
  ];
  for (const [number, kind] of kinds.entries()) {
    const layers = built.layers.map(({ blob: stored }) => ({ ...describe(stored), ...kind }));
    const content = { ...(JSON.parse(built.manifest.bytes.toString()) as object), layers };
    const manifest = blob("application/vnd.oci.image.manifest.v1+json", content);
    const layout = join(directory.path, `foreign-${number}`);
    await writeLayout(layout, { ...built, manifest }, "example.org/foreign:1");
    const home = await newHome(directory.path);
    const [loaded] = await loadImages(home, layout);
    assert.equal(loaded?.manifestDigest, manifest.digest);
    await rm(blobOf(layout, built.layers[0]?.blob.digest));
    await assert.rejects(loadImages(await newHome(directory.path), layout), /kept elsewhere/);
  }
});

const hostile: readonly (readonly [string, (layout: string) => Promise<unknown>, RegExp])[] = [
  ["that is none", (l) => rm(join(l, "oci-layout")), /no OCI image layout/],
  ["that is empty", (l) => rm(l, { recursive: true }).then(() => mkdir(l)), /no OCI image layout/],
  [
    "with a damaged layer",
    (l) => writeFile(blobOf(l, built.layers[0]?.blob.digest), noise(built.layers[0]?.blob.size ?? 0)),
    /damaged/,
  ],
  [
    "with a damaged config",
    (l) => writeFile(blobOf(l, built.config.digest), Buffer.alloc(built.config.size, 32)),
    /damaged/,
  ],
  [
    "whose layer is a link to nothing",
    async (l) => {
      const path = blobOf(l, built.layers[0]?.blob.digest);
      await rm(path);
      await symlink("/nowhere", path);
    },
    /leads nowhere/,
  ],
  ["without a layer", (l) => rm(blobOf(l, built.layers[1]?.blob.digest)), /lacks/],
  [
    "whose layer is a pipe",
    async (l) => {
      const path = blobOf(l, built.layers[0]?.blob.digest);
      await rm(path);
      await run("mkfifo", [path]);
    },
    /is no regular file/,
  ],
  [
    "whose layer is somewhere else",
    async (l) => {
      const path = blobOf(l, built.layers[0]?.blob.digest);
      await rm(path);
      await symlink("/etc/hostname", path);
    },
    /bytes long, not|damaged/,
  ],
];

for (const [number, [name, change, message]] of hostile.entries()) {
  test(`a directory ${name} is refused and leaves nothing`, async () => {
    const layout = join(directory.path, `hostile-${number}`);
    await writeLayout(layout, built, "example.org/app:1");
    await change(layout);
    const home = await newHome(directory.path);
    await assert.rejects(loadImages(home, layout), (error) => {
      assert.ok(error instanceof ImageError, String(error));
      assert.match(error.message, message);
      return true;
    });
    assert.deepEqual(await readdir(join(home.images, "ingest")), []);
    assert.ok(!(await readdir(home.images)).includes("index.json"));
  });
}
