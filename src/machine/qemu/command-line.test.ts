import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import {
  diskSlots,
  escapeCommas,
  kernelCommandLine,
  qemuArguments,
  shareSlots,
  shareTag,
  type CommandLineOptions,
} from "./command-line.ts";
import { hostPlatform } from "./platform.ts";
import type { Disk, MachineSpec } from "../types.ts";

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
  assert.deepEqual(values(line, "-cpu"), ["max,-erms"]);
  assert.deepEqual(values(line, "-append"), [
    "console=ttyS0 quiet loglevel=4 panic=-1 cryptomgr.notests reboot=t tsc_early_khz=2250000 tsc=reliable msb.lapic_khz=6250-125000 mitigations=off",
  ]);
});

test("hardware uses the host's processor and its own clock", () => {
  for (const accelerator of ["kvm", "hvf"] as const) {
    const line = qemuArguments(spec(), { ...x86, accelerator });
    assert.deepEqual(values(line, "-accel"), [accelerator]);
    assert.deepEqual(values(line, "-cpu"), ["host"]);
    assert.doesNotMatch(values(line, "-append")[0] ?? "", /tsc_early_khz|lapic_khz|mitigations/);
  }
});

test("an unknown frequency is left to the kernel", () => {
  assert.doesNotMatch(kernelCommandLine(spec(), { ...x86, tscKhz: null }), /tsc_early_khz|lapic_khz/);
});

test("arm64 has its own console and no x86 words", () => {
  const line = qemuArguments(spec(), { ...x86, platform: hostPlatform("arm64") });
  assert.deepEqual(values(line, "-append"), [
    "console=ttyAMA0 quiet loglevel=4 panic=-1 cryptomgr.notests mitigations=off",
  ]);
  assert.match(values(line, "-machine")[0] ?? "", /^virt,/);
  assert.deepEqual(values(line, "-cpu"), ["max"]);
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
    nodes.slice(0, 2).map((node) => (node as { file: { filename: string } }).file.filename),
    [lower.path, upper.path],
  );
  assert.deepEqual(
    nodes.slice(0, 2).map((node) => {
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
    "virtserialport",
    ...Array<string>(diskSlots).fill("virtio-blk-device"),
    ...Array<string>(shareSlots).fill("virtio-9p-device"),
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
    { path: "/srv/a,b", readOnly: false },
    { path: "/opt", readOnly: true },
  ];
  const line = qemuArguments(spec({ disks: [], shares }), x86);
  assert.deepEqual(values(line, "-fsdev").slice(0, 2), [
    "local,id=share0,path=/srv/a,,b,security_model=none,multidevs=remap",
    "local,id=share1,path=/opt,security_model=none,multidevs=remap,readonly=on",
  ]);
  assert.deepEqual(
    values(line, "-device").filter((device) => device.startsWith("virtio-9p")),
    Array.from({ length: shareSlots }, (_, n) => `virtio-9p-device,fsdev=share${n},mount_tag=${shareTag(n)}`),
  );
});

test("every disk and every share has its slot, in use or not, with nothing behind those that are not", () => {
  assert.deepEqual([diskSlots, shareSlots], [6, 9]);
  const disk = (n: number): Disk => ({ ...upper, serial: `disk-${n}` });
  for (const count of [0, 1, diskSlots]) {
    const disks = Array.from({ length: count }, (_, n) => disk(n));
    const shares = Array.from({ length: Math.min(count, shareSlots) }, () => ({
      path: "/s",
      readOnly: false,
    }));
    const line = qemuArguments(spec({ disks, shares }), x86);
    const nodes = values(line, "-blockdev").map((json): unknown => JSON.parse(json));
    assert.deepEqual(
      nodes.map((node) => (node as { driver: string })["driver"]),
      Array.from({ length: diskSlots }, (_, n) => (n < count ? "raw" : "null-co")),
    );
    assert.deepEqual(
      nodes.map((node) => (node as { "node-name": string })["node-name"]),
      Array.from({ length: diskSlots }, (_, n) => `disk${n}`),
    );
    // A guest that looks all the same finds an empty disk, and never another machine's memory.
    for (const node of nodes.slice(count)) {
      assert.deepEqual(node, { ...(node as object), size: 0, "read-zeroes": true });
    }
    assert.deepEqual(
      values(line, "-fsdev").map((share) => share.split(",")[0]),
      Array.from({ length: shareSlots }, (_, n) => (n < shares.length ? "local" : "synth")),
    );
    const devices = values(line, "-device").map((device) => device.split(",").slice(0, 2).join());
    assert.deepEqual(devices.slice(4), [
      ...Array.from({ length: diskSlots }, (_, n) => `virtio-blk-device,drive=disk${n}`),
      ...Array.from({ length: shareSlots }, (_, n) => `virtio-9p-device,fsdev=share${n}`),
    ]);
  }
});

test("more disks or shares than there are slots for are refused", () => {
  const share = { path: "/s", readOnly: false };
  const tooMany: Partial<MachineSpec>[] = [
    { disks: Array.from({ length: diskSlots + 1 }, (_, n) => ({ ...upper, serial: `d${n}` })) },
    { shares: Array.from({ length: shareSlots + 1 }, () => share) },
  ];
  for (const changes of tooMany) {
    assert.throws(
      () => qemuArguments(spec(changes), x86),
      (error) =>
        error instanceof InvalidConfigError &&
        /at most (6 disks|9 shared)/.test(error.message) &&
        error.hint !== "",
    );
  }
  assert.doesNotThrow(() =>
    qemuArguments(spec({ shares: Array<typeof share>(shareSlots).fill(share) }), x86),
  );
});

test("a machine that is saved has its memory in a file, one that is restored only looks at it", () => {
  const memoryPath = "/templates/a,b/memory";
  const lineOf = (shared: boolean, restored: boolean): string[] =>
    qemuArguments(spec({ template: { memoryPath, shared, restored } }), x86);
  const backend = "memory-backend-file,id=memory,size=512M,mem-path=/templates/a,,b/memory,share=";
  for (const [shared, restored] of [
    [true, false],
    [true, true],
    [false, true],
  ] as const) {
    const line = lineOf(shared, restored);
    assert.deepEqual(values(line, "-object"), [backend + (shared ? "on" : "off")]);
    assert.deepEqual(values(line, "-incoming"), restored ? ["defer"] : []);
  }
  assert.deepEqual(values(qemuArguments(spec(), x86), "-incoming"), []);
  // Everything else is as it was, or QEMU could not restore it.
  const without = (line: string[], ...names: string[]): string[] =>
    line.filter((word, index) => !names.includes(word) && !names.includes(line[index - 1] ?? ""));
  assert.deepEqual(
    without(lineOf(false, true), "-object", "-incoming"),
    without(qemuArguments(spec(), x86), "-object"),
  );
});

test("a disk image's own idea of a backing file is overruled", () => {
  for (const format of ["raw", "qcow2", "vmdk"] as const) {
    const line = qemuArguments(spec({ disks: [{ ...upper, format }] }), x86);
    const node = JSON.parse(values(line, "-blockdev")[0] ?? "") as Record<string, unknown>;
    assert.equal(node["driver"], format);
    assert.equal("backing" in node, format !== "raw");
  }
});

test("a machine has a network card or it has none", () => {
  const cards = (network?: boolean): string[] => {
    const line = qemuArguments(spec(network === undefined ? {} : { network }), x86);
    return [
      ...values(line, "-netdev"),
      ...values(line, "-device").filter((one) => one.includes("virtio-net")),
    ];
  };
  assert.deepEqual(cards(), []);
  assert.deepEqual(cards(false), []);
  assert.deepEqual(cards(true), [
    "stream,id=network,server=off,addr.type=fd,addr.str=9",
    "virtio-net-device,netdev=network,mac=02:6d:73:00:00:02,host_mtu=65520,guest_announce=off",
  ]);
});
