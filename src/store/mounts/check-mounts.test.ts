import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Mount, mountFromConfig, type MountConfig } from "../../config/mounts/mount-config.ts";
import type { RootfsSource } from "../../config/rootfs-source.ts";
import { checkVolumeConfig } from "../../config/volumes/volume-config.ts";
import { InvalidConfigError, VolumeAlreadyExistsError, VolumeNotFoundError } from "../../errors/index.ts";
import { locateHome } from "../home.ts";
import { createVolume } from "../volumes/volumes.ts";
import { checkMounts, type CheckedMounts } from "./check-mounts.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-check-"));
const home = locateHome({ MSB_HOME: join(directory, "home") });
const tree = join(directory, "tree");
const file = join(directory, "file");
before(async () => {
  chmodSync(directory, 0o755);
  mkdirSync(join(tree, "sub/inner"), { recursive: true });
  writeFileSync(join(tree, "file"), "");
  writeFileSync(file, "");
  symlinkSync("sub", join(tree, "link"));
  symlinkSync(tree, join(directory, "to-tree"));
  await createVolume(home, checkVolumeConfig({ name: "dir", quotaMib: 5 }));
  await createVolume(home, checkVolumeConfig({ name: "disk", kind: "disk", sizeMib: 16 }));
});
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

const oci: RootfsSource = { kind: "oci", reference: "localhost/base" };

type Mounts = Readonly<Record<string, MountConfig>>;

async function check(mounts: Mounts, image = oci): Promise<CheckedMounts> {
  const all = Object.entries(mounts).map(([guest, config]) => mountFromConfig(guest, config));
  return await checkMounts(home, { image, mounts: all });
}

async function refused(mounts: Mounts, why: RegExp, image = oci): Promise<void> {
  await assert.rejects(check(mounts, image), (error) => {
    assert.ok(error instanceof InvalidConfigError, String(error));
    assert.match(error.message, why);
    assert.notEqual(error.hint, "");
    return true;
  });
}

for (const path of ["/proc", "/proc/sys/kernel", "/proc/self/status", "/sys", "/dev/pts"]) {
  test(`${path} is not given to a guest`, async () => {
    await refused({ "/a": Mount.bind(path) }, /part of the system itself/);
  });
}

test("nor is what is not there, or is neither a directory nor a file", async () => {
  await refused({ "/a": Mount.bind("/no/such") }, /is not there/);
  await refused({ "/a": Mount.bind(`${file}/x`) }, /cannot be read/);
  await refused({ "/a": Mount.bind(`${file}/`) }, /is a file/);
  await refused({ "/a": Mount.bind("/dev/null") }, /neither a directory nor a file/);
  await refused({ "/a": Mount.bind(join(directory, "to-tree")) }, /symbolic link/);
  // With what may be in it.
  const { mounts } = await check({ "/a": Mount.bind("/"), "/b": Mount.bind(file) });
  assert.equal(mounts.length, 2);
});

test("what this user may not read is told before anything starts", async () => {
  const closed = join(directory, "closed");
  const pass = join(directory, "pass");
  const secret = join(directory, "secret");
  mkdirSync(closed, { mode: 0o700 });
  mkdirSync(pass);
  chmodSync(pass, 0o744);
  writeFileSync(secret, "", { mode: 0o600 });
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65534);
  else for (const path of [closed, secret]) chmodSync(path, 0);
  try {
    for (const path of isRoot ? [closed, pass, secret] : [closed, secret])
      await refused({ "/a": Mount.bind(path) }, /cannot be read by this user/);
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test("what is for directories is refused for a volume that is a disk", async () => {
  for (const [options, name] of [
    [{ statVirtualization: "off" }, "statVirtualization"],
    [{ hostPermissions: "mirror" }, "hostPermissions"],
    [{ owner: { uid: 1, gid: 1 } }, "owner"],
  ] as const)
    await refused({ "/a": Mount.named("disk", options) }, new RegExp(`${name} has no meaning .* is a disk`));
  await check({ "/a": Mount.named("dir", { statVirtualization: "off" }) });
});

test("a disk is mounted once, whatever it is called", async () => {
  const image = join(home.volumes, "disk/disk.raw");
  const byName = Mount.named("disk");
  const byPath = Mount.disk(image, { readonly: true });
  await refused({ "/a": byName, "/b": byPath }, /both the mount at \/a and the mount at \/b/);
  await refused({ "/a": byPath, "/b": byName }, /both the mount at \/a and the mount at \/b/);
  await refused({ "/a": byName, "/b": byName }, /both the mount at/);
  const root: RootfsSource = { kind: "disk", path: image, format: "raw" };
  await refused({ "/a": byName }, /both the root and the mount at \/a/, root);
  const made = Mount.named("new", { mode: "ensure-exists", kind: "disk", sizeMib: 16 });
  await refused({ "/a": made, "/b": made }, /both the mount at/);
});

test("mounts of one volume that is to be made have to agree", async () => {
  const ensure = Mount.named("new", { mode: "ensure-exists" });
  const create = Mount.named("new", { mode: "create", quotaMib: 5 });
  const disk = Mount.named("new", { mode: "ensure-exists", kind: "disk", sizeMib: 16 });
  const quota = Mount.named("new", { mode: "ensure-exists", quotaMib: 6 } as never);
  await refused({ "/a": ensure, "/b": disk }, /made for \/a, but not as \/b .* kind is dir, not disk/);
  await refused({ "/a": create, "/b": quota }, /quota in MiB is 5, not 6/);
  await refused({ "/a": create, "/b": create }, /made for both \/a and \/b/);
  const { missing } = await check({ "/a": create, "/b": ensure });
  assert.deepEqual(
    missing.map(({ name, quotaMib }) => [name, quotaMib]),
    [["new", 5]],
  );
  await assert.rejects(check({ "/a": create, "/b": Mount.named("new") }), VolumeNotFoundError);
  await assert.rejects(check({ "/a": Mount.named("dir", { mode: "create" }) }), VolumeAlreadyExistsError);
  await refused({ "/a": Mount.named("dir", { quotaMib: 6 }) }, /is there, but not as .* is 5, not 6/);
});

test("a place within what is read-only has to be there", async () => {
  const readOnly = Mount.bind(tree, { readonly: true });
  const within: readonly (readonly [string, MountConfig, RegExp | null])[] = [
    ["/a/sub/inner", Mount.tmpfs(), null],
    ["/a/file", Mount.bind(file), null],
    // The guest's to follow.
    ["/a/link/x", Mount.tmpfs(), null],
    ["/a/new", Mount.tmpfs(), /no such place .* at \/a, which is read-only/],
    ["/a/sub/new/x", Mount.named("dir"), /no such place/],
    ["/a/new", Mount.bind(file), /no such place/],
    ["/a/file", Mount.tmpfs(), /is no directory/],
    ["/a/file/x", Mount.tmpfs(), /is no directory/],
    ["/a/sub", Mount.bind(file), /is no file/],
  ];
  for (const [guest, inner, why] of within) {
    const mounts = { [guest]: inner, "/a": readOnly };
    if (why === null) await check(mounts);
    else await refused(mounts, why);
  }
  // What is made in it then.
  await check({ "/a/new/x": Mount.tmpfs(), "/a": Mount.bind(tree) });
  await check({
    "/a/new/x": Mount.tmpfs(),
    "/a/new": Mount.tmpfs({ readonly: true }),
    "/a": Mount.bind(tree),
  });
  await refused({ "/a/file/x": Mount.tmpfs(), "/a": Mount.bind(tree) }, /is no directory/);
  await refused({ "/a/x": Mount.tmpfs(), "/a": Mount.bind(file) }, /is a file/);
  const made = Mount.named("new", { mode: "create", readonly: true });
  await refused({ "/a/x": Mount.tmpfs(), "/a": made }, /no such place/);
});
