import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { buildGuest } from "./build.ts";
import { guestFiles, readManifest, type Manifest } from "./manifest.ts";
import { hostTarget } from "./target.ts";
import { sha256File } from "./tools.ts";

// Uses what `npm run build` left in guest/.cache; without it, the packages are fetched and unpacked first.

let directory = "";
let agent = "";
let output = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "guest-"));
  agent = join(directory, "agent");
  output = join(directory, "out/guest");
  await writeAgent("1.2.3");
});
after(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function writeAgent(version: string): Promise<void> {
  await writeFile(agent, `#!/bin/sh\necho ${version}\n`, { mode: 0o755 });
}

async function build(): Promise<boolean> {
  return await buildGuest(hostTarget(), agent, output);
}

async function manifest(): Promise<Manifest> {
  const found = await readManifest(output);
  assert.ok(found);
  return found;
}

test("a guest is made once, and its manifest tells the truth about every file", async () => {
  assert.equal(await build(), true);
  const first = await manifest();
  assert.equal(first.agentVersion, "1.2.3");
  assert.match(first.kernelRelease, /^\d+\.\d+\.\d+/);
  for (const name of guestFiles) {
    assert.equal(await sha256File(join(output, name)), first.files[name].sha256, name);
  }
  const { mtimeMs } = await stat(join(output, "initramfs.cpio"));
  assert.equal(await build(), false);
  assert.equal((await stat(join(output, "initramfs.cpio"))).mtimeMs, mtimeMs);
});

test("another agent changes the archives and nothing else", async () => {
  const before = await manifest();
  await writeAgent("1.2.4");
  assert.equal(await build(), true);
  const after = await manifest();
  const changed = guestFiles.filter((name) => after.files[name].sha256 !== before.files[name].sha256);
  assert.deepEqual(changed, ["initramfs.cpio", "agent.cpio", "agent"]);
  const archive = await readFile(join(output, "initramfs.cpio"));
  assert.ok(archive.includes(await readFile(agent)));
  assert.ok(archive.includes(`lib/modules/${after.kernelRelease}/virtio_blk.ko`));
  assert.ok(!(await readFile(join(output, "agent.cpio"))).includes("virtio_blk.ko"));
});

test("a damaged or unfinished guest does not count as made", async () => {
  await appendFile(join(output, "initramfs.cpio"), "x");
  assert.equal(await readManifest(output), undefined);
  assert.equal(await build(), true);
  await rm(join(output, "agent.cpio"));
  assert.equal(await build(), true);
  assert.equal(await build(), false);
});
