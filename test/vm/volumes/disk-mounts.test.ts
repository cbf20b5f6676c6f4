import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { run } from "../../../guest/tools.ts";
import { importDirectory } from "../../../src/image/import/directory.ts";
import { defaultImportLimits } from "../../../src/image/import/limits.ts";
import {
  BootStartError,
  InvalidConfigError,
  Mount,
  Sandbox,
  Volume,
  VolumeAlreadyExistsError,
  VolumeNotFoundError,
  type MountBuilder,
  type SandboxBuilder,
} from "../../../src/index.ts";
import { MsbHome } from "../cli/cli-support.ts";
import { assertClean, busyboxTree, convert, diskOf, emptyDisk, output } from "../images/root-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running", "disks"];

const home = useTemporaryHome();
const at = (name: string): string => join(home, name);

const small = (name: string): SandboxBuilder => Sandbox.builder(name).image("localhost/base").memory(256);
const digestOf = async (path: string): Promise<string> =>
  createHash("sha256")
    .update(await readFile(path))
    .digest("hex");

/** With one of each kind, the nested ones named first. */
let sandbox: Sandbox;
before(async () => {
  await mkdir(at("content/tools"), { recursive: true });
  await writeFile(at("content/file"), "from the host\n");
  await writeFile(at("content/tools/tool"), "#!/bin/sh\necho ran\n", { mode: 0o755 });
  await diskOf(at("content"), at("ext4, with a comma.raw"), "ext4", 16);
  await copyFile(at("ext4, with a comma.raw"), at("locked.raw"));
  await convert(at("locked.raw"), at("written.qcow2"), "qcow2");
  const owner = (): { uid: number; gid: number } => ({ uid: 0, gid: 0 });
  await importDirectory(at("content"), at("erofs.raw"), defaultImportLimits, { owner, seconds: 0 });
  sandbox = await small("mounts")
    .volume("/data/inner/", (m) => m.tmpfs().size(8).noexec())
    .volume("/made/for/../ro", (m) => m.disk(at("ext4, with a comma.raw")).readonly())
    .volume("/frozen/within", (m) => m.disk(at("erofs.raw")).readonly().nosuid().nodev())
    .volume("/frozen", (m) => m.tmpfs().readonly())
    .volume("/data", (m) => m.namedWith("data", "ensure-exists", "disk", 100))
    .volume("/srv/qcow", (m) => m.disk(at("written.qcow2")).fstype("ext4"))
    .create();
});

test("each is mounted at its place, enclosing ones first, from a template like others", async () => {
  const lines = (
    await output(sandbox, "cut -d' ' -f2,3,4 /proc/mounts | grep -E '^/(data|made|frozen|srv)'")
  ).split("\n");
  const mounted = new Map(lines.map((line) => [line.split(" ")[0], line]));
  assert.match(mounted.get("/data") ?? "", / ext4 rw,/);
  assert.match(mounted.get("/data/inner") ?? "", / tmpfs rw,noexec,.*size=8192k/);
  assert.match(mounted.get("/made/ro") ?? "", / ext4 ro,/);
  assert.match(mounted.get("/srv/qcow") ?? "", / ext4 rw,/);
  assert.match(mounted.get("/frozen") ?? "", / tmpfs ro,/);
  assert.match(mounted.get("/frozen/within") ?? "", / erofs ro,nosuid,nodev,/);
  assert.equal(
    await output(sandbox, "cat /made/ro/file /frozen/within/file"),
    "from the host\nfrom the host",
  );
  assert.equal(await output(sandbox, "/made/ro/tools/tool"), "ran");
  assert.notEqual(sandbox.startReport?.route, "cold");
});

test("the file system of a named disk fills it, and it takes what was written", async () => {
  const mebibytes = Number(await output(sandbox, "df -m /data | awk 'END { print $2 }'"));
  assert.ok(mebibytes > 85 && mebibytes <= 100, String(mebibytes));
  const before = (await Volume.get("data")).usedBytes;
  await output(sandbox, "head -c 5000000 /dev/urandom > /data/filled; sync");
  const after = (await Volume.get("data")).usedBytes;
  assert.ok(after - before >= 5_000_000 && after < 40_000_000, `${before} ${after}`);
});

test("memory takes no more than was said", async () => {
  const full = await sandbox.shell(
    "dd if=/dev/zero of=/data/inner/f bs=1M count=20; ls -l /data/inner/f | awk '{ print $5 }'; rm /data/inner/f",
  );
  assert.match(full.stderr(), /No space left/);
  assert.ok(Number(full.stdout()) <= 8 * 1024 * 1024);
});

test("flags hold: nothing is run, no device is opened", async () => {
  const tried = await sandbox.shell(
    "printf '#!/bin/sh\\necho ran\\n' > /data/inner/s; chmod +x /data/inner/s; /data/inner/s; sh /data/inner/s",
  );
  assert.match(tried.stderr(), /Permission denied/);
  assert.equal(tried.stdout(), "ran\n");
});

test("root in the guest cannot write what is read-only: the image stays as it is, byte for byte", async () => {
  const before = [await digestOf(at("ext4, with a comma.raw")), await digestOf(at("erofs.raw"))];
  const attack = await sandbox.shell(`
    mount -o remount,rw /made/ro; mount -o remount,rw /frozen/within
    echo x > /made/ro/file; rm -rf /made/ro/tools
    for place in /made/ro /frozen/within; do
      device=$(awk -v place=$place '$2 == place { print $1 }' /proc/mounts)
      echo 0 > /sys/block/\${device#/dev/}/ro
      blockdev --setrw $device 2>/dev/null
      dd if=/dev/zero of=$device bs=4096 count=64 conv=fsync 2>&1 && echo "wrote to $device"
    done
    umount /made/ro && mount -t ext4 -o rw $(blkid -t LABEL= 2>/dev/null) /made/ro
    sync; echo 3 > /proc/sys/vm/drop_caches; true`);
  assert.doesNotMatch(attack.stdout(), /wrote to/, attack.stdout());
  assert.deepEqual([await digestOf(at("ext4, with a comma.raw")), await digestOf(at("erofs.raw"))], before);
});

test("it is there after a stop and a start, with the same mounts; what was in memory is gone", async () => {
  await output(sandbox, "echo kept > /data/kept; echo kept > /srv/qcow/kept; echo lost > /data/inner/lost");
  await sandbox.stop();
  await assertClean(join((await Volume.get("data")).path, "disk.raw"));
  sandbox = await Sandbox.start("mounts");
  assert.equal(await output(sandbox, "cat /data/kept /srv/qcow/kept; ls /data/inner"), "kept\nkept");
  await sandbox.stop();
  await convertBack();
  assert.equal((await run("debugfs", ["-R", "cat /kept", at("back.raw")])).toString(), "kept\n");
});

async function convertBack(): Promise<void> {
  await run("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", at("written.qcow2"), at("back.raw")]);
}

/** What a creation fails with; nothing may be left of it. */
async function refused(name: string, builder: SandboxBuilder): Promise<Error> {
  const error: unknown = await builder.create().then(
    async (made) => {
      await made.kill();
      return null;
    },
    (failure: unknown) => failure,
  );
  assert.ok(error instanceof Error, "it was created");
  if (!(error instanceof BootStartError))
    assert.ok(!(await readdir(at("sandboxes"))).includes(name), "something is left of it");
  return error;
}

test("one at a time writes a disk, or several read it; the others are told before anything starts", async () => {
  const locked =
    (how: (m: MountBuilder) => MountBuilder) =>
    (m: MountBuilder): MountBuilder =>
      how(m.disk(at("locked.raw")));
  const data =
    (how: (m: MountBuilder) => MountBuilder) =>
    (m: MountBuilder): MountBuilder =>
      how(m.named("data"));
  const same = (m: MountBuilder): MountBuilder => m;
  const readonly = (m: MountBuilder): MountBuilder => m.readonly();
  const first = await small("first").volume("/l", locked(same)).volume("/d", data(readonly)).create();
  for (const mount of [locked(same), locked(readonly), data(same)]) {
    const error = await refused("second", small("second").volume("/x", mount));
    assert.ok(error instanceof InvalidConfigError, String(error));
    assert.match(error.message, /is in use/);
  }
  assert.match(
    (await refused("second", Sandbox.builder("second").image(at("locked.raw")))).message,
    /is in use/,
  );
  const reader = await small("reader").volume("/d", data(readonly)).create();
  assert.equal(await output(reader, "cat /d/kept"), "kept");
  await assert.rejects(Volume.remove("data"), /in use by a sandbox that runs/);
  await reader.kill();
  await assert.rejects(Volume.remove("data"), /in use by a sandbox that runs/);
  // What holds them ends with its process, however that ends.
  const state = JSON.parse(await readFile(at("sandboxes/first/state.json"), "utf8")) as {
    supervisor: { pid: number };
  };
  process.kill(state.supervisor.pid, "SIGKILL");
  await eventually("the end of the killed one", async () =>
    (await Sandbox.get("first")).status === "crashed" ? true : null,
  );
  const next = await eventually("the disks", async () =>
    small("next")
      .volume("/l", locked(same))
      .volume("/d", data(same))
      .create()
      .catch((error: unknown) => {
        assert.match(String(error), /is in use/);
        return null;
      }),
  );
  assert.equal(await output(next, "cat /d/kept /l/file"), "kept\nfrom the host");
  await first.kill().catch(() => undefined);
  // Replacing one that has them takes them over.
  const replaced = await small("next").volume("/l", locked(same)).replace().create();
  await replaced.stop();
});

test("what cannot be mounted is told, and nothing is left", async () => {
  const twice = (m: MountBuilder): MountBuilder => m.disk(at("locked.raw"));
  await symlink(at("locked.raw"), at("also.raw"));
  const two = small("wrong")
    .volume("/a", twice)
    .volume("/b", (m) => m.disk(at("also.raw")).readonly());
  assert.match((await refused("wrong", two)).message, /is both the mount at \/a and the mount at \/b/);
  const root = Sandbox.builder("wrong").image(at("locked.raw")).volume("/a", twice);
  assert.match((await refused("wrong", root)).message, /is both the root and the mount at \/a/);
  assert.ok(
    (await refused(
      "wrong",
      small("wrong").volume("/a", (m) => m.disk(at("nothing.raw"))),
    )) instanceof InvalidConfigError,
  );
  assert.ok(
    (await refused(
      "wrong",
      small("wrong").volume("/a", (m) => m.disk(home)),
    )) instanceof InvalidConfigError,
  );
  assert.ok(
    (await refused(
      "wrong",
      small("wrong").volume("/a", (m) => m.disk(at("written.qcow2")).format("vmdk")),
    )) instanceof InvalidConfigError,
  );
  assert.ok(
    (await refused(
      "wrong",
      small("wrong").volume("/a", (m) => m.named("nothing")),
    )) instanceof VolumeNotFoundError,
  );
  const create = small("wrong").volume("/a", (m) => m.namedWith("data", "create", "disk", 16));
  assert.ok((await refused("wrong", create)) instanceof VolumeAlreadyExistsError);
  const other = small("wrong").volume("/a", (m) => m.namedWith("data", "ensure-exists", "disk", 50));
  assert.match((await refused("wrong", other)).message, /size in MiB is 100, not 50/);
  const blank = await emptyDisk(at("blank.raw"), 4);
  const none = small("wrong")
    .volume("/a", (m) => m.disk(blank))
    .volume("/n", (m) => m.namedWith("fresh", "create", "disk", 16));
  const unknown = await refused("wrong", none);
  assert.ok(unknown instanceof BootStartError && unknown.stage === "mount", String(unknown));
  assert.match(unknown.message, /the disk at \/a: it holds no file system/);
  await assert.rejects(Volume.get("fresh"), VolumeNotFoundError, "what was made for it goes with it");
  assert.ok(!(await readdir(at("sandboxes"))).includes("wrong"));
  const file = small("wrong").volume("/etc/passwd/x", (m) => m.tmpfs());
  const inFile = await refused("wrong", file);
  assert.ok(inFile instanceof BootStartError && inFile.stage === "mount", String(inFile));
  await Sandbox.remove("wrong");
});

test("a disk that is gone when the sandbox starts again is told before anything starts", async () => {
  await rename(at("locked.raw"), at("moved.raw"));
  const error: unknown = await Sandbox.start("next").catch((failure: unknown) => failure);
  assert.ok(error instanceof InvalidConfigError, String(error));
  assert.match(error.message, /there is no disk image .*locked\.raw/);
  await rename(at("moved.raw"), at("locked.raw"));
  const again = await Sandbox.start("next");
  await again.stop();
});

test("disks go beside a root that is a directory of the host, and one in memory", async () => {
  await busyboxTree(at("tree"));
  const bound = await Sandbox.create({
    ...{ name: "bound", image: at("tree"), memoryMib: 256 },
    volumes: { "/data": Mount.named("data"), "/m": Mount.tmpfs({ sizeMib: 4, readonly: true }) },
  });
  assert.equal(
    await output(bound, "cat /data/kept; touch /m/x 2>&1; true"),
    "kept\ntouch: /m/x: Read-only file system",
  );
  await bound.stop();
  assert.deepEqual(await readdir(join(at("tree"), "data")), []);
  const inMemory = await small("in-memory")
    .rootDisk((d) => d.tmpfs())
    .volume("/data", (m) => m.named("data").readonly())
    .create();
  assert.equal(await output(inMemory, "cat /data/kept"), "kept");
  await inMemory.kill();
});

test("the command line: short, long, and named volumes that it makes", async () => {
  await using msb = new MsbHome();
  await copyFile(at("erofs.raw"), join(msb.path, "a:b, c.raw"));
  const disk = `type=disk,"source=${join(msb.path, "a:b, c.raw")}",target=/cfg,readonly`;
  const script = "cat /cfg/file; echo new > /n/file; df -m /t | awk 'END { print $2 }'";
  const args = [
    "-m",
    "256M",
    "-v",
    "fresh:/n:kind=disk,size=16M,nosuid",
    "--mount",
    disk,
    "--tmpfs",
    "/t:size=4m,noexec",
  ];
  const first = await msb.start(["run", ...args, "--", "sh", "-c", script]).result;
  assert.equal(first.stdout, "from the host\n4\n", first.stderr);
  const listed = await msb.start(["volume", "ls", "-q"]).result;
  assert.equal(listed.stdout, "fresh\n");
  const named = ["create", "-n", "keeper", "-m", "256M", "--mount-named", "fresh:/n:ro", "-q"];
  assert.equal((await msb.start(named).result).code, 0);
  const shown = await msb.start(["inspect", "keeper"]).result;
  assert.match(shown.stdout, /^Mounts: +\/n → fresh \(ro, volume\)$/m);
  assert.equal((await msb.start(["exec", "keeper", "--", "cat", "/n/file"]).result).stdout, "new\n");
  assert.equal((await msb.start(["volume", "rm", "fresh"]).result).code, 1);
  await msb.start(["stop", "-f", "keeper"]).result;
  // A stopped one keeps it from being pruned, not from being removed.
  await msb.start(["volume", "prune", "-y", "-q"]).result;
  assert.equal((await msb.start(["volume", "ls", "-q"]).result).stdout, "fresh\n");
  await msb.start(["rm", "-f", "keeper"]).result;
  assert.match((await msb.start(["volume", "prune", "-y", "--format", "json"]).result).stdout, /"fresh"/);
});
