import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../errors/index.ts";
import { escapeCommas, kernelCommandLine, qemuArguments, type CommandLineOptions } from "./command-line.ts";
import { hostPlatform } from "./platform.ts";
import type { Disk, MachineSpec } from "./types.ts";

const x86: CommandLineOptions = {
  platform: hostPlatform("x64"),
  accelerator: "tcg",
  tscKhz: 2_250_000,
  seccomp: true,
  hostSystem: "linux",
};

const lower: Disk = { path: "/images/a,b/root.erofs", format: "raw", readOnly: true, serial: "rootfs" };
const upper: Disk = { path: '/home/"x"/upper.img', format: "raw", readOnly: false, serial: "upper" };

function spec(changes: Partial<MachineSpec> = {}): MachineSpec {
  const kernel = {
    vmlinux: "/guest/vmlinux",
    initramfs: "/guest/initramfs.cpio",
    agentPath: null,
    custom: false,
    identity: "k",
  };
  return { cpus: 2, memoryMib: 512, kernel, disks: [lower, upper], kernelArguments: [], ...changes };
}

/** The value that follows each occurrence of an option. */
function values(parameters: readonly string[], option: string): string[] {
  return parameters.flatMap((word, index) => (word === option ? [parameters[index + 1] ?? ""] : []));
}

test("software emulation on x86-64 gets the time stamp counter's frequency and a small translation cache", () => {
  const line = qemuArguments(spec(), x86);
  assert.deepEqual(values(line, "-accel"), ["tcg,tb-size=128,thread=multi"]);
  assert.deepEqual(values(line, "-cpu"), ["max"]);
  assert.deepEqual(values(line, "-append"), [
    "console=ttyS0 quiet loglevel=4 panic=-1 cryptomgr.notests reboot=t tsc_early_khz=2250000 tsc=reliable",
  ]);
});

test("hardware uses the host's processor and its own clock", () => {
  for (const accelerator of ["kvm", "hvf"] as const) {
    const line = qemuArguments(spec(), { ...x86, accelerator });
    assert.deepEqual(values(line, "-accel"), [accelerator]);
    assert.deepEqual(values(line, "-cpu"), ["host"]);
    assert.doesNotMatch(values(line, "-append")[0] ?? "", /tsc_early_khz/);
  }
});

test("an unknown frequency is left to the kernel", () => {
  assert.doesNotMatch(kernelCommandLine(spec(), { ...x86, tscKhz: null }), /tsc_early_khz/);
});

test("arm64 has its own console and no x86 words", () => {
  const line = qemuArguments(spec(), { ...x86, platform: hostPlatform("arm64") });
  assert.deepEqual(values(line, "-append"), ["console=ttyAMA0 quiet loglevel=4 panic=-1 cryptomgr.notests"]);
  assert.match(values(line, "-machine")[0] ?? "", /^virt,/);
  assert.ok(!line.includes("pvpanic"));
});

test("further kernel arguments come last", () => {
  const words = kernelCommandLine(
    spec({ kernelArguments: ["transparent_hugepage=madvise", "loglevel=7"] }),
    x86,
  );
  assert.match(words, / transparent_hugepage=madvise loglevel=7$/);
});

test("seccomp and memfd are used where they exist", () => {
  const linux = qemuArguments(spec(), x86);
  assert.match(values(linux, "-sandbox")[0] ?? "", /^on,.*spawn=deny/);
  assert.deepEqual(values(linux, "-object"), ["memory-backend-memfd,id=memory,size=512M"]);
  const other = qemuArguments(spec(), { ...x86, seccomp: false, hostSystem: "darwin" });
  assert.deepEqual(values(other, "-sandbox"), []);
  assert.deepEqual(values(other, "-object"), ["memory-backend-ram,id=memory,size=512M"]);
});

test("paths reach the block layer unchanged, whatever characters they have", () => {
  const nodes = values(qemuArguments(spec(), x86), "-blockdev").map((json): unknown => JSON.parse(json));
  assert.deepEqual(
    nodes.map((node) => (node as { file: { filename: string } }).file.filename),
    [lower.path, upper.path],
  );
  assert.deepEqual(
    nodes.map((node) => {
      const { "read-only": readOnly, discard } = node as { "read-only": boolean; discard: string };
      return { readOnly, discard };
    }),
    [
      { readOnly: true, discard: "ignore" },
      { readOnly: false, discard: "unmap" },
    ],
  );
});

test("the machine has no network card and every device is a virtio-mmio one or the panic device", () => {
  const devices = values(qemuArguments(spec(), x86), "-device").map((device) => device.split(",")[0]);
  assert.deepEqual(devices, [
    "pvpanic",
    "virtio-serial-device",
    "virtserialport",
    "virtio-blk-device",
    "virtio-blk-device",
  ]);
});

test("commas in a name are doubled", () => {
  assert.equal(escapeCommas("a,b,,c"), "a,,b,,,,c");
  assert.deepEqual(values(qemuArguments(spec({ name: "x,process=init" }), x86), "-name"), [
    "guest=x,,process=init",
  ]);
});

test("a serial number that QEMU would cut off is refused", () => {
  for (const serial of ["", "x".repeat(21), "a b", "ä"]) {
    assert.throws(
      () => qemuArguments(spec({ disks: [{ ...lower, serial }] }), x86),
      InvalidConfigError,
      serial,
    );
  }
  assert.doesNotThrow(() => qemuArguments(spec({ disks: [{ ...lower, serial: "x".repeat(20) }] }), x86));
});

test("a share is a 9p device that shows the host's files as they are", () => {
  const shares = [
    { path: "/srv/a,b", tag: "root", readOnly: false },
    { path: "/opt", tag: "more", readOnly: true },
  ];
  const line = qemuArguments(spec({ disks: [], shares }), x86);
  assert.deepEqual(values(line, "-fsdev"), [
    "local,id=share0,path=/srv/a,,b,security_model=none,multidevs=remap",
    "local,id=share1,path=/opt,security_model=none,multidevs=remap,readonly=on",
  ]);
  assert.deepEqual(values(line, "-device").slice(-2), [
    "virtio-9p-device,fsdev=share0,mount_tag=root",
    "virtio-9p-device,fsdev=share1,mount_tag=more",
  ]);
  for (const tag of ["", "x".repeat(32), "a b"]) {
    const bad = spec({ shares: [{ path: "/srv", tag, readOnly: false }] });
    assert.throws(() => qemuArguments(bad, x86), InvalidConfigError, tag);
  }
});

test("a disk image's own idea of a backing file is overruled", () => {
  for (const format of ["raw", "qcow2", "vmdk"] as const) {
    const line = qemuArguments(spec({ disks: [{ ...upper, format }] }), x86);
    const node = JSON.parse(values(line, "-blockdev")[0] ?? "") as Record<string, unknown>;
    assert.equal(node["driver"], format);
    assert.equal("backing" in node, format !== "raw");
  }
});
