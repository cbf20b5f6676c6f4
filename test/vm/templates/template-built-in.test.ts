import assert from "node:assert/strict";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, before, test } from "node:test";
import { Sandbox, type SandboxConfig } from "../../../src/index.ts";
import { guestDirectory } from "../../../src/host/package-files.ts";
import { processesGone, timeout } from "../lifecycle-support.ts";
import { busyboxTree, diskOf, output } from "../images/root-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { destroy, runtimeLog, small, templateOf } from "./template-support.ts";

export const needs: Needs = ["template", "disks"];

// A kernel of the user's whose driver for disks is there from the boot on, and takes all of them before anybody knows what
// will be behind them. Here it is the package's kernel, with that driver's module under the name of one that the agent loads at
// its very beginning.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
const kernel = join(home, "kernel");

before(async () => {
  const guest = guestDirectory();
  await symlink(join(guest, "vmlinux"), kernel);
  const modules = await readFile(join(guest, "initramfs.cpio"));
  const rename = (from: string, to: string): void => {
    const at = modules.indexOf(`/${from}.ko\0`);
    assert.ok(at > 0, from);
    modules.write(to, at + 1, "latin1");
  };
  rename("virtio_net", "virtio_not");
  rename("virtio_blk", "virtio_net");
  await writeFile(`${kernel}.initramfs`, modules);
});

afterEach(() => processesGone(home));

/** What a guest has of the disks that it was given; all that there is of the others is their place. */
const disks = "cd /sys/block; ls -d vd*; df -m / | awk 'END { print $2 }'";

async function restored(name: string, changes: Partial<SandboxConfig>): Promise<Sandbox> {
  // The driver of the network card is not there any more.
  const sandbox = await small(name, { libkrunfwPath: kernel, disableNetwork: true, ...changes });
  const log = await runtimeLog(home, name);
  assert.match(
    log,
    new RegExp(`started from the machine template ${(await templateOf(home, "machine")).key}`),
  );
  assert.doesNotMatch(log, /WARN/);
  return sandbox;
}

test("one machine template is for roots of every kind and size", { timeout }, async () => {
  const first = await restored("first", {});
  const [one, another, size] = (await output(first, disks)).split("\n");
  assert.deepEqual([one, another], ["vda", "vdb"]);
  assert.ok(Number(size) > 3500 && Number(size) <= 4096, size);
  await destroy(first);

  const large = await restored("large", { rootDisk: { kind: "managed", sizeMib: 8192 } });
  assert.ok(Number((await output(large, disks)).split("\n")[2]) > 7000);
  await output(large, "echo kept > /root/kept; sync");
  await large.stop();
  const again = await Sandbox.start("large");
  assert.match(
    (await runtimeLog(home, "large")).split("started from the").at(-1) ?? "",
    /^ machine template/,
  );
  assert.equal(await output(again, "cat /root/kept"), "kept");
  await destroy(again);

  // A disk that can be written, where there was one that cannot.
  const tree = await busyboxTree(join(home, "tree"));
  const path = await diskOf(tree, join(home, "disk.raw"), "ext4", 96);
  const own = await restored("own", { image: { kind: "disk", path, format: "raw" } });
  const [only, ownSize] = (await output(own, disks)).split("\n");
  assert.equal(only, "vda");
  assert.ok(Number(ownSize) > 64 && Number(ownSize) <= 96, ownSize);
  assert.equal(await output(own, "echo text > /written; sync; cat /written"), "text");
  await destroy(own);

  const bound = await restored("bound", { image: { kind: "bind", path: tree } });
  assert.equal(await output(bound, "ls -d /sys/block/vd* 2>/dev/null; hostname"), "bound");
  await destroy(bound);
});

test("a kernel without a driver for the network card is told what it lacks", { timeout }, async () => {
  await assert.rejects(small("without-driver", { libkrunfwPath: kernel }), /no driver for its network card/);
});
