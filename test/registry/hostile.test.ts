import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ImageError } from "../../src/errors/index.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import {
  blob,
  describe,
  image,
  layer,
  newHome,
  push,
  scratch,
  type Blob,
  type BuiltImage,
} from "./images.ts";
import { MisbehavingProxy } from "./misbehaving-proxy.ts";
import { RegistryServer } from "./registry-server.ts";

const quick = { attempts: 2, baseMs: 5, maximumMs: 20 };
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";

let directory: Awaited<ReturnType<typeof scratch>>;
let server: RegistryServer;
let proxy: MisbehavingProxy;
let built: BuiltImage;

before(async () => {
  directory = await scratch();
  server = await RegistryServer.start(directory.path);
  proxy = await MisbehavingProxy.start(server.host);
  built = image([await layer({ a: "a" }), await layer({ b: "b" })]);
  await push(built, `${server.host}/app:1`);
});

after(async () => {
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

/** What the registry is made to say: content by the last part of a path. */
type Lies = Readonly<Record<string, { readonly type?: string; readonly bytes: Buffer }>>;

const manifest = (change: object): Blob =>
  blob(manifestType, {
    schemaVersion: 2,
    mediaType: manifestType,
    config: describe(built.config),
    layers: built.layers.map((one) => describe(one.blob)),
    ...change,
  });
const tagged = (one: Blob): Lies => ({ "1": { type: one.mediaType, bytes: one.bytes } });
const index = (...manifests: readonly object[]): Blob =>
  blob(indexType, { schemaVersion: 2, mediaType: indexType, manifests });
const firstLayer = (): Blob => {
  const [first] = built.layers;
  assert.ok(first !== undefined);
  return first.blob;
};

const cases: readonly (readonly [string, () => Lies, RegExp, string?])[] = [
  ["a manifest that is no JSON", () => tagged(blob(manifestType, Buffer.from("no"))), /not JSON/],
  ["a manifest of 5 MiB", () => tagged(blob(manifestType, Buffer.alloc(5 << 20, 32))), /longer than 4 MiB/],
  [
    "a manifest with another digest than was asked for",
    () => ({ [`sha256:${"1".repeat(64)}`]: { type: manifestType, bytes: built.manifest.bytes } }),
    /damaged/,
    `app@sha256:${"1".repeat(64)}`,
  ],
  [
    "an index entry with another size",
    () => tagged(index({ ...describe(built.manifest), size: 7 })),
    /not 7 as its index says/,
  ],
  [
    "an index entry that is another document",
    () => ({
      ...tagged(index(describe(built.manifest))),
      [built.manifest.digest]: { type: manifestType, bytes: Buffer.alloc(built.manifest.size, 32) },
    }),
    /damaged/,
  ],
  [
    "an index that leads to itself",
    () => {
      const digest = `sha256:${"2".repeat(64)}`;
      const loop = index({ mediaType: indexType, digest, size: 1 });
      return { ...tagged(loop), [digest]: { type: indexType, bytes: loop.bytes } };
    },
    /bytes long, not 1|damaged/,
  ],
  [
    "an index without this platform",
    () => tagged(index({ ...describe(built.manifest), platform: { os: "linux", architecture: "s390x" } })),
    /no image for/,
  ],
  [
    "a config with other bytes",
    () => ({ [built.config.digest]: { bytes: Buffer.alloc(built.config.size, 32) } }),
    /damaged/,
  ],
  [
    "a config for another processor",
    () => {
      const other = image(built.layers, { architecture: "s390x" });
      return { ...tagged(other.manifest), [other.config.digest]: { bytes: other.config.bytes } };
    },
    /is for linux\/s390x/,
  ],
  [
    "a config with another number of layers",
    () => {
      const other = image(built.layers.slice(1));
      return {
        ...tagged(manifest({ config: describe(other.config) })),
        [other.config.digest]: { bytes: other.config.bytes },
      };
    },
    /lists 1 layers, but the manifest has 2/,
  ],
  [
    "a layer with other bytes",
    () => ({ [firstLayer().digest]: { bytes: Buffer.alloc(firstLayer().size, 7) } }),
    /damaged/,
  ],
  [
    "a layer that is longer",
    () => ({ [firstLayer().digest]: { bytes: Buffer.concat([firstLayer().bytes, Buffer.from("x")]) } }),
    /bytes long, not/,
  ],
  [
    "a layer that is shorter",
    () => ({ [firstLayer().digest]: { bytes: firstLayer().bytes.subarray(1) } }),
    /bytes long, not/,
  ],
  [
    "a layer whose size is a lie of the manifest",
    () => tagged(manifest({ layers: built.layers.map((one) => ({ ...describe(one.blob), size: 3 })) })),
    /bytes long, not 3/,
  ],
  [
    "layers in another order than their diff ids",
    () => tagged(manifest({ layers: [...built.layers].reverse().map((one) => describe(one.blob)) })),
    /digest/,
  ],
  [
    "a layer that the registry does not have",
    () =>
      tagged(
        manifest({
          layers: [
            describe(blob("application/vnd.oci.image.layer.v1.tar", Buffer.from("?"))),
            describe(firstLayer()),
          ],
        }),
      ),
    /does not have/,
  ],
];

for (const [name, lies, message, reference = "app:1"] of cases) {
  test(`${name} is refused and leaves no image`, async () => {
    const home = await newHome(directory.path);
    const told = lies();
    proxy.misbehave = (request, response) => {
      const answer = told[request.path.split("/").at(-1) ?? ""];
      if (answer === undefined) return false;
      const type = answer.type ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type, "content-length": answer.bytes.length });
      response.end(request.method === "HEAD" ? undefined : answer.bytes);
      return true;
    };
    const options = { home, environment: {}, retry: quick };
    await assert.rejects(pullImage(`${proxy.host}/${reference}`, options), (error) => {
      assert.ok(error instanceof ImageError, String(error));
      assert.match(error.message, message);
      return true;
    });
    assert.deepEqual(await readdir(join(home.images, "rootfs")), []);
    assert.ok(!(await readdir(home.images)).includes("index.json"));
    // An honest registry helps at once: nothing wrong was kept.
    proxy.misbehave = () => false;
    const pulled = await pullImage(`${proxy.host}/app:1`, options);
    assert.equal(pulled.manifestDigest, built.manifest.digest);
  });
}

test("a tag that is not there is named", async () => {
  const home = await newHome(directory.path);
  await assert.rejects(
    pullImage(`${server.host}/app:none`, { home, environment: {}, retry: quick }),
    (error) => {
      assert.ok(error instanceof ImageError);
      assert.match(error.message, /there is no image .*app:none/);
      return true;
    },
  );
});
