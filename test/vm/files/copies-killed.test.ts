import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { IoError, MicrosandboxError, Sandbox, SandboxNotRunningError } from "../../../src/index.ts";
import { mountingSkip, mountSmallDisk, unmountSmallDisk } from "../failures/small-disk.ts";
import { processesOf, type SandboxProcess } from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running", "disk-full"];

const home = useTemporaryHome();
const place = mkdtempSync(join(tmpdir(), "msb-killed-"));
after(() => {
  rmSync(place, { recursive: true, force: true });
});

const bigBytes = 48 << 20;
/** Of a file that is copied while memory is looked at. */
const measuredBytes = 256 << 20;
/** Bytes; what the supervisor may take, whatever passes through it: it was seen to take 98 to 134 MiB, of which it has 76 with nothing to do. */
const supervisorMemory = 160 << 20;
/** Bytes; the same of a program that does nothing else. V8 lets some 64 MiB of buffers pile up before it looks. */
const programMemory = 128 << 20;

async function pidOf(name: string, kind: SandboxProcess["kind"]): Promise<number> {
  const found = (await processesOf(home, name)).find((one) => one.kind === kind);
  assert.ok(found !== undefined, `no ${kind} of ${name}`);
  return found.pid;
}

/** Runs a program that has the sandbox as `sandbox`, with the package as it is built. */
function program(body: string): ChildProcess {
  const library = fileURLToPath(new URL("../../../dist/index.js", import.meta.url));
  const script = `
    import { readFileSync } from "node:fs";
    import { Sandbox } from ${JSON.stringify(library)};
    const sandbox = await (await Sandbox.get("killed")).connect();
    ${body}`;
  const options = { stdio: ["ignore", "pipe", "inherit"] as ["ignore", "pipe", "inherit"] };
  return spawn(process.execPath, ["--input-type=module", "--eval", script], options);
}

/** The line that a program ends with. It is not waited for after that: Node 24 sometimes hangs in its exit (nodejs/node issue 54918). */
async function lastLine(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (text.endsWith("\n")) child.kill("SIGKILL");
  });
  await once(child, "close");
  return text;
}

/** What is in the place and was not put there by the test. */
function leftovers(): string[] {
  return readdirSync(place).filter((name) => !["big", "disk"].includes(name));
}

describe("copies that are cut off", () => {
  let sandbox: Sandbox;
  before(async () => {
    sandbox = await Sandbox.builder("killed").image("localhost/base").memory(256).create();
    writeFileSync(join(place, "big"), Buffer.alloc(bigBytes, "0123456789abcdef"));
    await sandbox.fs().mkdir("/work");
    await sandbox.fs().copyFromHost(join(place, "big"), "/work/big");
  });
  after(() => sandbox.stop().catch(() => undefined));

  test("a program that is killed leaves nothing under the final name, here or there", async () => {
    const calls = [
      `fs().copyToHost("/work", ${JSON.stringify(join(place, "tree"))}, { onProgress })`,
      `fs().copyToHost("/work/big", ${JSON.stringify(join(place, "file"))}, { onProgress })`,
      `fs().copyFromHost(${JSON.stringify(join(place, "big"))}, "/work/new", { onProgress })`,
    ];
    for (const call of calls) {
      const child = program(`
        const onProgress = () => process.stdout.write(".");
        await sandbox.${call};
        process.stdout.write("whole");`);
      let said = "";
      child.stdout?.on("data", (chunk: Buffer) => (said += chunk.toString()));
      await eventually("some progress", () => Promise.resolve(said === "" ? null : true));
      child.kill("SIGKILL");
      await once(child, "close");
      assert.ok(!said.includes("whole"), "it was killed too late to show anything");
    }
    assert.deepEqual(
      leftovers().filter((name) => !name.startsWith(".msb-partial-")),
      [],
    );
    for (const name of leftovers()) rmSync(join(place, name), { recursive: true });
    await eventually("the guest to let go", async () => {
      const names = (await sandbox.fs().list("/work")).map(({ path }) => path);
      return names.length === 1 ? true : null;
    });
    assert.equal((await sandbox.fs().stat("/work/big")).size, bigBytes);
  });

  test("memory stays as it is, whatever is copied", async (context) => {
    const source = join(place, "larger");
    for (let count = 0; count < measuredBytes; count += bigBytes)
      appendFileSync(source, Buffer.alloc(Math.min(bigBytes, measuredBytes - count), "0123456789abcdef"));
    // Started by the program, so its supervisor is the package's too.
    const child = program(
      `
      const own = await Sandbox.builder("measured").image("localhost/base").memory(256).create();
      const fs = own.fs();
      await fs.copyFromHost(${JSON.stringify(source)}, "/work");
      await fs.copyToHost("/work", ${JSON.stringify(join(place, "measured"))});
      let bytes = 0;
      for await (const event of await own.execStream("cat", ["/work"]))
        if (event.kind === "stdout") bytes += event.data.length;
      for await (const chunk of await fs.readStream("/work")) bytes += chunk.length;
      const sink = await fs.writeStream("/work");
      const piece = Buffer.alloc(1 << 20);
      for (let count = 0; count < 48; count++) await sink.write(piece);
      await sink.close();
      const state = JSON.parse(readFileSync(process.env.MSB_HOME + "/sandboxes/measured/state.json", "utf8"));
      const peak = (pid) => {
        const kilobytes = /VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/" + pid + "/status", "utf8"))[1];
        return Number(kilobytes) * 1024;
      };
      const found = [bytes, peak("self"), peak(state.supervisor.pid)];
      await own.kill();
      console.log(JSON.stringify(found));`,
    );
    const [bytes, peak, supervisor] = JSON.parse(await lastLine(child)) as [number, number, number];
    context.diagnostic(`program ${peak >> 20} MiB, supervisor ${supervisor >> 20} MiB`);
    assert.equal(bytes, 2 * measuredBytes);
    assert.equal(statSync(join(place, "measured")).size, measuredBytes);
    for (const name of ["measured", "larger"]) rmSync(join(place, name));
    assert.ok(peak < programMemory, `the program took ${peak >> 20} MiB`);
    assert.ok(supervisor < supervisorMemory, `the supervisor took ${supervisor >> 20} MiB`);
  });

  test("a full disk of the host is told, and leaves what was there", { skip: mountingSkip }, async () => {
    const disk = join(place, "disk");
    await mountSmallDisk(disk, "size=8m");
    try {
      writeFileSync(join(disk, "old"), "old");
      mkdirSync(join(disk, "there"));
      for (const call of [
        () => sandbox.fs().copyToHost("/work/big", join(disk, "new")),
        () => sandbox.fs().copyToHost("/work", join(disk, "tree")),
        () => sandbox.fs().copyToHost("/work", join(disk, "there")),
        () => sandbox.fs().copyToHost("/work/big", join(disk, "old")),
      ]) {
        await assert.rejects(call(), (error) => error instanceof IoError && error.hint.includes("full"));
      }
      assert.deepEqual(readdirSync(disk).toSorted(), ["old", "there"]);
      assert.deepEqual(readdirSync(join(disk, "there")), []);
      assert.equal(readFileSync(join(disk, "old"), "utf8"), "old");
    } finally {
      await unmountSmallDisk(disk);
    }
  });

  for (const victim of ["qemu", "supervisor"] as const) {
    test(`${victim} that is killed ends the copy with an error, and leaves nothing`, async () => {
      await using own = await Sandbox.builder(`without-${victim}`)
        .image("localhost/base")
        .memory(256)
        .create();
      await own.fs().copyFromHost(join(place, "big"), "/tmp/big");
      const pid = await pidOf(`without-${victim}`, victim);
      const kill = (): void => {
        // Once is enough.
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It is gone already.
        }
      };
      await assert.rejects(
        own.fs().copyToHost("/tmp/big", join(place, "cut"), { onProgress: kill }),
        (error) => {
          assert.ok(error instanceof MicrosandboxError, String(error));
          assert.ok(["sandboxNotRunning", "runtime"].includes(error.code), error.code);
          return true;
        },
      );
      assert.equal(existsSync(join(place, "cut")), false);
      assert.deepEqual(leftovers(), []);
      await own.waitUntilStopped();
      await assert.rejects(own.fs().read("/etc/hosts"), SandboxNotRunningError);
    });
  }
});
