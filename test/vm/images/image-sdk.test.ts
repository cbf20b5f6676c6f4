import assert from "node:assert/strict";
import { readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  HttpError,
  Image,
  ImageError,
  ImageInUseError,
  ImageNotFoundError,
  InvalidConfigError,
  NoDefaultCommandError,
  Sandbox,
  SandboxAlreadyExistsError,
  SandboxNotFoundError,
  type PullProgress,
  type SandboxBuilder,
} from "../../../src/index.ts";
import { busyboxLayer } from "../../registry/busybox.ts";
import { image, layer, noise, push, scratch, type BuiltImage, type Layer } from "../../registry/images.ts";
import { RegistryServer } from "../../registry/registry-server.ts";
import { smallMemory, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running", "registry"];

// Images as users of the SDK meet them, against a real registry. The tests build on one another, in this order.

const home = useTemporaryHome();
const imageConfig = {
  Env: ["PATH=/app/bin:/bin:/usr/bin", "GREETING=from the image", "KEPT=yes", "MSB_HOME=/evil"],
  Entrypoint: ["/bin/echo", "entry"],
  Cmd: ["and", "cmd"],
  User: "sandbox",
  WorkingDir: "/app",
  Labels: { maker: "image", version: "1", "microsandbox.id": "x" },
  StopSignal: "SIGQUIT",
};

let directory: Awaited<ReturnType<typeof scratch>>;
let registry: RegistryServer;
let busybox: Layer;
let one: BuiltImage;
let two: BuiltImage;
let app = "";

before(async () => {
  directory = await scratch();
  // Docker's own logins of whoever runs the tests are left out.
  process.env["DOCKER_CONFIG"] = directory.path;
  busybox = await busyboxLayer();
  one = image([busybox, await layer({ "app/version": "one\n" })], { config: imageConfig });
  two = image([busybox, await layer({ "app/version": "two\n" })], { config: imageConfig });
  registry = await RegistryServer.start(directory.path);
  app = `${registry.host}/team/app`;
  await push(one, `${app}:latest`);
});

after(async () => {
  // `before` may have failed half way.
  await (registry as RegistryServer | undefined)?.[Symbol.asyncDispose]();
  await (directory as typeof directory | undefined)?.[Symbol.asyncDispose]();
});

const builder = (name: string): SandboxBuilder => Sandbox.builder(name).image(app).memory(smallMemory);

async function output(sandbox: Sandbox, script: string): Promise<string> {
  const result = await sandbox.shell(script);
  assert.equal(result.code, 0, result.stderr());
  return result.stdout().trimEnd();
}

/** Boots, looks at the image's version, and stops. */
async function versionIn(starting: Promise<Sandbox>): Promise<string> {
  await using sandbox = await starting;
  const version = await output(sandbox, "cat /app/version");
  await sandbox.stop();
  return version;
}

async function leavesNothing(name: string): Promise<void> {
  await assert.rejects(Sandbox.get(name), SandboxNotFoundError);
}

test("a policy of never needs the image to be here", { timeout }, async () => {
  await assert.rejects(builder("never").pullPolicy("never").create(), ImageError);
  await leavesNothing("never");
  assert.deepEqual(await Image.list(), []);
});

test(
  "an image is pulled, its settings are merged under the user's, and its progress is told",
  { timeout },
  async () => {
    const heard: PullProgress[] = [];
    const creation = await builder("first")
      .env("GREETING", "from the user")
      .label("version", "2")
      .onPullProgress((event) => heard.push(event))
      .createWithPullProgress();
    const events: PullProgress[] = [];
    for await (const event of creation) events.push(event);
    const kinds = events.map(({ kind }) => kind);
    assert.deepEqual(kinds.slice(0, 2), ["resolving", "resolved"]);
    assert.deepEqual(events[1], {
      kind: "resolved",
      reference: `${app}:latest`,
      manifestDigest: one.manifest.digest,
      layerCount: 2,
      totalDownloadBytes: one.layers.reduce((sum, { blob }) => sum + blob.size, 0),
    });
    for (const kind of [
      "layerDownloadComplete",
      "layerDownloadVerifying",
      "layerMaterializeComplete",
    ] as const) {
      assert.deepEqual(
        events.flatMap((event) => (event.kind === kind ? [event.layerIndex] : [])).sort(),
        [0, 1],
        kind,
      );
    }
    assert.deepEqual(kinds.slice(-2), ["stitchComplete", "complete"]);
    assert.equal(heard.at(-1)?.kind, "complete");
    assert.equal(await creation.progress.recv(), null);

    await using sandbox = await creation.awaitSandbox();
    const { config } = sandbox;
    assert.deepEqual(config.image, { kind: "oci", reference: app });
    assert.equal(config.imageDigest, one.manifest.digest);
    assert.deepEqual(config.labels, { maker: "image", version: "2" });
    assert.equal(config.stopSignal, "SIGQUIT");
    assert.equal(config.registry, null);
    assert.equal(
      await output(sandbox, 'id -un; pwd; echo "$GREETING $KEPT $PATH ${MSB_HOME-unset}"; cat version'),
      "sandbox\n/app\nfrom the user yes /.msb/scripts:/app/bin:/bin:/usr/bin:/.msb/bin unset\none",
    );
    assert.equal((await sandbox.execDefault()).stdout(), "entry and cmd\n");
    assert.equal((await sandbox.execDefaultWith((o) => o.arg("more"))).stdout(), "entry and cmd more\n");
    await sandbox.stop();
  },
);

test(
  "ENTRYPOINT and CMD are replaced one by one; without both there is no default",
  { timeout },
  async () => {
    {
      await using sandbox = await builder("default").cmd(["other"]).replace().create();
      assert.equal((await sandbox.execDefault()).stdout(), "entry other\n");
    }
    await using sandbox = await builder("default").entrypoint([]).cmd([]).replace().create();
    await assert.rejects(sandbox.execDefault(), NoDefaultCommandError);
  },
);

test(
  "a tag that moves changes neither a stopped sandbox nor, unless asked, a new one",
  { timeout },
  async () => {
    await push(two, `${app}:latest`);
    assert.equal(await versionIn(Sandbox.start("first")), "one");
    assert.equal(await versionIn(builder("second").create()), "one");
    const events: string[] = [];
    const fresh = builder("third").pullPolicy("always");
    assert.equal(await versionIn(fresh.onPullProgress(({ kind }) => events.push(kind)).create()), "two");
    // The layer that both have is not fetched again.
    const { handle, layers } = await Image.inspect(app);
    assert.equal(handle.manifestDigest, two.manifest.digest);
    assert.deepEqual(
      layers.map(({ diffId }) => diffId),
      two.layers.map(({ diffId }) => diffId),
    );
    await Image.prune();
    assert.equal(await versionIn(Sandbox.start("first")), "one");
    const digest = `${app}@${one.manifest.digest}`;
    assert.equal(await versionIn(builder("pinned").image(digest).create()), "one");
  },
);

test(
  "an image in use is not removed, except by force, and then the sandbox goes on",
  { timeout },
  async () => {
    await assert.rejects(Image.remove(app), (error: unknown) => {
      assert.ok(error instanceof ImageInUseError);
      assert.match(error.message, /third/);
      return true;
    });
    assert.equal((await Image.get(app)).layerCount, 2);
    await Image.remove(app, { force: true });
    await assert.rejects(Image.get(app), ImageNotFoundError);
    assert.equal(await versionIn(Sandbox.start("third")), "two");
  },
);

test("an image that cannot be had leaves nothing new and everything old", { timeout }, async () => {
  assert.equal(await versionIn(builder("old").create()), "two");
  await assert.rejects(builder("old").image(`${app}:other`).replace().create(), ImageError);
  assert.equal(await versionIn(Sandbox.start("old")), "two");

  const creation = await builder("late").image(`${app}:other`).createWithPullProgress();
  const events: string[] = [];
  for await (const { kind } of creation) events.push(kind);
  assert.deepEqual(events, ["resolving"]);
  await assert.rejects(creation.awaitSandbox(), ImageError);
  await leavesNothing("late");
  await assert.rejects(Image.remove("not/here"), ImageNotFoundError);
});

test("without the registry: what is here works, what must be asked for fails", { timeout }, async () => {
  await registry[Symbol.asyncDispose]();
  assert.equal(await versionIn(builder("offline").create()), "two");
  assert.equal(await versionIn(builder("offline").pullPolicy("never").replace().create()), "two");
  await assert.rejects(builder("always").pullPolicy("always").create(), HttpError);
  await leavesNothing("always");
});

test("what is wrong from the start is thrown by createWithPullProgress itself", { timeout }, async () => {
  await assert.rejects(builder("first").createWithPullProgress(), SandboxAlreadyExistsError);
  await assert.rejects(builder("wrong").cpus(0).createWithPullProgress(), InvalidConfigError);
  await assert.rejects(builder("wrong").image("Wrong").createWithPullProgress(), ImageError);
});

test(
  "a sandbox of the embedded image is created with progress too: there is nothing to pull",
  { timeout },
  async () => {
    const creation = await builder("embedded").image("localhost/base").createDetachedWithPullProgress();
    assert.equal(await creation.progress.recv(), null);
    const sandbox = await creation.awaitSandbox();
    assert.equal(sandbox.ownsLifecycle, false);
    assert.equal(sandbox.config.imageDigest, null);
    await sandbox.kill();
  },
);

test("a pull that is aborted leaves no sandbox, and the next one works", { timeout }, async () => {
  const big = image([busybox, await layer({ big: noise(8 << 20) })]);
  await using server = await RegistryServer.start(directory.path);
  const name = `${server.host}/big:1`;
  await push(big, name);
  const abort = new AbortController();
  const creation = builder("aborted")
    .image(name)
    .signal(abort.signal)
    .onPullProgress(({ kind }) => {
      if (kind === "layerDownloadProgress") abort.abort(new Error("enough"));
    });
  await assert.rejects(creation.create(), /enough/);
  await leavesNothing("aborted");
  await assert.rejects(Image.get(name), ImageNotFoundError);
  await using sandbox = await builder("aborted").image(name).create();
  assert.equal(await output(sandbox, "stat -c %s /big"), String(8 << 20));
});

test("images travel in archives", { timeout }, async () => {
  const archive = join(directory.path, "app.tar");
  await assert.rejects(Image.save([app, "not/here"], { outputPath: archive }), ImageNotFoundError);
  await assert.rejects(stat(archive));
  for (const format of ["docker", "oci"] as const) {
    await Image.save(app, { outputPath: archive, format });
    const tag = `loaded/${format}:1`;
    const [handle, ...others] = await Image.load(archive, { tag });
    assert.deepEqual(others, []);
    assert.equal(handle?.reference, `docker.io/${tag}`);
    assert.equal(handle.manifestDigest, two.manifest.digest);
  }
  assert.equal(
    await versionIn(builder("loaded").image("loaded/docker:1").pullPolicy("never").create()),
    "two",
  );
  await writeFile(archive, "no archive");
  await assert.rejects(Image.load(archive), ImageError);
});

test(
  "a prune keeps what sandboxes need and nothing else; without the store a start fails and says so",
  { timeout },
  async () => {
    for (const handle of await Sandbox.list()) {
      if (handle.name !== "loaded") await handle.destroy();
    }
    const report = await Image.prune();
    assert.ok(
      report.imageRefsRemoved >= 2 && report.fsmetaRemoved >= 1 && (report.bytesReclaimed ?? 0) > 8 << 20,
    );
    assert.deepEqual(
      (await Image.list()).map(({ reference }) => reference),
      ["docker.io/loaded/docker:1"],
    );
    assert.equal(await Image.gcLayers(), 0);
    assert.equal(await versionIn(Sandbox.start("loaded")), "two");
    assert.equal((await readdir(join(home, "images", "rootfs"))).length, 1);
    await rm(join(home, "images"), { recursive: true });
    await assert.rejects(Sandbox.start("loaded"), (error: unknown) => {
      assert.ok(error instanceof ImageError, String(error));
      assert.match(error.message, /loaded\/docker:1/);
      return true;
    });
  },
);
