import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  Image,
  IoError,
  MicrosandboxError,
  Sandbox,
  SandboxNotFoundError,
  Snapshot,
} from "../../../src/index.ts";
import { locateHome } from "../../../src/store/home.ts";
import { stoppedSandbox } from "../../support/stopped-sandbox.ts";
import { processesGone, smallMemory, timeout, withEnvironment } from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots", "disk-full"];

// Full and read-only disks. A small tmpfs stands for them, which only root can mount: of the host, or of a user namespace, in
// which this file runs itself when the user is not root.
useTemporaryHome();
const run = promisify(execFile);
const isLinux = process.platform === "linux";
const isRoot = process.getuid?.() === 0;
const skip = isLinux && isRoot ? false : isLinux ? "run in a user namespace" : "mounting a tmpfs takes Linux";

if (isLinux && !isRoot) {
  test("full and read-only disks, in a user namespace", async () => {
    // Without the variable by which it would take itself for a part of this run.
    const { NODE_TEST_CONTEXT: _context, ...environment } = process.env;
    const node = [process.execPath, "--test", fileURLToPath(import.meta.url)];
    await run("unshare", ["--user", "--map-root-user", "--mount", ...node], { env: environment });
  });
}

/** A home on a file system of its own, unmounted when the test has ended. */
async function smallHome(t: TestContext, size: string): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "msb-disk-"));
  await run("mount", ["-t", "tmpfs", "-o", `size=${size}`, "msb-test", home]);
  t.after(async () => {
    await withEnvironment({ MSB_HOME: home }, async () => {
      for (const handle of await Sandbox.list()) await handle.kill();
    });
    await mounting("umount", home);
    await rm(home, { recursive: true });
  });
  return home;
}

/** A process that has ended for all who look may keep its files open a moment longer. */
async function mounting(program: string, ...parameters: string[]): Promise<void> {
  await eventually(`${program} ${parameters.join(" ")}`, () =>
    run(program, parameters).then(
      () => true,
      () => null,
    ),
  );
}

const create = (name: string): Promise<Sandbox> =>
  Sandbox.create({ name, image: "localhost/base", memoryMib: smallMemory });

async function fails(attempt: Promise<unknown>, hint: RegExp): Promise<void> {
  await assert.rejects(attempt, (error) => {
    assert.ok(error instanceof IoError, String(error));
    assert.match(error.hint, hint);
    // Said once, by who met it.
    assert.ok(!(error.cause instanceof MicrosandboxError), String(error.cause));
    return true;
  });
}

for (const size of ["8k", "24k", "64k", "256k"]) {
  test(`create with ${size} of disk: refused, nothing left`, { timeout, skip }, async (t) => {
    const home = await smallHome(t, size);
    await withEnvironment({ MSB_HOME: home }, async () => {
      await fails(create("full"), /disk is full/);
      await processesGone(home);
      await assert.rejects(Sandbox.get("full"), SandboxNotFoundError);
      assert.deepEqual([...(await Sandbox.list())], []);
      assert.deepEqual(await readdir(join(home, "sandboxes")).catch(() => []), []);
    });
  });
}

test(
  "the disk fills up while the guest writes: it is held, nothing is lost",
  { timeout, skip },
  async (t) => {
    const home = await smallHome(t, "24m");
    await withEnvironment({ MSB_HOME: home }, async () => {
      const notices: string[] = [];
      const sandbox = await Sandbox.builder("filling")
        .image("localhost/base")
        .memory(smallMemory)
        .onNotice((notice) => notices.push(notice))
        .create();
      assert.equal((await sandbox.metrics()).hostDiskFull, false);
      const writing = sandbox.shell(
        "dd if=/dev/urandom of=/root/big bs=256k count=128 conv=fsync && sync && md5sum /root/big && " +
          "echo 3 > /proc/sys/vm/drop_caches && md5sum /root/big",
      );
      const isFull = (full: boolean): Promise<true> =>
        eventually(`a disk that is ${full ? "full" : "not full"}`, async () =>
          (await sandbox.metrics()).hostDiskFull === full ? true : null,
        );
      await isFull(true);
      const [notice = "", ...others] = notices;
      assert.match(notice, /disk is full .*held until there is space/);
      assert.deepEqual(others, []);
      const logged = async (): Promise<string> => {
        const entries = await (await Sandbox.get("filling")).logs({ sources: ["system"] });
        return entries.map((entry) => entry.text()).join("");
      };
      // With space, all that was written is there, and no program has met an error.
      await mounting("mount", "-o", "remount,size=80m", home);
      const written = await writing;
      assert.equal(written.code, 0, written.stderr());
      const [first = "", second] = written.stdout().trim().split("\n");
      assert.match(first, /^[0-9a-f]{32} /);
      assert.equal(second, first);
      await isFull(false);
      assert.match(await logged(), /ERROR the host's disk was full for \d+ s: /);

      // One that is held can be stopped all the same, while a command waits for pages to be written that never will be.
      await sandbox.execStream("sh", ["-c", "cat /dev/zero | tr '\\0' x > /root/more"]);
      await isFull(true);
      await sandbox.stopWithTimeout(1000);
      await processesGone(home);
      const handle = await Sandbox.get("filling");
      assert.equal(handle.status, "stopped");
      assert.equal((await handle.waitUntilStopped()).source, "a client asked for it");
      await handle.remove();
      // With the space back, all is well.
      const again = await create("filling");
      assert.equal((await again.exec("echo", ["hi"])).stdout(), "hi\n");
      await again.destroy();
    });
  },
);

test("a home that became read-only", { timeout, skip }, async (t) => {
  const home = await smallHome(t, "64m");
  await withEnvironment({ MSB_HOME: home }, async () => {
    await (await create("kept")).stop();
    await mounting("mount", "-o", "remount,bind,ro", home);
    await fails(create("new"), /read-only/);
    await fails(Sandbox.start("kept"), /read-only/);
    await fails(Image.load(import.meta.filename), /read-only/);
    await fails(Sandbox.remove("kept"), /read-only/);
    assert.equal((await Sandbox.get("kept")).status, "stopped");
    assert.equal((await Sandbox.list()).length, 1);
    assert.ok((await (await Sandbox.get("kept")).logs({ sources: ["system"] })).length > 0);
    await mounting("mount", "-o", "remount,bind,rw", home);
    const again = await Sandbox.start("kept");
    assert.equal((await again.exec("echo", ["hi"])).stdout(), "hi\n");
    await again.destroy();
  });
});

test("a fresh home on a read-only disk", { timeout, skip }, async (t) => {
  const mount = await smallHome(t, "1m");
  await mkdir(join(mount, "empty"));
  await mounting("mount", "-o", "remount,bind,ro", mount);
  for (const home of [join(mount, "empty"), join(mount, "missing")]) {
    await withEnvironment({ MSB_HOME: home }, async () => {
      await fails(create("new"), /read-only/);
      assert.deepEqual([...(await Sandbox.list())], []);
    });
  }
});

test("a running sandbox on a disk that has no room for its copy goes on", { timeout, skip }, async (t) => {
  const home = await smallHome(t, "72m");
  await withEnvironment({ MSB_HOME: home, MSB_TEMPLATES: "off" }, async () => {
    const sandbox = await create("whole");
    const filled = await sandbox.shell("dd if=/dev/urandom of=/root/data bs=1M count=45 && sync");
    assert.equal(filled.code, 0, filled.stderr());
    for (const flush of ["auto", "skip"] as const) {
      const take = Snapshot.builder("copy").fromSandbox("whole").guestFlush(flush);
      await fails(take.create(), /disk is full/);
      assert.deepEqual(await readdir(join(home, "snapshots")), []);
      const written = await sandbox.shell("echo on > /root/file; sync; cat /root/file");
      assert.equal(written.stdout(), "on\n");
    }
    await sandbox.stop();
  });
});

// Three pages of disk, and one for what is said of it.
for (const [size, fits] of [
  ["4k", false],
  ["12k", false],
  ["64k", true],
] as const) {
  test(`snapshots on a disk of ${size}`, { timeout, skip }, async (t) => {
    const place = await smallHome(t, size);
    const archive = join(locateHome().root, `full-${size}.tar`);
    await stoppedSandbox(locateHome(), `full-${size}`);
    const take = (): Promise<unknown> =>
      Snapshot.builder("full").fromSandbox(`full-${size}`).destDir(place).create();
    if (fits) {
      await take();
      assert.deepEqual(await readdir(place), ["full"]);
      return;
    }
    await fails(take(), /disk is full/);
    assert.deepEqual(await readdir(place), []);
    await Snapshot.builder("whole").fromSandbox(`full-${size}`).force().create();
    await Snapshot.save("whole", archive, { plainTar: true });
    await fails(Snapshot.load(archive, place), /disk is full/);
    assert.deepEqual(await readdir(place), []);
    await fails(Snapshot.save("whole", join(place, "archive.tar"), { plainTar: true }), /full/);
    assert.deepEqual(await readdir(place), []);
  });
}
