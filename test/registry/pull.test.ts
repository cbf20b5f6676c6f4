import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, after, test } from "node:test";
import { promisify } from "node:util";
import { HttpError, ImageError } from "../../src/errors/index.ts";
import type { PullProgress } from "../../src/image/pull/pull-progress.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import type { PullOptions } from "../../src/image/pull/pull-options.ts";
import type { PulledImage } from "../../src/image/stored.ts";
import type { Home } from "../../src/store/home.ts";
import { image, layer, newHome, noise, push, scratch, skopeo, type BuiltImage } from "./images.ts";
import { RegistryServer } from "./registry-server.ts";

const run = promisify(execFile);
const quick = { attempts: 3, baseMs: 5, maximumMs: 50 };

let directory: Awaited<ReturnType<typeof scratch>>;
let server: RegistryServer;
let built: BuiltImage;

before(async () => {
  directory = await scratch();
  server = await RegistryServer.start(directory.path);
  const lower = await layer({ "etc/name": "lower", "etc/gone": "x", big: noise(3_000_000) });
  const upper = await layer({ "etc/name": "upper", "etc/.wh.gone": "", more: noise(2_000_000) });
  built = image([lower, upper], {
    config: {
      Env: ["PATH=/bin", "A=1"],
      Cmd: ["/bin/sh"],
      Entrypoint: ["/init"],
      WorkingDir: "/srv",
      User: "1000:1000",
      Labels: { "org.example": "yes" },
      StopSignal: "SIGINT",
      ExposedPorts: { "80/tcp": {} },
    },
  });
  await push(built, `${server.host}/team/app:1`);
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

function pull(home: Home, reference: string, options: Partial<PullOptions> = {}): Promise<PulledImage> {
  return pullImage(reference, { home, environment: {}, retry: quick, ...options });
}

test("an image is pulled, checked, put into the store and made into a root file system", async () => {
  const home = await newHome(directory.path);
  const events: PullProgress[] = [];
  const reference = `${server.host}/team/app:1`;
  const pulled = await pull(home, reference, { onProgress: (event) => events.push(event) });
  assert.equal(pulled.reference, reference);
  assert.equal(pulled.manifestDigest, built.manifest.digest);
  assert.deepEqual(pulled.config.env, ["PATH=/bin", "A=1"]);
  assert.deepEqual(pulled.config.entrypoint, ["/init"]);
  assert.deepEqual(pulled.config.cmd, ["/bin/sh"]);
  assert.equal(pulled.config.workingDir, "/srv");
  assert.equal(pulled.config.user, "1000:1000");
  assert.deepEqual(pulled.config.labels, { "org.example": "yes" });
  assert.equal(pulled.config.stopSignal, "SIGINT");
  assert.deepEqual(pulled.config.exposedPorts, ["80/tcp"]);

  assert.equal(pulled.rootFileSystem.fsType, "erofs");
  await run("fsck.erofs", [pulled.rootFileSystem.path]);
  const extracted = join(directory.path, "extracted");
  await run("fsck.erofs", [`--extract=${extracted}`, pulled.rootFileSystem.path]);
  assert.equal(await readFile(join(extracted, "etc/name"), "utf8"), "upper");
  assert.deepEqual(await readdir(join(extracted, "etc")), ["name"]);

  const kinds = events.map(({ kind }) => kind);
  assert.deepEqual(kinds.slice(0, 2), ["resolving", "resolved"]);
  assert.deepEqual(kinds.slice(-4), [
    "stitchMergingTrees",
    "stitchWritingFsmeta",
    "stitchComplete",
    "complete",
  ]);
  const resolved = events.find((event) => event.kind === "resolved");
  assert.equal(
    resolved?.totalDownloadBytes,
    built.layers.reduce((sum, { blob }) => sum + blob.size, 0),
  );
  for (const [layerIndex, { blob, diffId }] of built.layers.entries()) {
    const own = events.filter((event) => "layerIndex" in event && event.layerIndex === layerIndex);
    const names = own.map(({ kind }) => kind).filter((kind, i, all) => kind !== all[i - 1]);
    assert.deepEqual(names, [
      "layerDownloadProgress",
      "layerDownloadComplete",
      "layerDownloadVerifying",
      "layerMaterializeStarted",
      "layerMaterializeProgress",
      "layerMaterializeWriting",
      "layerMaterializeComplete",
    ]);
    for (const event of own) {
      if ("digest" in event) assert.equal(event.digest, blob.digest);
      if ("diffId" in event) assert.equal(event.diffId, diffId);
    }
  }
  // Nothing is left of the work.
  assert.deepEqual(await readdir(join(home.images, "ingest")), []);
  assert.deepEqual(await readdir(join(home.images, "leases")), []);
  assert.equal((await readdir(join(home.images, "rootfs"))).length, 1);

  // Other tools read the store.
  const inspected: unknown = JSON.parse(await skopeo("inspect", `oci:${home.images}:${reference}`));
  assert.ok(typeof inspected === "object" && inspected !== null && "Digest" in inspected);
  assert.equal(inspected.Digest, built.manifest.digest);
});

test("a stored image needs no network, and the policies do what they say", async () => {
  const home = await newHome(directory.path);
  const place = join(directory.path, "short-lived");
  const own = await RegistryServer.start(place);
  const reference = `${own.host}/team/app:1`;
  await push(built, reference);
  await assert.rejects(pull(home, reference, { policy: "never" }), (error) => {
    assert.ok(error instanceof ImageError);
    assert.match(error.message, /not stored here/);
    assert.match(error.hint, /msb pull/);
    return true;
  });
  const first = await pull(home, reference);

  // The tag moves; only `always` sees it.
  const moved = image([await layer({ new: "1" })]);
  await push(moved, reference);
  assert.equal((await pull(home, reference)).manifestDigest, first.manifestDigest);
  assert.equal((await pull(home, reference, { policy: "never" })).manifestDigest, first.manifestDigest);
  const second = await pull(home, reference, { policy: "always" });
  assert.equal(second.manifestDigest, moved.manifest.digest);
  assert.equal((await pull(home, reference)).manifestDigest, moved.manifest.digest);

  await own[Symbol.asyncDispose]();
  const events: PullProgress[] = [];
  const cached = await pull(home, reference, { onProgress: (event) => events.push(event) });
  assert.deepEqual(cached.rootFileSystem, second.rootFileSystem);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ["resolving", "resolved", "complete"],
  );
  await assert.rejects(pull(home, reference, { policy: "always" }), HttpError);
});

test("a digest pins the image, with and without a tag", async () => {
  const home = await newHome(directory.path);
  const pinned = `${server.host}/team/app@${built.manifest.digest}`;
  assert.equal((await pull(home, pinned)).manifestDigest, built.manifest.digest);
  const tagged = `${server.host}/team/app:other@${built.manifest.digest}`;
  assert.equal((await pull(home, tagged, { policy: "never" })).reference, pinned);
  await assert.rejects(pull(home, `${server.host}/team/app@sha256:${"0".repeat(64)}`), ImageError);
});

test("two pulls at once, in one process and in two, download a layer once", async () => {
  const home = await newHome(directory.path);
  const reference = `${server.host}/team/app:1`;
  const script = join(import.meta.dirname, "pull-main.ts");
  const environment = { ...process.env, MSB_HOME: home.root };
  const received: string[] = [];
  const results = await Promise.all([
    pull(home, reference, {
      onProgress: (e) => e.kind === "layerDownloadVerifying" && received.push(e.digest),
    }),
    pull(home, reference, {
      onProgress: (e) => e.kind === "layerDownloadVerifying" && received.push(e.digest),
    }),
    run(process.execPath, [script, reference], { env: environment }),
    run(process.execPath, [script, reference], { env: environment }),
  ]);
  for (const { stdout } of results.slice(2) as { stdout: string }[]) {
    for (const line of stdout.split("\n").filter(Boolean)) {
      const event = JSON.parse(line) as PullProgress;
      if (event.kind === "layerDownloadVerifying") received.push(event.digest);
    }
  }
  assert.deepEqual(received.sort(), built.layers.map(({ blob }) => blob.digest).sort());
  assert.equal((await readdir(join(home.images, "rootfs"))).length, 1);
  assert.deepEqual(await readdir(join(home.images, "ingest")), []);
});

test("layers that are there already are not fetched again, and a missing one is", async () => {
  const home = await newHome(directory.path);
  await pull(home, `${server.host}/team/app:1`);
  const third = image([...built.layers, await layer({ third: "3" })]);
  await push(third, `${server.host}/team/app:3`);
  const events: PullProgress[] = [];
  await pull(home, `${server.host}/team/app:3`, { onProgress: (event) => events.push(event) });
  const received = events.flatMap((event) =>
    event.kind === "layerDownloadVerifying" ? [event.layerIndex] : [],
  );
  assert.deepEqual(received, [2]);
  const resolved = events.find((event) => event.kind === "resolved");
  assert.equal(resolved?.totalDownloadBytes, third.layers[2]?.blob.size);
});

test("what the disk has damaged is fetched again", async () => {
  const home = await newHome(directory.path);
  const reference = `${server.host}/team/app:1`;
  const { rootFileSystem } = await pull(home, reference);
  const path = ({ digest }: { digest: string }): string =>
    join(home.images, "blobs", "sha256", digest.slice(7));
  for (const { config, manifest } of [built]) {
    await writeFile(path(config), Buffer.alloc(config.size));
    await pull(home, reference);
    await writeFile(path(manifest), Buffer.alloc(manifest.size));
    await pull(home, reference);
  }
  const lower = built.layers[0]?.blob;
  assert.ok(lower !== undefined);
  await writeFile(path(lower), Buffer.alloc(lower.size));
  await rm(rootFileSystem.path);
  // Only now is the layer read again; without a network there is no other.
  await assert.rejects(pull(home, reference, { policy: "never" }), (error) => {
    assert.ok(error instanceof ImageError);
    assert.match(error.message, /team\/app:1 is damaged/);
    assert.match(error.hint, /msb pull --force .*team\/app:1/);
    return true;
  });
  await pull(home, reference);
  await run("fsck.erofs", [rootFileSystem.path]);
});
