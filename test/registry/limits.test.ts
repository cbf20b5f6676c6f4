import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { promisify } from "node:util";
import { ImageError, IoError } from "../../src/errors/index.ts";
import { loadImages } from "../../src/image/archive/load.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import type { Home } from "../../src/store/home.ts";
import {
  blob,
  describe,
  image,
  layer,
  newHome,
  noise,
  push,
  scratch,
  writeLayout,
  type BuiltImage,
} from "./images.ts";
import { MisbehavingProxy } from "./misbehaving-proxy.ts";
import { RegistryServer } from "./registry-server.ts";

const run = promisify(execFile);
const mib = 2 ** 20;

let directory: Awaited<ReturnType<typeof scratch>>;
let server: RegistryServer;
let proxy: MisbehavingProxy;
let built: BuiltImage;
let archive: string;

before(async () => {
  directory = await scratch();
  server = await RegistryServer.start(directory.path);
  proxy = await MisbehavingProxy.start(server.host);
  const names = Object.fromEntries(
    Array.from({ length: 5000 }, (_, i) => [`${"n".repeat(240)}${i}`, ""] as const),
  );
  built = image([await layer({ big: noise(1.5 * mib), other: noise(1.5 * mib) }), await layer(names)]);
  await push(built, `${server.host}/app:1`);
  const layout = join(directory.path, "layout");
  await writeLayout(layout, built, "example.org/app:1");
  archive = join(directory.path, "app.tar");
  await run("tar", ["-C", layout, "-cf", archive, "."]);
});

afterEach(() => {
  proxy.misbehave = () => false;
  proxy.seen.length = 0;
});

after(async () => {
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

async function homeWith(images: object): Promise<Home> {
  const home = await newHome(directory.path);
  await writeFile(home.configFile, JSON.stringify({ images }));
  return home;
}

const options = { environment: {}, retry: { attempts: 2, baseMs: 5, maximumMs: 20 } };
const pull = (home: Home): Promise<unknown> => pullImage(`${proxy.host}/app:1`, { home, ...options });

/** A setting, a value that is too small for the image, and one that is enough. */
const settings = [
  ["max_download_mib", 2, 4],
  ["max_unpacked_mib", 4, 12],
  ["max_rootfs_mib", 3, 8],
  ["max_file_mib", 1, 2],
  ["max_entries", 5000, 5010],
  ["max_metadata_mib", 1, 4],
] as const;

for (const [key, low, enough] of settings) {
  test(`images.${key} bounds an image, and raising it is what the error says`, async () => {
    const refusal = (error: unknown): boolean => {
      assert.ok(error instanceof ImageError, String(error));
      assert.ok(error.hint.includes(`images.${key} in config.json`), `${error.message}: ${error.hint}`);
      return true;
    };
    await assert.rejects(pull(await homeWith({ [key]: low })), refusal);
    await pull(await homeWith({ [key]: enough }));
    if (key === "max_download_mib") return;
    await assert.rejects(loadImages(await homeWith({ [key]: low }), archive), refusal);
    await loadImages(await homeWith({ [key]: enough }), archive);
  });
}

test("layers that are too large together are refused before any of them is asked for", async () => {
  await assert.rejects(pull(await homeWith({ max_download_mib: 2 })), ImageError);
  assert.ok(proxy.seen.some(({ path }) => path.includes("/manifests/")));
  assert.deepEqual(
    proxy.seen.filter(({ path }) => path.includes("/blobs/")),
    [],
  );
});

/** Makes the registry declare another size for the second layer. */
function declare(size: number): void {
  const mediaType = built.manifest.mediaType;
  const [first, second] = built.layers.map((one) => describe(one.blob));
  const manifest = blob(mediaType, {
    schemaVersion: 2,
    mediaType,
    config: describe(built.config),
    layers: [first, { ...second, size }],
  });
  proxy.misbehave = (request, response) => {
    if (!request.path.includes("/manifests/")) return false;
    response.writeHead(200, { "content-type": mediaType, "content-length": manifest.size });
    response.end(request.method === "HEAD" ? undefined : manifest.bytes);
    return true;
  };
}

test("a layer of 10 TiB is refused without any setting", async () => {
  declare(10 * 2 ** 40);
  await assert.rejects(pull(await newHome(directory.path)), ImageError);
  assert.ok(!proxy.seen.some(({ path }) => path.includes("/blobs/")));
});

test("an image that the disk has no room for is refused before any layer is asked for", async () => {
  // 2 PiB: more than the file systems of this world have free.
  declare(2 ** 51);
  await assert.rejects(pull(await homeWith({ max_download_mib: 2 ** 32 })), (error) => {
    assert.ok(error instanceof IoError, String(error));
    assert.match(error.message, /are free/);
    assert.match(error.hint, /free some space/);
    return true;
  });
  assert.ok(!proxy.seen.some(({ path }) => path.endsWith(`/blobs/${built.layers[0]?.blob.digest ?? ""}`)));
});

test("a download that fills the disk is not left there", async () => {
  const home = await homeWith({});
  const ingest = join(home.images, "ingest");
  await mkdir(ingest, { recursive: true });
  const name = built.layers[0]?.blob.digest.replace(":", "-") ?? "";
  // Every write to it says that the disk is full (full(4)).
  await symlink("/dev/full", join(ingest, name));
  await assert.rejects(pull(home), (error) => {
    assert.ok(error instanceof IoError, String(error));
    assert.match(error.hint, /disk is full/);
    return true;
  });
  assert.deepEqual(await readdir(ingest), []);
  await pull(home);
});
