import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeError } from "../errors/index.ts";
import type { Lifeline } from "./qemu/lifeline.ts";
import { findLifeline } from "./qemu/lifeline.ts";
import { Machine } from "./machine.ts";
import { findQemu } from "./qemu/qemu-binary.ts";
import type { MachineSpec } from "./types.ts";

const timeout = 120_000;

const spec: MachineSpec = {
  cpus: 1,
  memoryMib: 64,
  kernel: {
    vmlinux: "/no/such/kernel",
    initramfs: "/no/such/initramfs",
    agentPath: null,
    custom: false,
    identity: "",
  },
  disks: [],
  kernelArguments: [],
};

const missingQemu = { path: "/no/such/qemu", version: "7.2.0", seccomp: false, identity: "none", env: null };

async function assertFails(machine: Machine, detail: RegExp): Promise<void> {
  const exit = await machine.exited;
  assert.equal(exit.reason, "error");
  assert.match(exit.detail, detail);
  assert.match(exit.qemuOutput, detail);
  await assert.rejects(machine.ready, RuntimeError);
  assert.equal(await machine.residentBytes(), null);
  await machine[Symbol.asyncDispose]();
}

const lifelines: readonly (() => Promise<Lifeline>)[] = [
  findLifeline,
  () => Promise.resolve({ kind: "watcher" }),
];

for (const [index, lifeline] of lifelines.entries()) {
  test(`QEMU's refusal is told in its own words (${index})`, { timeout }, async () => {
    const qemu = { ...(await findQemu()), lifeline: await lifeline() };
    await assertFails(Machine.start(spec, "tcg", { qemu, tscKhz: null }), /\/no\/such\/kernel/);
  });

  test(`a QEMU that is gone is told (${index})`, { timeout }, async () => {
    const qemu = { ...missingQemu, lifeline: await lifeline() };
    await assertFails(Machine.start(spec, "tcg", { qemu, tscKhz: null }), /\/no\/such\/qemu/);
  });
}

test("a process that cannot be created is a typed error", { timeout }, () => {
  const lifeline: Lifeline = { kind: "pdeathsig", setpriv: "/no/such/setpriv" };
  const qemu = { ...missingQemu, lifeline };
  assert.throws(
    () => Machine.start(spec, "tcg", { qemu, tscKhz: null }),
    (error) => error instanceof RuntimeError && error.hint !== "",
  );
});

test("a machine that is killed before it runs has ended", { timeout }, async () => {
  const machine = Machine.start(spec, "tcg", { qemu: await findQemu(), tscKhz: null });
  machine.kill();
  const exit = await machine.exited;
  assert.deepEqual([exit.reason, exit.signal], ["killed", "SIGKILL"]);
  await assert.rejects(machine.ready, RuntimeError);
});
