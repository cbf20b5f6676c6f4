import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Sandbox } from "../../../src/index.ts";
import { MsbHome } from "../cli/cli-support.ts";
import { timeout } from "../lifecycle-support.ts";
import { output } from "../images/root-support.ts";
import { metricsOfGuest, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { runtimeLog } from "../templates/template-support.ts";

export const needs: Needs = ["cold"];

// A little of everything whose own tests run only in sandboxes of templates, in a sandbox that has booted.
const home = useTemporaryHome();
const name = "booted";
let sandbox: Sandbox;

before(async () => {
  sandbox = await Sandbox.builder(name)
    .image("localhost/base")
    .cpus(2)
    .memory(256)
    .volume("/data/memory", (m) => m.tmpfs().size(4))
    .volume("/data", (m) => m.namedWith("booted", "create", "disk", 32))
    .script("greet", "#!/bin/sh\necho hello\n")
    .logLevel("info")
    .create();
});
after(() => sandbox.kill());

test("it has booted", { timeout }, async () => {
  const log = await runtimeLog(home, name);
  assert.match(log, /turned off by MSB_TEMPLATES/);
  assert.doesNotMatch(log, /started from/);
});

test("commands: both outputs, standard input, exit codes, signals, a script", { timeout }, async () => {
  const told = await sandbox.execWith("sh", (e) =>
    e.args(["-c", "cat; echo problem >&2; exit 7"]).stdinBytes("typed\n"),
  );
  assert.deepEqual([told.code, told.stdout(), told.stderr()], [7, "typed\n", "problem\n"]);
  assert.equal((await sandbox.shell("kill -9 $$")).code, 137);
  assert.equal(await output(sandbox, "greet"), "hello");
});

test("a command on a terminal", { timeout }, async () => {
  const { stdout } = await sandbox
    .execWith("sh", (e) => e.args(["-c", "stty size; tty"]).tty(true))
    .then((ended) => ({ stdout: ended.stdout() }));
  assert.match(stdout, /^24 80\r\n\/dev\/pts\/\d+\r\n$/);
});

test("a disk and memory in it are mounted", { timeout }, async () => {
  assert.equal(
    await output(sandbox, "awk '$2 ~ /^.data/ { print $2, $3 }' /proc/mounts"),
    "/data ext4\n/data/memory tmpfs",
  );
  await output(sandbox, "echo written > /data/file; sync");
});

test("a megabyte in and out", { timeout }, async () => {
  const data = Buffer.alloc(1024 * 1024, "0123456789\n");
  const echoed = await sandbox.execWith("cat", (e) => e.stdinBytes(data));
  assert.ok(Buffer.from(echoed.stdoutBytes()).equals(data));
});

test("both processors work, and the network card is set up as is usual", { timeout }, async () => {
  assert.equal(await output(sandbox, "nproc"), "2");
  assert.equal(await output(sandbox, "taskset 2 sh -c 'taskset -p $$' | grep -o '[0-9]*$'"), "2");
  assert.equal(await output(sandbox, "ls /sys/class/net; cat /sys/class/net/eth0/mtu"), "eth0\nlo\n65520");
});

test("the guest has the host's time, random numbers and a machine id", { timeout }, async () => {
  const [seconds = "", random = "", id = ""] = (
    await output(
      sandbox,
      "date +%s; head -c 8 /dev/random | od -An -tx1 | tr -d ' \\n'; echo; cat /etc/machine-id",
    )
  ).split("\n");
  assert.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 5, seconds);
  assert.match(random, /^[0-9a-f]{16}$/);
  assert.match(id, /^[0-9a-f]{32}$/);
});

test("its log: the boot's console, and what commands print", { timeout }, async () => {
  await sandbox.exec("echo", ["logged"]);
  assert.equal((await sandbox.logs({ tail: 1 }))[0]?.text(), "logged\n");
  const system = (await sandbox.logs({ sources: ["system"] })).map((entry) => entry.text());
  assert.ok(system.some((text) => text.startsWith("--- boot ")));
  assert.ok(system.includes("--- sandbox started ---\n"));
});

test("its metrics", { timeout }, async () => {
  const { memoryBytes, memoryLimitBytes, vcpuTimeNs, diskReadBytes } = await metricsOfGuest(sandbox);
  assert.equal(memoryLimitBytes, 256 * 1024 * 1024);
  assert.ok(memoryBytes > 10 * 1024 * 1024 && memoryBytes < memoryLimitBytes, `${memoryBytes}`);
  assert.ok(vcpuTimeNs > 1e8, `${vcpuTimeNs} ns`);
  assert.ok(diskReadBytes > 10_000, `${diskReadBytes} bytes`);
});

test("a stop keeps what was written, for the next boot", { timeout }, async () => {
  await output(sandbox, "echo kept > /root/kept");
  assert.deepEqual(await sandbox.stopAndWait(), { code: 0, success: true });
  sandbox = await Sandbox.start(name);
  assert.equal(await output(sandbox, "cat /root/kept; hostname"), `kept\n${name}`);
});

test("msb run: input, output and exit code, and nothing is left", { timeout }, async () => {
  await using cli = new MsbHome();
  const { result } = cli.start(["run", "--", "sh", "-c", "cat; exit 3"], "through\n");
  const { code, stdout } = await result;
  assert.deepEqual([code, stdout], [3, "through\n"]);
  assert.deepEqual(await cli.names(), []);
});
