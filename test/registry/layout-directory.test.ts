import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ImageError } from "../../src/errors/index.ts";
import { loadImages } from "../../src/image/archive/load.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import {
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
  ["without a layer", (l) => rm(blobOf(l, built.layers[1]?.blob.digest)), /lacks/],
  [
    "whose layer is a pipe",
    async (l) => {
      const path = blobOf(l, built.layers[0]?.blob.digest);
      await rm(path);
      await run("mkfifo", [path]);
    },
    /lacks/,
  ],
  [
    "whose layer is somewhere else",
    async (l) => {
      const path = blobOf(l, built.layers[0]?.blob.digest);
      await rm(path);
      await symlink("/etc/hostname", path);
    },
    /lacks/,
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
