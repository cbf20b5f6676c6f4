import { HANDOVER_FORMAT, type Handover } from "../../src/start/contract/handover.ts";
import { PROTOCOL_VERSION } from "../../src/protocol/generated/messages.ts";

const key = "0123456789abcdef".repeat(4);
const upperPath = "/home/sandboxes/demo/upper.img";

/** All that can be handed over to a supervisor. Nothing of it is there. */
const servedSample = {
  kind: "path",
  path: "/home/user/work",
  isFile: false,
  readOnly: false,
  statVirtualization: "strict",
  hostPermissions: "private",
  owner: { uid: 1000, gid: 1000 },
  quotaBytes: 1 << 30,
  quotaCountsAll: true,
  layer: "/home/sandboxes/demo/layers/0123",
} as const;

const guestSample = [
  {
    ...{ path: "/data", readOnly: true, noExec: false, noSuid: true, noDevices: true },
    memory: null,
    disk: { fileSystem: { serial: "mount0", fsType: "" }, fills: false },
    files: null,
  },
  {
    ...{ path: "/scratch", readOnly: false, noExec: true, noSuid: false, noDevices: false },
    memory: { sizeMib: 64 },
    disk: null,
    files: null,
  },
  {
    ...{ path: "/work", readOnly: false, noExec: false, noSuid: false, noDevices: false },
    memory: null,
    disk: null,
    files: { isFile: false },
  },
] as const;

export const handoverSample = {
  format: HANDOVER_FORMAT,
  protocolVersion: PROTOCOL_VERSION,
  prelaunch: {
    kind: "qemu",
    command: ["/usr/bin/qemu", "-nodefaults"],
    isWatched: false,
    statePath: "/home/templates/state",
    opening: "{}\n",
    mounts: {
      guest: guestSample,
      served: [servedSample, { kind: "provider", guest: "/made", timeoutMs: 30_000 }],
    },
    bootFrames: "aGVsbG8=",
    isFilled: false,
    network: { families: [4, 6], trust: { authority: "PEM\n", hostRoots: ["PEM\n"] } },
    accelerator: "tcg",
    template: {
      key,
      kind: "image",
      directory: `/home/templates/${key}`,
      inode: "18446744073709551615",
      agentVersion: "0.1.0",
      kernelRelease: "6.1.0",
      durable: true,
    },
    upperPath,
  },
  inputs: {
    qemu: {
      path: "/usr/bin/qemu",
      version: "7.2.22",
      seccomp: true,
      lifeline: { kind: "pdeathsig", setpriv: "/usr/bin/setpriv" },
      env: "/usr/bin/env",
      identity: "q",
    },
    kernel: {
      vmlinux: "/guest/vmlinux",
      initramfs: "/guest/initramfs.cpio",
      agentPath: null,
      custom: false,
      identity: "k",
    },
    root: {
      disks: [{ path: upperPath, format: "raw", readOnly: false, serial: "upper" }],
      shares: [{ path: "/srv", readOnly: true }],
      description: {
        layered: { lower: { serial: "lower", fsType: "erofs" }, upperSerial: "upper", upperSizeMib: 4096 },
        shared: null,
        disk: null,
      },
      template: {
        reference: "localhost/base",
        identity: "i",
        rootDisk: "4096 MiB",
        programs: ["/bin/sh"],
        upperPath,
      },
      upper: { path: upperPath, sizeMib: 4096 },
    },
    mounts: {
      disks: [{ path: "/srv/data.qcow2", format: "qcow2", readOnly: true, serial: "mount0" }],
      guest: guestSample,
      served: [servedSample],
    },
    network: { families: [4], trust: null },
    candidates: [{ accelerator: "tcg", usable: true, detail: "works", fix: "" }],
    tscKhz: 2_000_000.5,
    accelerator: { accelerator: "tcg", why: "nothing else is there" },
    templates: { kind: "allowed", limitBytes: 10 * 1024 ** 3 },
    keys: { machine: key, image: key },
  },
} as const satisfies Handover;
