import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmod, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, test } from "node:test";
import { QemuNotFoundError } from "../../errors/index.ts";
import { shielded } from "./term-shield.ts";
import { findQemu, installLine, parseQemuVersion } from "./qemu-binary.ts";

const timeout = 120_000;
let directory = "";
const saved = { qemu: process.env["MSB_QEMU"], path: process.env["PATH"] ?? "" };

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), "msb-qemu-")));
});

afterEach(async () => {
  process.env["PATH"] = saved.path;
  if (saved.qemu === undefined) delete process.env["MSB_QEMU"];
  else process.env["MSB_QEMU"] = saved.qemu;
  await rm(directory, { recursive: true });
});

async function script(name: string, body: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

test("finds the installed QEMU and remembers what it can do", { timeout }, async () => {
  const found = await findQemu({ cacheDirectory: directory });
  assert.match(found.version, /^\d+\.\d+/);
  assert.match(
    await readFile(join(directory, "qemu.json"), "utf8"),
    new RegExp(found.version.replaceAll(".", "\\.")),
  );
  assert.deepEqual(await findQemu({ cacheDirectory: directory }), found);
});

test("a remembered binary is not asked again until it changes", { timeout }, async () => {
  const log = join(directory, "log");
  const program = await script("qemu", `echo run >> ${log}; echo 'QEMU emulator version 8.2.1 (x)'`);
  process.env["MSB_QEMU"] = program;
  for (let i = 0; i < 3; i++) assert.equal((await findQemu({ cacheDirectory: directory })).version, "8.2.1");
  assert.equal(await readFile(log, "utf8"), "run\n");
  await script("qemu", "echo 'QEMU emulator version 10.0.0, newer'");
  assert.equal((await findQemu({ cacheDirectory: directory })).version, "10.0.0");
});

test("a QEMU without seccomp is used without", { timeout }, async () => {
  process.env["MSB_QEMU"] = await script(
    "qemu",
    '[ "$1" = -version ] || exit 1; echo "QEMU emulator version 9.1.0"',
  );
  const found = await findQemu();
  assert.equal(found.seccomp, false);
  assert.equal(found.version, "9.1.0");
});

test("an old QEMU, a broken one and a missing one are refused with what to do", { timeout }, async () => {
  const refused = async (message: RegExp): Promise<void> => {
    await assert.rejects(findQemu(), (error) => {
      assert.ok(error instanceof QemuNotFoundError);
      assert.match(error.message, message);
      assert.notEqual(error.hint, "");
      return true;
    });
  };
  process.env["MSB_QEMU"] = await script("old", "echo 'QEMU emulator version 6.2.0'");
  await refused(/is QEMU 6\.2\.0; 7\.2 or newer/);
  process.env["MSB_QEMU"] = await script("broken", "echo sorry; exit 3");
  await refused(/does not tell its version/);
  process.env["MSB_QEMU"] = join(directory, "missing");
  await refused(/MSB_QEMU names/);
  delete process.env["MSB_QEMU"];
  process.env["PATH"] = directory;
  await refused(/is not installed/);
});

test("reads versions", () => {
  assert.equal(parseQemuVersion("QEMU emulator version 7.2.22 (Debian 1:7.2)\nCopyright"), "7.2.22");
  assert.equal(parseQemuVersion("QEMU emulator version 10.1"), "10.1");
  assert.equal(parseQemuVersion("something else"), null);
});

test("knows how QEMU is installed", () => {
  assert.equal(
    installLine("linux", "x64", 'NAME="Debian"\nID=debian\n'),
    "sudo apt-get install -y qemu-system-x86",
  );
  assert.equal(
    installLine("linux", "arm64", "ID=ubuntu\nID_LIKE=debian\n"),
    "sudo apt-get install -y qemu-system-arm",
  );
  assert.equal(
    installLine("linux", "x64", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n'),
    "sudo dnf install -y qemu-system-x86",
  );
  assert.equal(installLine("darwin", "arm64", ""), "brew install qemu");
  assert.equal(installLine("linux", "x64", "ID=unheardof\n"), null);
});

test("no SIGTERM ends what an env(1) that can starts; another is not used", { timeout }, async () => {
  const { env } = await findQemu({ cacheDirectory: directory });
  assert.notEqual(env, null, "this host has the env(1) of GNU coreutils");
  const [program = "", ...parameters] = shielded(env, ["/bin/sh", "-c", "echo ready; read -r _; echo on"]);
  const child = spawn(program, parameters, { stdio: ["pipe", "pipe", "inherit"] });
  const said = text(child.stdout);
  await new Promise((resolve) => child.stdout.once("readable", resolve));
  child.kill("SIGTERM");
  child.stdin.end("\n");
  assert.equal(await said, "ready\non\n");
  await script("env", '[ "$1" = -i ]');
  process.env["PATH"] = `${directory}:${saved.path}`;
  assert.equal((await findQemu({ cacheDirectory: directory })).env, null);
});
