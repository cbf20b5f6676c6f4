import assert from "node:assert/strict";
import { mkdir, mkdtemp, open, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import { MetricsUnavailableError, RuntimeError } from "../../../src/errors/index.ts";
import { chooseAccelerator, type AcceleratorChoice } from "../../../src/machine/accelerator/accelerator.ts";
import { findQemu, type QemuBinary } from "../../../src/machine/qemu/qemu-binary.ts";
import { rightTimer, wrongTimer } from "../../../src/machine/qemu/command-line.ts";
import { hostPlatform } from "../../../src/machine/qemu/platform.ts";
import { Machine } from "../../../src/machine/machine.ts";
import { measureTscKhz } from "../../../src/machine/accelerator/tsc.ts";
import { resolveKernel } from "../../../src/machine/kernel/kernel.ts";
import type { Disk, GuestKernel, MachineSpec } from "../../../src/machine/types.ts";
import { PROTOCOL_VERSION } from "../../../src/protocol/generated/messages.ts";
import { guestDirectory } from "../../../src/host/package-files.ts";
import { unpackExtents } from "../../../src/host/files/extents.ts";
import { invalidEntry } from "../../../src/file-server/fuse/notifications.ts";
import { opcodes, rootNodeId } from "../../../src/file-server/fuse/numbers.ts";
import { Request } from "../../../src/file-server/fuse/request.ts";
import { serve } from "../../../src/file-server/operations/dispatch.ts";
import { ServedDirectory } from "../../support/served-directory.ts";
import { Agent } from "./machine-agent.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["machine"];

/** A boot takes about 5 s under software emulation on a slow host with nothing else to do, 20 s on a busy one. */
const timeout = 300_000;
const memoryMib = 256;

let directory = "";
let qemu: QemuBinary;
let kernel: GuestKernel;
let tscKhz: number | null;
const guest = guestDirectory();
const lower: Disk = { path: join(guest, "base.erofs"), format: "raw", readOnly: true, serial: "lower" };

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-machine-"));
  qemu = await findQemu({ cacheDirectory: directory });
  kernel = await resolveKernel({
    path: null,
    guestDirectory: guest,
    stagingDirectory: directory,
  });
  tscKhz = await measureTscKhz(kernel, directory);
});

after(() => rm(directory, { recursive: true }));

function start(
  t: TestContext,
  changes: Partial<MachineSpec> = {},
  accelerator: Machine["accelerator"] = "tcg",
  stateFd?: number,
): Machine {
  const spec = { cpus: 1, memoryMib, kernel, disks: [], kernelArguments: [], ...changes };
  const machine = Machine.start(spec, accelerator, {
    qemu,
    tscKhz,
    ...(stateFd === undefined ? {} : { stateFd }),
  });
  t.after(() => machine[Symbol.asyncDispose]());
  machine.console.resume();
  return machine;
}

async function blankUpper(name: string): Promise<Disk> {
  const path = join(directory, name);
  await unpackExtents(join(guest, "upper.extents"), path);
  return { path, format: "raw", readOnly: false, serial: "upper" };
}

test(
  "a machine boots, tells what it uses, shares its lower disk and guards its upper one",
  { timeout },
  async (t) => {
    const upper = await blankUpper("upper, with commas,.img");
    const machine = start(t, { name: "first,machine", disks: [lower, upper] });
    await machine.ready;
    await new Agent(machine).boot();

    const { readBytes, writeBytes } = await machine.blockStats();
    assert.ok(readBytes > 4096, `${readBytes} bytes read`);
    assert.ok(writeBytes > 0, `${writeBytes} bytes written`);
    assert.ok((await machine.cpuTimeNs()) > 10e6);
    const resident = await machine.residentBytes();
    assert.ok(resident !== null && resident > 32 * 1024 * 1024, `${resident} bytes resident`);
    if (process.platform === "linux") {
      assert.match(
        await readFile(`/proc/${machine.pid}/cmdline`, "latin1"),
        /^[^\0]*qemu-system-[^\0]*\0-name\0guest=first,,machine\0/,
      );
    }

    const other = start(t, { disks: [lower, await blankUpper("other.img")] });
    await other.ready;
    other.kill();

    const intruder = start(t, { disks: [lower, upper] });
    const exit = await intruder.exited;
    assert.equal(exit.reason, "error");
    assert.match(exit.detail, /lock/);
    assert.match(exit.qemuOutput, /lock/);
    await assert.rejects(intruder.ready, (error) => {
      assert.ok(error instanceof RuntimeError);
      assert.match(error.message, /ended before it ran: .*lock/);
      return true;
    });

    machine.kill();
    const end = await machine.exited;
    assert.deepEqual([end.reason, end.signal, end.code], ["killed", "SIGKILL", null]);
    await assert.rejects(machine.cpuTimeNs(), MetricsUnavailableError);
    await assert.rejects(machine.blockStats(), RuntimeError);
    assert.equal(await machine.residentBytes(), null);
    machine.kill();
  },
);

/** A machine that has said hello, saved; its memory and its state. */
async function saved(t: TestContext, name: string): Promise<{ memoryPath: string; statePath: string }> {
  const memoryPath = join(directory, `${name}.memory`);
  const statePath = join(directory, `${name}.state`);
  await writeFile(memoryPath, "");
  await truncate(memoryPath, memoryMib * 1024 * 1024);
  const machine = start(t, { template: { memoryPath, shared: true, restored: false } });
  await new Agent(machine).next("AgentHello");
  await machine.save(statePath, join(directory, `${name}.socket`));
  machine.kill();
  await machine.exited;
  return { memoryPath, statePath };
}

test(
  "machines go on from where one was saved, with disks of their own, and not with each other's",
  { timeout },
  async (t) => {
    const { memoryPath, statePath } = await saved(t, "saved");
    const before = await readFile(memoryPath);
    const template = { memoryPath, shared: false, restored: true };
    const restore = async (upper: Disk): Promise<Machine> => {
      // Opened anew each time: QEMU reads from where the descriptor is.
      await using state = await open(statePath);
      return start(t, { disks: [lower, upper], template }, "tcg", state.fd);
    };

    const uppers = [await blankUpper("one.img"), await blankUpper("two.img")] as const;
    for (const upper of uppers) {
      const machine = await restore(upper);
      await machine.ready;
      const agent = new Agent(machine);
      agent.introduce();
      await agent.next("Mounted");
      await agent.next("Ready");
      assert.ok((await machine.blockStats()).writeBytes > 0);
    }
    assert.equal(Buffer.compare(await readFile(memoryPath), before), 0);

    // QEMU takes the lock only once the state is loaded, and then waits for ever instead of giving up.
    const intruder = await restore(uppers[0]);
    const exit = await intruder.exited;
    assert.equal(exit.reason, "error");
    assert.match(exit.detail, /could not go on from the saved state: .*lock/);
    await assert.rejects(intruder.ready, RuntimeError);

    const garbage = join(directory, "garbage.state");
    await writeFile(garbage, Buffer.alloc(70_000, "garbage "));
    await using nonsense = await open(garbage);
    const lost = start(t, { template }, "tcg", nonsense.fd);
    assert.equal((await lost.exited).reason, "error");
  },
);

test("a machine that was saved can go on itself", { timeout }, async (t) => {
  const memoryPath = join(directory, "goes-on.memory");
  await writeFile(memoryPath, "");
  await truncate(memoryPath, memoryMib * 1024 * 1024);
  const disks = [lower, await blankUpper("goes-on.img")];
  const machine = start(t, { disks, template: { memoryPath, shared: true, restored: false } });
  const agent = new Agent(machine);
  await agent.next("AgentHello");
  await machine.save(join(directory, "goes-on.state"), join(directory, "goes-on.socket"));
  await machine.resume();
  agent.introduce();
  await agent.next("Mounted");
  await agent.next("Ready");
});

test("a command that powers the guest off", { timeout }, async (t) => {
  const machine = start(t, { disks: [lower, await blankUpper("poweroff.img")] });
  const agent = new Agent(machine);
  await agent.boot();
  agent.runAsRoot("poweroff", "-f");
  assert.equal((await machine.exited).reason, "poweroff");
  assert.equal(machine.agentPort.readableEnded || machine.agentPort.destroyed, true);
});

test("a command that reboots the guest ends it", { timeout }, async (t) => {
  const machine = start(t, { disks: [lower, await blankUpper("reboot.img")] });
  const agent = new Agent(machine);
  await agent.boot();
  agent.runAsRoot("reboot", "-f");
  assert.equal((await machine.exited).reason, "reset");
});

test(
  "a kernel that takes its timer for another, or has none, ends before anything waits",
  { timeout },
  async (t) => {
    // No kernel can be made to measure wrongly at will: what is wrong is a matter of the range. And of one without a timer no wait ends.
    const cases = [
      { timer: { least: 1, most: 2 }, kernelArguments: [], told: /is taken for \d{4,6} kHz, and has 1 to 2/ },
      {
        timer: rightTimer,
        kernelArguments: ["nolapic_timer"],
        told: /is taken for 0 kHz, and has 31250 to 65625/,
      },
    ];
    for (const { timer, kernelArguments, told } of cases) {
      const spec = { cpus: 1, memoryMib, kernel, disks: [], kernelArguments };
      const machine = Machine.start(spec, "tcg", { qemu, tscKhz, timer });
      t.after(() => machine[Symbol.asyncDispose]());
      const console = text(machine.console);
      assert.equal((await machine.exited).reason, "poweroff");
      assert.match(await console, told);
      assert.ok((await console).includes(wrongTimer));
    }
  },
);

test("a panic is told by the panic device", { timeout }, async (t) => {
  const machine = start(t, { disks: [lower, await blankUpper("panic.img")] });
  const events: string[] = [];
  machine.events.on("event", ({ name }) => events.push(name));
  const agent = new Agent(machine);
  await agent.boot();
  agent.runAsRoot("sh", "-c", "echo c > /proc/sysrq-trigger");
  const exit = await machine.exited;
  assert.equal(exit.reason, "panic");
  assert.equal(exit.detail, "Kernel panic - not syncing: sysrq triggered crash");
  if (hostPlatform().panicDevice !== null) assert.ok(events.includes("GUEST_PANICKED"), events.join());
});

test("a panic before any driver is told by the console", { timeout }, async (t) => {
  const machine = start(t, { kernelArguments: ["rdinit=/missing"] });
  const [exit, output] = await Promise.all([machine.exited, text(machine.console)]);
  assert.equal(exit.reason, "panic");
  assert.match(exit.detail, /^Kernel panic - not syncing: .*root/);
  assert.match(output, /Kernel panic/);
});

test("a kernel of the user's boots with its modules beside it", { timeout }, async (t) => {
  const path = join(directory, "own-kernel");
  await symlink(join(guest, "vmlinux"), path);
  await writeFile(`${path}.initramfs`, gzipSync(await readFile(join(guest, "initramfs.cpio")), { level: 1 }));
  const custom = await resolveKernel({ path, guestDirectory: guest, stagingDirectory: directory });
  assert.equal(custom.custom, true);
  const machine = start(t, { kernel: custom, cpus: 2 });
  const hello = await new Agent(machine).next("AgentHello");
  assert.equal(hello.protocolVersion, PROTOCOL_VERSION);
});

test(
  "a first start ends up with an accelerator that boots, and the second one knows it",
  { timeout },
  async (t) => {
    const saved = process.env["MSB_ACCEL"];
    delete process.env["MSB_ACCEL"];
    t.after(() => {
      if (saved !== undefined) process.env["MSB_ACCEL"] = saved;
    });
    const home = { cacheDirectory: join(directory, "cache") };

    let choice: AcceleratorChoice | null = await chooseAccelerator(home, qemu, kernel);
    let booted: string | null = null;
    while (choice !== null) {
      const { accelerator, probe }: AcceleratorChoice = choice;
      const machine = start(t, {}, accelerator);
      const deadline = Promise.withResolvers<string>();
      const timer = setTimeout(deadline.resolve, probe?.deadlineMs ?? timeout, "deadline");
      const outcome = await Promise.race([
        new Agent(machine).next("AgentHello").then(
          () => "hello",
          () => "no hello",
        ),
        machine.exited.then(({ detail }) => detail),
        deadline.promise,
      ]);
      clearTimeout(timer);
      machine.kill();
      await machine.exited;
      if (outcome === "hello") {
        booted = accelerator;
        await probe?.succeeded();
        choice = null;
      } else {
        assert.ok(probe, `${accelerator} without a probe: ${outcome}`);
        choice = await probe.failed(outcome);
      }
    }

    const second = await chooseAccelerator(home, qemu, kernel);
    assert.equal(second.accelerator, booted);
    assert.equal(second.probe, null);
  },
);

test(
  "whoever waits for files of the host gets an error when their server goes, whatever the kernel is being told",
  { timeout },
  async (t) => {
    const shared = join(directory, "shared");
    await mkdir(shared);
    await writeFile(join(shared, "there"), "");
    const machine = start(t, { disks: [lower, await blankUpper("files.img")] });
    const server = new Socket({ fd: machine.takeFilesPort(), readable: true, writable: true });
    t.after(() => server.destroy());
    using guestFiles = new ServedDirectory(shared);
    let requests = Buffer.alloc(0);
    server.on("data", (chunk: Buffer) => {
      requests = Buffer.concat([requests, chunk]);
      // The number of the mount, and the length of what follows it.
      for (let end = 0; requests.length >= 8 && requests.length >= (end = 4 + requests.readUInt32LE(4));) {
        const request = requests.subarray(4, end);
        requests = requests.subarray(end);
        if (request.readUInt32LE(4) === opcodes.mkdir) {
          // It is not answered. The kernel holds the directory's lock for it, which this takes, too.
          server.write(invalidEntry(0, rootNodeId, "there"));
          continue;
        }
        const reply = serve(guestFiles.served, new Request(request));
        if (reply !== null) server.write(reply);
      }
    });
    const agent = new Agent(machine);
    const flags = { readOnly: false, noExec: false, noSuid: true, noDevices: true };
    await agent.boot([{ path: "/w", ...flags, memory: null, disk: null, files: { isFile: false } }]);
    agent.runAsRoot(
      "sh",
      "-c",
      `ls /w; mkdir /w/never &
     until cat /proc/1/task/*/stack | grep -q fuse_reverse_inval_entry; do :; done; echo blocked
     wait $!; echo "mkdir $?"; ls /w; echo "ls $?"`,
    );
    await agent.next("ExecStarted");
    await agent.printed("blocked");
    server.destroy();
    await agent.next("ExecExited");
    assert.equal(agent.stdout, "there\nblocked\nmkdir 1\nls 1\n");
  },
);
