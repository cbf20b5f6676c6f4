import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ImageError } from "../../src/errors/index.ts";
import { loadImages } from "../../src/image/archive/load.ts";
import { saveImages } from "../../src/image/archive/save.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import { listImages } from "../../src/image/store/manage.ts";
import {
  blob,
  describe,
  image,
  layer,
  newHome,
  push,
  scratch,
  writeLayout,
  type Blob,
  type BuiltImage,
} from "./images.ts";
import { MisbehavingProxy } from "./misbehaving-proxy.ts";
import { RegistryServer } from "./registry-server.ts";

const run = promisify(execFile);
const repository = "example.org/team/app";
const foreign = `${repository}@sha256:${"a".repeat(64)}`;

let directory: Awaited<ReturnType<typeof scratch>>;
let built: BuiltImage;

before(async () => {
  directory = await scratch();
  built = image([await layer({ a: "a" })]);
});

after(() => directory[Symbol.asyncDispose]());

/** A tar file of a layout with one image under these names: annotations, and docker's tags when there are some. */
async function archive(
  label: string,
  names: readonly string[],
  options: { readonly root?: Blob; readonly tags?: readonly string[] } = {},
): Promise<string> {
  const place = join(directory.path, label);
  await writeLayout(place, built, "unused");
  const root = options.root ?? built.manifest;
  await writeFile(join(place, "blobs/sha256", root.digest.slice("sha256:".length)), root.bytes);
  const manifests = names.map((name) => ({
    ...describe(root),
    annotations: { "org.opencontainers.image.ref.name": name },
  }));
  await writeFile(
    join(place, "index.json"),
    JSON.stringify({
      schemaVersion: 2,
      manifests: manifests.length === 0 ? [describe(root)] : manifests,
    }),
  );
  if (options.tags !== undefined) {
    const Config = `blobs/${built.config.digest.replace(":", "/")}`;
    const Layers = built.layers.map((one) => `blobs/${one.blob.digest.replace(":", "/")}`);
    await writeFile(
      join(place, "manifest.json"),
      JSON.stringify([{ Config, RepoTags: options.tags, Layers }]),
    );
  }
  const path = join(directory.path, `${label}.tar`);
  await run("tar", ["-C", place, "-cf", path, "."]);
  return path;
}

test("an archive cannot give its image a digest that it does not have", async () => {
  for (const [label, names, tags] of [
    ["annotation", [foreign], undefined],
    ["tag", [], [foreign]],
  ] as const) {
    const home = await newHome(directory.path);
    const path = await archive(label, names, tags === undefined ? {} : { tags });
    await assert.rejects(loadImages(home, path), (error) => {
      assert.ok(error instanceof ImageError, String(error));
      assert.match(error.message, /no name/);
      assert.match(error.hint, /tag/);
      return true;
    });
    assert.deepEqual(await listImages(home), []);
    await assert.rejects(pullImage(foreign, { home, policy: "never" }), /not stored/);
  }
});

test("of an archive's names the true ones are taken", async () => {
  const home = await newHome(directory.path);
  const pinned = `${repository}@${built.manifest.digest}`;
  const path = await archive("mixed", [foreign, `${repository}:1`, pinned]);
  const loaded = await loadImages(home, path);
  assert.deepEqual(loaded.map(({ reference }) => reference).sort(), [`${repository}:1`, pinned]);
  const found = await pullImage(pinned, { home, policy: "never" });
  assert.equal(found.manifestDigest, built.manifest.digest);
});

test("an image that an index leads to is found by the digest of either, when the archive has both", async () => {
  const home = await newHome(directory.path);
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const root = blob(mediaType, { schemaVersion: 2, mediaType, manifests: [describe(built.manifest)] });
  const pinned = `${repository}@${root.digest}`;
  const [loaded] = await loadImages(home, await archive("index", [pinned], { root }));
  assert.equal(loaded?.reference, pinned);
  assert.equal(loaded.manifestDigest, built.manifest.digest);
  assert.equal((await pullImage(pinned, { home, policy: "never" })).manifestDigest, built.manifest.digest);
});

test("an entry of the store that claims another digest than it has is not used", async () => {
  const home = await newHome(directory.path);
  await loadImages(home, await archive("honest", [`${repository}:1`]));
  const index = join(home.images, "index.json");
  const text = await readFile(index, "utf8");
  await writeFile(index, text.replaceAll(`${repository}:1`, foreign));
  assert.deepEqual(await listImages(home), []);
  await assert.rejects(pullImage(foreign, { home, policy: "never" }), /not stored/);
});

test("an image that is pinned by an index is saved under the digest of its manifest", async () => {
  await using server = await RegistryServer.start(directory.path);
  await using proxy = await MisbehavingProxy.start(server.host);
  await push(built, `${server.host}/team/app:1`);
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const root = blob(mediaType, { schemaVersion: 2, mediaType, manifests: [describe(built.manifest)] });
  proxy.misbehave = (request, response) => {
    if (!request.path.endsWith(root.digest)) return false;
    response.writeHead(200, { "content-type": mediaType }).end(root.bytes);
    return true;
  };
  const home = await newHome(directory.path);
  const pinned = `${proxy.host}/team/app@${root.digest}`;
  await pullImage(pinned, { home, environment: {} });
  assert.equal((await pullImage(pinned, { home, policy: "never" })).reference, pinned);
  for (const format of ["docker", "oci"] as const) {
    const path = join(directory.path, `pinned-${format}.tar`);
    await saveImages(home, [pinned], path, { format });
    const second = await newHome(directory.path);
    const loaded = await loadImages(second, path);
    assert.deepEqual(
      loaded.map(({ reference }) => reference),
      [`${proxy.host}/team/app@${built.manifest.digest}`],
    );
  }
});
