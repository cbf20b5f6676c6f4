import assert from "node:assert/strict";
import { mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { copySparse } from "../../../src/host/files/copy-sparse.ts";
import { unpackExtents } from "../../../src/host/files/extents.ts";
import { guestDirectory } from "../../../src/host/package-files.ts";
import { measureTscKhz } from "../../../src/machine/accelerator/tsc.ts";
import { resolveKernel } from "../../../src/machine/kernel/kernel.ts";
import { Machine } from "../../../src/machine/machine.ts";
import { findQemu, type QemuBinary } from "../../../src/machine/qemu/qemu-binary.ts";
import type { Disk, GuestKernel, TemplateUse } from "../../../src/machine/types.ts";
import { eventually } from "../support.ts";
import { Agent } from "./machine-agent.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["machine"];

// A machine is copied while its guest works; the copy goes on where it was, and so does the machine.

const timeout = 300_000;
const memoryMib = 256;
/** Less than is read: no agent holds still what is on its way here, as one does before a sandbox is copied. */
const counting = 'n=0; while :; do n=$((n + 1)); [ $((n % 100)) != 0 ] || echo "$n."; done';

let directory = "";
let qemu: QemuBinary;
let kernel: GuestKernel;
let tscKhz: number | null;
const lower: Disk = {
  path: join(guestDirectory(), "base.erofs"),
  format: "raw",
  readOnly: true,
  serial: "lower",
};

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-capture-"));
  qemu = await findQemu({ cacheDirectory: directory });
  kernel = await resolveKernel({ path: null, guestDirectory: guestDirectory(), stagingDirectory: directory });
  tscKhz = await measureTscKhz(kernel, directory);
});

after(() => rm(directory, { recursive: true }));

function start(t: TestContext, disks: Disk[], template?: TemplateUse, stateFd?: number): Machine {
  const spec = { cpus: 1, memoryMib, kernel, disks, kernelArguments: [], ...(template && { template }) };
  const captured = template?.captured === true ? { captured: () => Promise.resolve() } : {};
  const state = stateFd === undefined ? {} : { stateFd, ...captured };
  const machine = Machine.start(spec, "tcg", { qemu, tscKhz, ...state });
  t.after(() => machine[Symbol.asyncDispose]());
  machine.console.resume();
  return machine;
}

const upper = (name: string): Disk => ({
  path: join(directory, name),
  format: "raw",
  readOnly: false,
  serial: "upper",
});

/** The last whole number that was printed. */
const counted = (agent: Agent): number => Number(/(\d+)\.\s*[^.]*$/.exec(agent.stdout)?.[1] ?? 0);

async function countsOn(agent: Agent, beyond: number): Promise<void> {
  await eventually("it to count on", () => Promise.resolve(counted(agent) >= beyond ? true : null));
}

/** Copies a machine whose command counts, again and again: each copy counts on from where it was copied. */
async function forks(t: TestContext, machine: Machine, agent: Agent, name: string): Promise<void> {
  for (let times = 0; times < 3; times++) {
    await countsOn(agent, counted(agent) + 10);
    const [memoryPath, statePath] = [
      join(directory, `${name}-${times}.memory`),
      join(directory, `${name}-${times}.state`),
    ];
    const disk = upper(`${name}-${times}.img`);
    const before = counted(agent);
    const { heldMs, ownBytes } = await machine.capture(memoryMib, {
      memoryPath,
      statePath,
      goesOn: true,
      ready: () => Promise.resolve(() => undefined),
      meanwhile: () => copySparse(join(directory, `${name}.img`), disk.path),
    });
    t.diagnostic(`held ${heldMs.toFixed(0)} ms, ${(ownBytes / 1e6).toFixed(1)} MB`);
    await countsOn(agent, before + 10);
    await using state = await open(statePath);
    const template = { memoryPath, shared: false, restored: true, captured: true };
    const copy = start(t, [lower, disk], template, state.fd);
    await copy.ready;
    const itsAgent = new Agent(copy);
    itsAgent.seed();
    await countsOn(itsAgent, before + 20);
    assert.ok(Number(/(\d+)\./.exec(itsAgent.stdout)?.[1]) >= before, "it began anew");
    copy.kill();
    await copy.exited;
  }
}

test("one that has booted", { timeout }, async (t) => {
  const disk = upper("booted.img");
  await unpackExtents(join(guestDirectory(), "upper.extents"), disk.path);
  const machine = start(t, [lower, disk]);
  const agent = new Agent(machine);
  await agent.boot();
  agent.runAsRoot("sh", "-c", counting);
  await forks(t, machine, agent, "booted");
});

test("one that goes on from a template", { timeout }, async (t) => {
  const [memoryPath, statePath] = [join(directory, "template.memory"), join(directory, "template.state")];
  await writeFile(memoryPath, "");
  await truncate(memoryPath, memoryMib * 1024 * 1024);
  const booted = start(t, [], { memoryPath, shared: true, restored: false });
  await new Agent(booted).next("AgentHello");
  await booted.save(statePath, join(directory, "template.socket"));
  booted.kill();
  await booted.exited;
  const disk = upper("restored.img");
  await unpackExtents(join(guestDirectory(), "upper.extents"), disk.path);
  await using state = await open(statePath);
  const machine = start(t, [lower, disk], { memoryPath, shared: false, restored: true }, state.fd);
  const agent = new Agent(machine);
  agent.introduce();
  await agent.next("Mounted");
  await agent.next("Ready");
  agent.runAsRoot("sh", "-c", counting);
  await forks(t, machine, agent, "restored");
});
