import assert from "node:assert/strict";
import { access, mkdir, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { run } from "../../../guest/tools.ts";
import { findQemu } from "../../../src/machine/qemu/qemu-binary.ts";
import { Machine } from "../../../src/machine/machine.ts";
import { measureTscKhz } from "../../../src/machine/accelerator/tsc.ts";
import { resolveKernel } from "../../../src/machine/kernel/kernel.ts";
import type { Disk, MachineSpec, Share } from "../../../src/machine/types.ts";
import { guestDirectory } from "../../../src/host/package-files.ts";
import { unpackExtents } from "../../../src/host/files/extents.ts";
import { timeout } from "../lifecycle-support.ts";
import { Agent } from "../machine/machine-agent.ts";
import { convert, diskOf } from "../images/root-support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["machine", "disks"];

// A machine is saved with nothing behind its slots for disks and shared directories, and restored with all of them in use.
const memoryMib = 256;
const guest = guestDirectory();
let directory = "";

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-slots-"));
});

after(() => rm(directory, { recursive: true }));

async function machineStarter(
  t: TestContext,
): Promise<(changes: Partial<MachineSpec>, stateFd?: number) => Machine> {
  const qemu = await findQemu({ cacheDirectory: directory });
  const files = { path: null, guestDirectory: guest, stagingDirectory: directory };
  const kernel = await resolveKernel(files);
  const tscKhz = await measureTscKhz(kernel, directory);
  return (changes, stateFd) => {
    const spec = { cpus: 1, memoryMib, kernel, disks: [], kernelArguments: [], ...changes };
    const state = stateFd === undefined ? {} : { stateFd };
    const machine = Machine.start(spec, "tcg", { qemu, tscKhz, ...state });
    t.after(() => machine[Symbol.asyncDispose]());
    machine.console.resume();
    return machine;
  };
}

/** Every other one read-only, of another size each, the first one as qcow2. */
async function makeDisk(index: number): Promise<Disk> {
  const tree = join(directory, `tree${index}`);
  await mkdir(tree);
  await writeFile(join(tree, "file"), `on disk ${index}\n`);
  const raw = await diskOf(tree, join(directory, `extra${index}.raw`), "ext4", 8 * (index + 1));
  const isFirst = index === 0;
  return {
    path: isFirst ? await convert(raw, join(directory, "extra0.qcow2"), "qcow2") : raw,
    format: isFirst ? "qcow2" : "raw",
    readOnly: index % 2 === 1,
    serial: `extra${index}`,
  };
}

async function makeShare(index: number): Promise<Share> {
  const path = join(directory, `shared, ${index}`);
  await mkdir(path);
  await writeFile(join(path, "file"), `in share ${index}\n`);
  return { path, readOnly: index % 2 === 1 };
}

const indices = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** Gives the disks that nobody asked for to their driver, mounts and reads everything, and writes where that is allowed. */
const script = `
  for device in /sys/bus/virtio/devices/*; do
    if [ "$(cat $device/device)" = 0x0002 ] && [ ! -e $device/driver ]; then
      echo "\${device##*/}" > /sys/bus/virtio/drivers/virtio_blk/bind
    fi
  done
  write() { (echo written > $1/new) 2> /dev/null && echo writable || echo read-only; }
  for n in 0 1 2 3; do
    for block in /sys/block/vd*; do
      if [ "$(cat $block/serial)" = extra$n ]; then name=\${block##*/}; fi
    done
    mode=rw; if [ "$(cat /sys/block/$name/ro)" = 1 ]; then mode=ro; fi
    mkdir -p /mnt/disk$n && mount -t ext4 -o $mode /dev/$name /mnt/disk$n || exit 1
    cat /mnt/disk$n/file; cat /sys/block/$name/size; write /mnt/disk$n; umount /mnt/disk$n
  done
  for n in 0 1 2 3 4 5 6 7 8; do
    mkdir -p /mnt/share$n
    mount -t 9p -o trans=virtio,version=9p2000.L share$n /mnt/share$n || exit 1
    cat /mnt/share$n/file; write /mnt/share$n
  done`;

test(
  "a template is restored with four more disks and eight more shared directories",
  { timeout },
  async (t) => {
    const start = await machineStarter(t);
    const memoryPath = join(directory, "memory");
    const statePath = join(directory, "state");
    await writeFile(memoryPath, "");
    await truncate(memoryPath, memoryMib * 1024 * 1024);
    const booted = start({ template: { memoryPath, shared: true, restored: false } });
    await new Agent(booted).next("AgentHello");
    await booted.save(statePath, join(directory, "socket"));
    await booted[Symbol.asyncDispose]();

    const upper = join(directory, "upper.img");
    await unpackExtents(join(guest, "upper.extents"), upper);
    const extra = await Promise.all(indices(4).map(makeDisk));
    const shares = await Promise.all(indices(9).map(makeShare));
    const disks: Disk[] = [
      { path: join(guest, "base.erofs"), format: "raw", readOnly: true, serial: "lower" },
      { path: upper, format: "raw", readOnly: false, serial: "upper" },
      ...extra,
    ];
    await using state = await open(statePath);
    const machine = start(
      { disks, shares, template: { memoryPath, shared: false, restored: true } },
      state.fd,
    );
    await machine.ready;
    const agent = new Agent(machine);
    agent.introduce();
    await agent.next("Mounted");
    await agent.next("Ready");
    const found = (await agent.output(script)).trimEnd().split("\n");
    const may = (readOnly: boolean): string => (readOnly ? "read-only" : "writable");
    assert.deepEqual(found, [
      ...extra.flatMap(({ readOnly }, index) => {
        const sectors = (8 * (index + 1) * 1024 * 1024) / 512;
        return [`on disk ${index}`, String(sectors), may(readOnly)];
      }),
      ...shares.flatMap(({ readOnly }, index) => [`in share ${index}`, may(readOnly)]),
    ]);
    await machine[Symbol.asyncDispose]();

    for (const { path, readOnly } of shares) {
      const written = join(path, "new");
      if (readOnly) await assert.rejects(access(written), { code: "ENOENT" });
      else assert.equal(await readFile(written, "utf8"), "written\n");
    }
    const written = await run("debugfs", ["-R", "cat /new", extra[2]?.path ?? ""]);
    assert.equal(String(written), "written\n");
    assert.equal((await stat(memoryPath)).size, memoryMib * 1024 * 1024);
  },
);
