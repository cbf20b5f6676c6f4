import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import {
  Patch,
  PatchFailedError,
  Sandbox,
  SandboxNotFoundError,
  type SandboxBuilder,
} from "../../../src/index.ts";
import { smallMemory } from "../lifecycle-support.ts";
import { busyboxTree } from "../images/root-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots", "disks"];

const home = useTemporaryHome();
/** Nothing but a hole, but so large that it takes long to read. */
const huge = join(home, "huge");

before(async () => {
  await using file = await open(huge, "wx");
  await file.truncate(64 * 1024 * 1024 * 1024);
});

function patched(name: string): SandboxBuilder {
  return Sandbox.builder(name)
    .image("localhost/base")
    .memory(smallMemory)
    .logLevel("debug")
    .patch((p) => p.text("/first", "x").copyFile(huge, "/huge"));
}

/** Resolves when the guest is being patched. @returns the supervisor's process id */
async function isPatching(name: string): Promise<number> {
  const directory = join(home, "sandboxes", name);
  return await eventually("the patches to begin", async () => {
    const log = await readFile(join(directory, "logs/runtime.log"), "utf8").catch(() => "");
    if (!log.includes("patch after")) return null;
    const state = await readFile(join(directory, "state.json"), "utf8");
    // It is written while the machine comes up.
    return (JSON.parse(state) as { supervisor: { pid: number } | null }).supervisor?.pid ?? null;
  });
}

async function isNotThere(name: string): Promise<void> {
  await assert.rejects(Sandbox.get(name), SandboxNotFoundError);
  assert.deepEqual(
    (await Sandbox.list()).filter((handle) => handle.name === name),
    [],
  );
  await eventually("its directory to go", async () =>
    (await readdir(join(home, "sandboxes"))).includes(name) ? null : true,
  );
}

test("a sandbox whose supervisor is killed while it is patched is not there", async () => {
  const creating = patched("killed").createDetached();
  creating.catch(() => undefined);
  process.kill(await isPatching("killed"), "SIGKILL");
  await assert.rejects(creating);
  await isNotThere("killed");
});

test("nor is one whose creation is given up, or whose creator is killed", async () => {
  const controller = new AbortController();
  const creating = patched("given-up").create({ signal: controller.signal });
  creating.catch(() => undefined);
  await isPatching("given-up");
  controller.abort(new Error("enough"));
  await assert.rejects(creating, /enough/);
  await isNotThere("given-up");

  const creator = fork(join(import.meta.dirname, "create-patched.ts"), ["orphaned", huge], {
    stdio: "ignore",
  });
  await isPatching("orphaned");
  creator.kill("SIGKILL");
  await once(creator, "exit");
  await eventually(
    "the sandbox to go",
    async () =>
      await isNotThere("orphaned").then(
        () => true,
        () => null,
      ),
  );
});

test("a directory of the host is changed in place, as the guest would do it", async () => {
  const root = await busyboxTree(join(home, "root"));
  await mkdir(join(root, "srv/old"), { recursive: true });
  await writeFile(join(root, "srv/target"), "old\n");
  const build = (): SandboxBuilder => Sandbox.builder("in-place").image(root).memory(256);
  await using sandbox = await build()
    .patch((p) => p.text("/srv/made/file", "new\n").symlink("target", "/srv/link"))
    .patch((p) => p.text("/srv/link", "through\n", { replace: true }).mkdir("/srv/old", { mode: 0o711 }))
    .patch((p) => p.symlink("/etc/hostname-of-nobody", "/srv/out").append("/srv/target", "more\n"))
    .create();
  assert.equal(await readFile(join(root, "srv/made/file"), "utf8"), "new\n");
  assert.equal(await readFile(join(root, "srv/target"), "utf8"), "through\nmore\n");
  assert.equal((await stat(join(root, "srv/old"))).mode & 0o777, 0o711);
  assert.equal((await sandbox.exec("cat", ["/srv/link"])).stdout(), "through\nmore\n");
  await sandbox.destroy({ force: true });
  await writeFile(join(root, "srv/old/kept"), "kept");
  for (const patch of [
    Patch.text("/srv/target", "x"),
    // No directory of the host's goes unless it is said that it is removed.
    Patch.text("/srv/old", "x", { replace: true }),
    Patch.symlink("x", "/srv/old", { replace: true }),
  ])
    await assert.rejects(build().addPatch(patch).create(), PatchFailedError);
  assert.equal(await readFile(join(root, "srv/old/kept"), "utf8"), "kept");
});
