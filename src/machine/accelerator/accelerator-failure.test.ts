import assert from "node:assert/strict";
import { test } from "node:test";
import { isAcceleratorFailure } from "./accelerator-failure.ts";
import type { MachineExit } from "../types.ts";

function exit(reason: MachineExit["reason"], qemuOutput = ""): MachineExit {
  return { code: 1, signal: null, reason, detail: "QEMU ended with exit code 1", qemuOutput };
}

test("what QEMU says about the accelerator counts against it", () => {
  for (const words of [
    "Could not access KVM kernel module: Permission denied\nqemu-system-x86_64: failed to initialize kvm: Permission denied",
    "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x0",
    "qemu-system-x86_64: -accel kvm: invalid accelerator kvm",
    "qemu-system-x86_64: ioctl(KVM_CREATE_VM) failed: 16 Device or resource busy",
  ]) {
    assert.equal(isAcceleratorFailure("kvm", exit("error", words)), true, words);
  }
});

test("the host's other limits do not", () => {
  for (const words of [
    "qemu-system-x86_64: cannot set up guest memory 'mem': Cannot allocate memory",
    "qemu-system-x86_64: Number of SMP CPUs requested (255) exceeds max CPUs supported by KVM (64)",
    'qemu-system-x86_64: Failed to get "write" lock\nIs another process using the image [/kvm/a.raw]?',
    "",
  ]) {
    assert.equal(isAcceleratorFailure("kvm", exit("error", words)), false, words);
  }
});

test("a guest that never spoke counts against it, one that gave up does not", () => {
  assert.equal(isAcceleratorFailure("kvm", exit("killed")), true);
  assert.equal(isAcceleratorFailure("kvm", exit("reset")), true);
  assert.equal(isAcceleratorFailure("kvm", exit("panic")), false);
});
