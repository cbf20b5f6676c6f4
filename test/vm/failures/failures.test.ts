import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, rm, rmdir, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  BootStartError,
  InvalidConfigError,
  IoError,
  JsonError,
  LibkrunfwNotFoundError,
  MicrosandboxError,
  QemuNotFoundError,
  Sandbox,
  SandboxAlreadyExistsError,
  SandboxNotFoundError,
  SandboxStillRunningError,
  UnsupportedOperationError,
  type SandboxBuilder,
} from "../../../src/index.ts";
import { comfortableMemoryMib, leastMemoryMib } from "../../../src/config/sandbox/least-memory.ts";
import { locateHome } from "../../../src/store/home.ts";
import { processesGone, processesOf, smallMemory, timeout, withEnvironment } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots"];

// What is wrong with names, files, kernels and QEMU: each a typed error with a hint, and nothing left behind.
const home = useTemporaryHome();
const directoryOf = (name: string): string => join(home, "sandboxes", name);
let directory = "";

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-failures-"));
});

after(() => rm(directory, { recursive: true, force: true }));

const build = (name: string): SandboxBuilder =>
  Sandbox.builder(name).image("localhost/base").memory(smallMemory);

type ErrorClass<T extends MicrosandboxError> = abstract new (...parameters: never[]) => T;

/** @returns the error of this class, which says what to do */
async function failure<T extends MicrosandboxError>(
  attempt: Promise<unknown>,
  expected: ErrorClass<T>,
): Promise<T> {
  const error = await attempt.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof expected)) assert.fail(`${expected.name} was expected, not ${String(error)}`);
  assert.notEqual(error.hint, "", `${error.message} comes without a hint`);
  return error;
}

/** The name is free and nothing runs. */
async function nothingLeft(name: string): Promise<void> {
  await failure(Sandbox.get(name), SandboxNotFoundError);
  await processesGone(home);
}

/** A script in place of QEMU. */
async function fakeQemu(name: string, script: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

test("names that cannot be", { timeout }, async () => {
  for (const name of [
    "",
    ".",
    "..",
    ".hidden",
    "-dash",
    "_under",
    "a/b",
    "a b",
    "ä",
    "a\n",
    "a\0b",
    "n".repeat(129),
  ]) {
    await failure(build(name).create(), InvalidConfigError);
    await failure(Sandbox.get(name), InvalidConfigError);
    await failure(Sandbox.remove(name), InvalidConfigError);
    await failure(Sandbox.start(name), InvalidConfigError);
  }
  assert.deepEqual([...(await Sandbox.list())], []);
});

test("a name of 128 bytes, in a home whose path is long", { timeout }, async () => {
  const long = join(directory, ...Array.from({ length: 12 }, (_, n) => `${n}-`.padEnd(20, "x")));
  const name = "n".repeat(128);
  await withEnvironment({ MSB_HOME: long }, async () => {
    const sandbox = await build(name).createDetached();
    const again = await (await Sandbox.get(name)).connect();
    assert.equal((await again.exec("hostname")).stdout().trim().length, 64);
    await sandbox.destroy();
    await failure(Sandbox.get(name), SandboxNotFoundError);
    // Sockets of a home whose path is too long for them are kept elsewhere.
    const { run } = locateHome();
    assert.ok(!run.startsWith(long), run);
    await rmdir(run);
  });
});

test(
  "settings that this version does not have are named, and refused before anything is made",
  { timeout },
  async () => {
    const settings: Record<string, (builder: SandboxBuilder) => SandboxBuilder> = {
      maxCpus: (b) => b.maxCpus(4),
      maxMemory: (b) => b.maxMemory(1024),
      cpuPlacement: (b) => b.cpuPlacement("spread"),
      placementProfile: (b) => b.placementProfile("some"),
      security: (b) => b.security("restricted"),
      init: (b) => b.init("/sbin/init"),
      initWith: (b) => b.initWith("auto", (init) => init),
      vsock: (b) => b.vsock("/tmp/socket", 1024),
      vsockDgram: (b) => b.vsockDgram("/tmp/socket", 1024),
    };
    for (const [setting, set] of Object.entries(settings)) {
      const error = await failure(set(build("later")).create(), UnsupportedOperationError);
      assert.match(error.message, new RegExp(`\\b${setting}\\b`));
    }
    const keys: Record<string, unknown> = {
      init: "/sbin/init",
      maxCpus: 4,
      maxMemoryMib: 1024,
    };
    for (const [key, value] of Object.entries(keys)) {
      const config = { name: "later", image: "localhost/base", [key]: value };
      const error = await failure(Sandbox.create(config), UnsupportedOperationError);
      assert.match(error.message, new RegExp(`\\b${key}\\b`));
    }
    for (const image of ["./directory", "/disk.qcow2"]) {
      const error = await failure(build("later").image(image).create(), InvalidConfigError);
      assert.match(error.message, /(directory|disk\.qcow2).* cannot be read/);
    }
    await failure(Sandbox.builder("later").create(), InvalidConfigError);
    await nothingLeft("later");
  },
);

test("a directory that is no sandbox", { timeout }, async () => {
  await mkdir(directoryOf("stale/logs"), { recursive: true });
  const error = await failure(build("stale").create(), SandboxAlreadyExistsError);
  assert.match(error.message, /is no sandbox/);
  assert.match(error.hint, /replace/);
  await failure(Sandbox.get("stale"), SandboxNotFoundError);
  await failure(Sandbox.start("stale"), SandboxNotFoundError);
  assert.deepEqual([...(await Sandbox.list())], []);

  await using sandbox = await build("stale").replace().create();
  assert.equal((await sandbox.exec("echo", ["hi"])).stdout(), "hi\n");

  await mkdir(directoryOf("stale-2"), { recursive: true });
  await Sandbox.remove("stale-2");
  await writeFile(directoryOf("a-file"), "");
  await failure(build("a-file").create(), SandboxAlreadyExistsError);
  await rm(directoryOf("a-file"));
});

test("damaged files", { timeout }, async () => {
  const damages = ["", "{", "null", "[]", '{"format":2}', "\0\0\0\0", '{"status":"running"}'];
  await (await build("damaged").createDetached()).stop();
  const config = await readFile(join(directoryOf("damaged"), "config.json"));
  for (const text of damages) {
    await writeFile(join(directoryOf("damaged"), "config.json"), text);
    await failure(Sandbox.get("damaged"), JsonError);
    await failure(Sandbox.start("damaged"), JsonError);
    await failure(build("damaged").create(), SandboxAlreadyExistsError);
    assert.deepEqual(
      (await Sandbox.list()).map(({ name }) => name),
      ["stale"],
    );
  }
  await writeFile(join(directoryOf("damaged"), "config.json"), config);
  for (const text of damages) {
    await writeFile(join(directoryOf("damaged"), "state.json"), text);
    if (/^\0*$/.test(text)) {
      // What a loss of power leaves. The sandbox's files are worth more than how it ended.
      assert.equal((await Sandbox.get("damaged")).status, "crashed");
      continue;
    }
    await failure(Sandbox.get("damaged"), JsonError);
    await failure(Sandbox.start("damaged"), JsonError);
  }
  // Whatever it is, it can be removed.
  await Sandbox.remove("damaged");
  await nothingLeft("damaged");

  await (await build("damaged").createDetached()).stop();
  await writeFile(join(directoryOf("damaged"), "config.json"), "{");
  await (await build("damaged").replace().createDetached()).destroy();
});

test("a state that names a living process which is not the supervisor", { timeout }, async () => {
  const sandbox = await build("reused").createDetached();
  await sandbox.stop();
  const path = join(directoryOf("reused"), "state.json");
  const state = JSON.parse(await readFile(path, "utf8")) as { supervisor: { started: string } };
  const [bootId = ""] = state.supervisor.started.split(":");
  for (const started of [state.supervisor.started, `${bootId}:1`, "another boot:1", ""]) {
    await writeFile(
      path,
      JSON.stringify({ ...state, status: "running", supervisor: { pid: process.pid, started } }),
    );
    assert.equal((await Sandbox.get("reused")).status, "crashed");
    // Nor is that process ever sent a signal: this one is still here.
    await sandbox.kill();
  }
  await using again = await Sandbox.start("reused");
  assert.equal((await again.exec("echo", ["hi"])).stdout(), "hi\n");
});

test("no QEMU, an old one, a broken one", { timeout }, async () => {
  const without = join(directory, "bin");
  await mkdir(without);
  // What else is needed to start a sandbox stays on the PATH.
  await symlink("/bin/sh", join(without, "sh"));
  const cases: Record<string, NodeJS.ProcessEnv> = {
    "not on the PATH": { PATH: without, MSB_QEMU: undefined },
    "a path to nothing": { MSB_QEMU: "/nonexistent/qemu" },
    "a directory": { MSB_QEMU: directory },
    "not executable": { MSB_QEMU: join(home, "sandboxes", "stale", "config.json") },
    old: { MSB_QEMU: await fakeQemu("old", 'echo "QEMU emulator version 6.2.0 (Debian)"') },
    mute: { MSB_QEMU: await fakeQemu("mute", "exit 0") },
    broken: { MSB_QEMU: await fakeQemu("broken", "echo cannot load library >&2; exit 127") },
  };
  for (const [what, environment] of Object.entries(cases)) {
    const error = await withEnvironment(environment, () =>
      failure(build("qemu").create(), QemuNotFoundError),
    );
    assert.match(error.hint, /MSB_QEMU|[Ii]nstall/, what);
    await nothingLeft("qemu");
  }
});

test("a QEMU that fails at the start: the error has its words", { timeout }, async () => {
  const real = await fakeQemu(
    "failing",
    'case "$*" in *-version*) echo "QEMU emulator version 9.0.0";; *) echo "qemu: no such luck" >&2; exit 3;; esac',
  );
  const error = await withEnvironment({ MSB_QEMU: real }, () =>
    failure(build("words").create(), BootStartError),
  );
  assert.match(error.qemuOutput, /no such luck/);
  assert.equal(error.stage, "build_vm");
  assert.equal(error.sandboxName, "words");
  const handle = await Sandbox.get("words");
  assert.equal(handle.status, "stopped");
  assert.match((await handle.bootError())?.qemuOutput ?? "", /no such luck/);
  await handle.remove();
  await nothingLeft("words");
});

test("kernels that are none", { timeout }, async () => {
  const library = join(directory, "libkrunfw.so");
  await symlink(await sharedObject(), library);
  const unreadable = join(directory, "garbage");
  await writeFile(unreadable, Buffer.alloc(65_536, "garbage"));
  const cases: [string, ErrorClass<MicrosandboxError>, RegExp][] = [
    ["/nonexistent/vmlinux", LibkrunfwNotFoundError, /nonexistent/],
    [directory, LibkrunfwNotFoundError, /not a regular file/],
    [library, InvalidConfigError, /shared object/],
    [unreadable, InvalidConfigError, /no kernel image/],
    [process.execPath, InvalidConfigError, /a program/],
  ];
  for (const [path, expected, message] of cases) {
    const error = await failure(build("kernel").libkrunfwPath(path).create(), expected);
    assert.match(error.message, message);
    await nothingLeft("kernel");
    const chosen = await withEnvironment({ MSB_KERNEL: path }, () =>
      failure(build("kernel").create(), expected),
    );
    assert.equal(chosen.message, error.message);
    await nothingLeft("kernel");
  }
});

test("a kernel that looks like one and is not: stage, console and QEMU's words", { timeout }, async () => {
  // The headers of a bzImage (boot flag, magic number, protocol 2.15), and zeros where its code should be.
  const image = Buffer.alloc(1024 * 1024);
  image[0x1f1] = 4;
  image.writeUInt16LE(0xaa55, 0x1fe);
  image.write("HdrS", 0x202, "latin1");
  image.writeUInt16LE(0x020f, 0x206);
  const path = join(directory, "bzImage");
  await writeFile(path, image);
  const error = await withEnvironment({ MSB_BOOT_TIMEOUT_MS: "4000" }, () =>
    failure(build("zeros").libkrunfwPath(path).create(), BootStartError),
  );
  assert.equal(error.stage, "build_vm");
  assert.equal(typeof error.consoleTail, "string");
  await processesGone(home);
  const handle = await Sandbox.get("zeros");
  assert.equal(handle.status, "stopped");
  assert.equal((await handle.bootError())?.message, error.message);
  await handle.remove();
});

test("a boot that takes too long, and a later one that does not", { timeout }, async () => {
  const error = await withEnvironment({ MSB_BOOT_TIMEOUT_MS: "500" }, () =>
    // Of a size that no other test has made a template for.
    failure(
      build("slow")
        .memory(smallMemory + 1)
        .createDetached(),
      BootStartError,
    ),
  );
  assert.match(error.message, /500 ms/);
  assert.match(error.hint, /MSB_BOOT_TIMEOUT_MS/);
  await processesGone(home);
  const handle = await Sandbox.get("slow");
  await withEnvironment({ MSB_BOOT_TIMEOUT_MS: "long" }, () => failure(handle.start(), InvalidConfigError));
  await withEnvironment({ MSB_PROFILE: "work" }, () => failure(handle.start(), UnsupportedOperationError));
  assert.equal(handle.status, "stopped");
  const report = await handle.bootError();
  assert.equal(report?.stage, "build_vm");
  assert.equal(report.message, error.message);
  const logged = await readFile(join(directoryOf("slow"), "logs", "boot-error.json"), "utf8");
  assert.deepEqual(JSON.parse(logged), report);
  assert.ok((await handle.logs({ sources: ["system"] })).some((entry) => entry.text().includes("500 ms")));

  const sandbox = await handle.startDetached();
  // Found out before it is stopped.
  await withEnvironment({ MSB_BOOT_TIMEOUT_MS: "long" }, () =>
    failure(sandbox.restart(), InvalidConfigError),
  );
  await withEnvironment({ MSB_BACKEND: "cloud" }, () =>
    failure(sandbox.restart(), UnsupportedOperationError),
  );
  assert.equal((await sandbox.exec("echo", ["hi"])).stdout(), "hi\n");
  assert.equal(await handle.bootError(), null);
  await sandbox.destroy();
});

test("too little memory is refused at once, and the least is enough", { timeout }, async () => {
  const least = leastMemoryMib({ cpus: 1, kernelPath: null });
  for (const memory of [1, 64, least - 1].filter((mib) => mib > 0 && mib < least)) {
    const error = await failure(build("little").memory(memory).create(), InvalidConfigError);
    assert.match(error.message, new RegExp(`needs ${least} `));
    await nothingLeft("little");
  }
  const sandbox = await build("little")
    .memory(least || comfortableMemoryMib)
    .createDetached();
  assert.equal((await sandbox.exec("echo", ["hi"])).stdout(), "hi\n");
  await sandbox.destroy();
});

test("a working directory that cannot be one", { timeout }, async () => {
  const error = await failure(build("workdir").workdir("/etc/passwd/below").create(), InvalidConfigError);
  assert.match(error.message, /\/etc\/passwd\/below is not a directory/);
  assert.notEqual(error.hint, "");
  await nothingLeft("workdir");
  await failure(build("workdir").workdir("/proc/none").create(), InvalidConfigError);
  await nothingLeft("workdir");
});

test("settings of the user that are wrong", { timeout }, async () => {
  const file = join(directory, "config.json");
  for (const [text, field] of [
    ["{", /JSON/],
    ['{"sandbox_defaults":{"cpus":"two"}}', /sandbox_defaults\.cpus/],
    ['{"log_level":"loud"}', /log_level/],
  ] as const) {
    await writeFile(file, text);
    const error = await withEnvironment({ MSB_CONFIG_PATH: file }, () =>
      failure(build("settings").create(), InvalidConfigError),
    );
    assert.match(error.message, field);
  }
  await nothingLeft("settings");
});

test(
  "a running sandbox whose files are taken away ends, and its supervisor with it",
  { timeout },
  async () => {
    const sandbox = await build("vanished").createDetached();
    await failure(Sandbox.remove("vanished"), SandboxStillRunningError);
    await rm(directoryOf("vanished"), { recursive: true });
    await failure(Sandbox.get("vanished"), SandboxNotFoundError);
    for (const { pid, kind } of await processesOf(home, "vanished")) {
      if (kind === "supervisor") process.kill(pid, "SIGTERM");
    }
    await processesGone(home);
    await assert.rejects(sandbox.exec("true"), SandboxNotFoundError);
  },
);

test("a home that cannot be", { timeout }, async () => {
  const file = join(directory, "file");
  await writeFile(file, "");
  for (const path of [file, join(file, "below")]) {
    await withEnvironment({ MSB_HOME: path }, async () => {
      await failure(build("homeless").create(), IoError);
      await assert.rejects(Sandbox.get("homeless"), MicrosandboxError);
    });
  }
});

/** Any shared object of this system; libc is none that will do, it can also be run. */
async function sharedObject(): Promise<string> {
  const path = /\/\S+\/libm\.so\S*/.exec(await readFile("/proc/self/maps", "utf8"))?.[0];
  assert.ok(path !== undefined);
  return path;
}
