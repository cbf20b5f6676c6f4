import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { ImageError, ImageNotFoundError, IoError } from "../../src/errors/index.ts";
import { loadImages } from "../../src/image/archive/load.ts";
import { saveImages } from "../../src/image/archive/save.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import type { Home } from "../../src/store/home.ts";
import { image, layer, newHome, noise, scratch, skopeo, writeLayout, type BuiltImage } from "./images.ts";

const run = promisify(execFile);

let directory: Awaited<ReturnType<typeof scratch>>;
let built: BuiltImage;
let layout: string;

before(async () => {
  directory = await scratch();
  const shared = await layer({ "etc/a": "a", data: noise(700_000) });
  // One layer twice, as builders make them.
  built = image([shared, await layer({ "etc/b": "b" }), shared], { config: { Cmd: ["/a"] } });
  layout = join(directory.path, "layout");
  await writeLayout(layout, built, "example.org/team/app:1");
});

after(() => directory[Symbol.asyncDispose]());

async function tarOf(from: string, to: string, ...flags: string[]): Promise<string> {
  const path = join(directory.path, to);
  await run("tar", [...flags, "-C", from, "-cf", path, "."]);
  return path;
}

async function boots(home: Home, reference: string): Promise<void> {
  const { rootFileSystem, config } = await pullImage(reference, { home, policy: "never" });
  assert.deepEqual(config.cmd, ["/a"]);
  await run("fsck.erofs", [rootFileSystem.path]);
}

test("an OCI layout is loaded from a tar file, a compressed one and a stream", async () => {
  const plain = await tarOf(layout, "plain.tar");
  const gzip = await tarOf(layout, "gzip.tgz", "-z");
  for (const source of [plain, gzip, createReadStream(plain)]) {
    const home = await newHome(directory.path);
    const [loaded, ...others] = await loadImages(home, source);
    assert.equal(others.length, 0);
    assert.equal(loaded?.reference, "example.org/team/app:1");
    assert.equal(loaded.manifestDigest, built.manifest.digest);
    assert.equal(loaded.layerCount, 3);
    await boots(home, "example.org/team/app:1");
    assert.deepEqual(await readdir(join(home.images, "ingest")), []);
  }
});

test("what skopeo writes for docker is loaded, and the tag names it", async () => {
  const path = join(directory.path, "docker.tar");
  await skopeo("copy", "--quiet", `oci:${layout}:example.org/team/app:1`, `docker-archive:${path}:alpine:3`);
  const home = await newHome(directory.path);
  const [loaded] = await loadImages(home, path);
  assert.equal(loaded?.reference, "docker.io/library/alpine:3");
  await boots(home, "alpine:3");
  const [tagged] = await loadImages(home, path, { tag: "my/own" });
  assert.equal(tagged?.reference, "docker.io/my/own:latest");
  await boots(home, "my/own");
});

test("the form of old docker is loaded: a directory per layer, links for layers that occur twice", async () => {
  const old = join(directory.path, "old");
  const [shared, middle] = built.layers;
  for (const [name, content] of [
    ["1", shared?.tar],
    ["2", middle?.tar],
  ] as const) {
    await mkdir(join(old, name), { recursive: true });
    await writeFile(join(old, name, "layer.tar"), content ?? "");
  }
  await mkdir(join(old, "3"));
  await symlink("../1/layer.tar", join(old, "3", "layer.tar"));
  await writeFile(join(old, "config.json"), built.config.bytes);
  const Layers = ["1/layer.tar", "2/layer.tar", "3/layer.tar"];
  await writeFile(
    join(old, "manifest.json"),
    JSON.stringify([{ Config: "config.json", RepoTags: ["old:1"], Layers }]),
  );
  const home = await newHome(directory.path);
  const [loaded] = await loadImages(home, await tarOf(old, "old.tar"));
  assert.equal(loaded?.reference, "docker.io/library/old:1");
  assert.equal(loaded.configDigest, built.config.digest);
  await boots(home, "old:1");
});

test("what was saved is read by skopeo and loads again, in both forms", async () => {
  const home = await newHome(directory.path);
  await loadImages(home, await tarOf(layout, "again.tar"));
  const [other] = await loadImages(home, join(directory.path, "again.tar"), { tag: "other:2" });
  const reference = "example.org/team/app:1";
  for (const format of ["docker", "oci"] as const) {
    const path = join(directory.path, `saved-${format}.tar`);
    await saveImages(home, [reference, "other:2"], path, { format });
    const copy = join(directory.path, `copy-${format}`);
    const source =
      format === "docker" ? `docker-archive:${path}:${reference}` : `oci-archive:${path}:${reference}`;
    await skopeo("copy", "--quiet", source, `oci:${copy}:it`);
    const config: unknown = JSON.parse(await skopeo("inspect", "--config", `oci:${copy}:it`));
    assert.ok(typeof config === "object" && config !== null && "config" in config);
    assert.deepEqual(config.config, { Cmd: ["/a"] });

    const second = await newHome(directory.path);
    const loaded = await loadImages(second, path);
    assert.deepEqual(loaded.map((one) => one.reference).sort(), ["docker.io/library/other:2", reference]);
    for (const one of loaded) assert.equal(one.manifestDigest, other?.manifestDigest);
    await boots(second, reference);
    // The same images make the same archive, also through a stream.
    const stream = new PassThrough();
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    await saveImages(home, [reference, "other:2"], stream, { format });
    assert.ok(Buffer.concat(chunks).equals(await readFile(path)));
  }
});

test("saving what is not there creates nothing", async () => {
  const home = await newHome(directory.path);
  const path = join(directory.path, "nothing.tar");
  await assert.rejects(saveImages(home, ["alpine"], path), ImageNotFoundError);
  assert.ok(!(await readdir(directory.path)).some((name) => name.startsWith("nothing")));
  await assert.rejects(loadImages(home, path), IoError);
});

type Change = (place: string) => Promise<unknown>;
const hex = (digest = ""): string => digest.slice("sha256:".length);
const json = (place: string, name: string, content: unknown): Promise<void> =>
  writeFile(join(place, name), JSON.stringify(content));

const hostile: readonly (readonly [string, Change, RegExp])[] = [
  [
    "a layer with other bytes",
    (p) =>
      writeFile(
        join(p, "blobs/sha256", hex(built.layers[0]?.blob.digest)),
        noise(built.layers[0]?.blob.size ?? 0),
      ),
    /damaged/,
  ],
  [
    "a layer that is shorter",
    (p) => writeFile(join(p, "blobs/sha256", hex(built.layers[0]?.blob.digest)), "x"),
    /bytes long, not/,
  ],
  [
    "a layer that is missing",
    (p) => run("rm", [join(p, "blobs/sha256", hex(built.layers[1]?.blob.digest))]),
    /lacks/,
  ],
  [
    "a manifest with other bytes",
    (p) =>
      writeFile(join(p, "blobs/sha256", hex(built.manifest.digest)), Buffer.alloc(built.manifest.size, 32)),
    /damaged/,
  ],
  ["an index that is no JSON", (p) => writeFile(join(p, "index.json"), "{"), /not JSON/],
  [
    "an index that is empty",
    (p) => json(p, "index.json", { schemaVersion: 2, manifests: [] }),
    /no image for/,
  ],
  ["a name that is none", (p) => writeLayout(p, built, "Bad/NAME:1"), /reference/],
  ["an image without a name", (p) => writeLayout(p, built, "latest"), /no name/],
  [
    "several images with tags only",
    (p) => {
      const tagged = ["app", "plain"].map((tag, index) => ({
        ...built.manifest,
        digest: `sha256:${String(index).repeat(64)}`,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        annotations: { "org.opencontainers.image.ref.name": tag },
      }));
      return json(p, "index.json", { schemaVersion: 2, manifests: tagged });
    },
    /only tags: app, plain/,
  ],
  [
    "another processor",
    (p) => writeLayout(p, image(built.layers, { architecture: "s390x" }), "example.org/a:1"),
    /for linux\/s390x/,
  ],
  [
    "a diff id of another layer",
    async (p) => {
      const [first, second] = built.layers;
      assert.ok(first !== undefined && second !== undefined);
      await writeLayout(p, image([{ ...first, diffId: second.diffId }]), "example.org/a:1");
    },
    /digest/,
  ],
  ["no image at all", (p) => run("sh", ["-c", `rm -r '${p}'/* && touch '${p}/x'`]), /holds no image/],
  [
    "a docker manifest that leads out of the archive",
    async (p) => {
      await run("sh", ["-c", `rm -r '${p}'/*`]);
      await json(p, "manifest.json", [
        { Config: "/etc/hostname", RepoTags: ["a:1"], Layers: ["../../etc/passwd"] },
      ]);
    },
    /lacks/,
  ],
  [
    "a link that leads out of the archive",
    async (p) => {
      await run("sh", ["-c", `rm -r '${p}'/*`]);
      await symlink("/etc/hostname", join(p, "config.json"));
      await json(p, "manifest.json", [{ Config: "config.json", RepoTags: ["a:1"], Layers: [] }]);
    },
    /lacks/,
  ],
  [
    "links in a circle",
    async (p) => {
      await run("sh", ["-c", `rm -r '${p}'/*`]);
      await symlink("b", join(p, "a"));
      await symlink("a", join(p, "b"));
      await json(p, "manifest.json", [{ Config: "a", RepoTags: ["a:1"], Layers: [] }]);
    },
    /lacks/,
  ],
  ["a device", (p) => run("mkfifo", [join(p, "pipe")]), /no plain file/],
];

for (const [number, [name, change, message]] of hostile.entries()) {
  test(`an archive with ${name} is refused and leaves nothing`, async () => {
    const place = join(directory.path, `hostile-${number}`);
    await writeLayout(place, built, "example.org/a:1");
    await change(place);
    const home = await newHome(directory.path);
    await assert.rejects(loadImages(home, await tarOf(place, `hostile-${number}.tar`)), (error) => {
      assert.ok(error instanceof ImageError, String(error));
      assert.match(error.message, message);
      return true;
    });
    await leavesNothing(home);
  });
}

const broken: readonly (readonly [string, (good: Buffer) => Buffer, RegExp])[] = [
  ["that is cut off", (good) => good.subarray(0, good.length / 2), /ends|truncated|cut/i],
  ["that is no tar", () => Buffer.alloc(4096, "text "), /broken\.tar is no tar archive, plain or compressed/],
  ["that is a short text", () => Buffer.from("text"), /broken\.tar is no tar archive/],
  ["that is compressed text", () => gzipSync(Buffer.alloc(4096, "text ")), /broken\.tar is no tar archive/],
  ["that is empty", () => Buffer.alloc(0), /broken\.tar is empty/],
  ["whose gzip is cut off", (good) => gzipSync(good).subarray(0, 5000), /damaged/],
  ["with a file twice", (good) => Buffer.concat([withoutEnd(good), good]), /twice/],
];

/** Without the zero blocks, so that another archive can follow. */
function withoutEnd(tar: Buffer): Buffer {
  let end = tar.length;
  while (tar.subarray(end - 512, end).every((byte) => byte === 0)) end -= 512;
  return tar.subarray(0, end);
}

for (const [name, damage, message] of broken) {
  test(`an archive ${name} is refused and leaves nothing`, async () => {
    const home = await newHome(directory.path);
    const good = await readFile(await tarOf(layout, "good.tar"));
    const path = join(directory.path, "broken.tar");
    await writeFile(path, damage(good));
    await assert.rejects(loadImages(home, path), (error) => {
      assert.ok(error instanceof ImageError, String(error));
      assert.match(error.message, message);
      return true;
    });
    await leavesNothing(home);
  });
}

test("an archive that unpacks to more than is allowed is refused", async () => {
  const home = await newHome(directory.path);
  const bomb = join(directory.path, "bomb");
  await mkdir(bomb);
  await writeFile(join(bomb, "zeros"), Buffer.alloc(5_000_000));
  const limits = {
    maxUncompressedBytes: 1_000_000,
    maxEntries: 100,
    maxMetadataBytes: 1_000_000,
    maxFileBytes: 1_000_000,
    maxImageBytes: 1_000_000,
  };
  await assert.rejects(loadImages(home, await tarOf(bomb, "bomb.tgz", "-z"), { limits }), /larger than/);
  await leavesNothing(home);
});

async function leavesNothing(home: Home): Promise<void> {
  assert.deepEqual(await readdir(join(home.images, "ingest")), []);
  assert.deepEqual(await readdir(join(home.images, "leases")), []);
  assert.deepEqual(await readdir(join(home.images, "rootfs")), []);
  assert.ok(!(await readdir(home.images)).includes("index.json"));
}
