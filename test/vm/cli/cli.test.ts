import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { findQemu } from "../../../src/machine/qemu/qemu-binary.ts";
import { MsbHome, msbProgram, type Result } from "./cli-support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

const home = new MsbHome();
after(() => home[Symbol.asyncDispose]());

function succeeded(result: Result): void {
  assert.equal(result.code, 0, result.stderr);
}

describe("a sandbox for one command", () => {
  test("stdin goes in, stdout and stderr come out apart, the exit code passes through, nothing is left", async () => {
    const script = 'read line; echo "got $line"; cat; echo problem >&2; exit 7';
    const { result } = home.start(["run", "--", "sh", "-c", script], "first\nsecond\n");
    const { code, stdout, stderr } = await result;
    assert.equal(stdout, "got first\nsecond\n");
    assert.match(stderr, /problem\n/);
    assert.equal(code, 7);
    assert.deepEqual(await home.names(), []);
  });

  test("without a command is an error, and so is one that cannot be run; nothing is left", async () => {
    const nothing = await home.msb("run");
    assert.deepEqual([nothing.code, nothing.stdout], [125, ""]);
    assert.match(nothing.stderr, /^error: .*nothing to run/m);
    const nobody = await home.msb("run", "-u", "no-such-user", "--", "true");
    assert.equal(nobody.code, 126);
    assert.match(nobody.stderr, /no-such-user/);
    const missing = await home.msb("run", "--", "no-such-program");
    assert.equal(missing.code, 127);
    assert.deepEqual(await home.names(), []);
  });

  test("a signal ends the sandbox and leaves nothing", async () => {
    const { child, result, stdoutHas } = home.start(["run", "--", "sh", "-c", "echo ready; sleep 300"]);
    await stdoutHas("ready");
    child.kill("SIGINT");
    const { code, signal } = await result;
    assert.deepEqual([code, signal], [130, null]);
    assert.deepEqual(await home.names(), []);
  });

  test("a signal that is passed on leaves the exit code to the command", async () => {
    const script = 'trap "echo caught; exit 7" TERM; echo ready; while :; do sleep 1; done';
    const { child, result, stdoutHas } = home.start(["run", "--", "sh", "-c", script]);
    await stdoutHas("ready");
    child.kill("SIGTERM");
    const { code, stdout } = await result;
    assert.deepEqual([code, stdout], [7, "ready\ncaught\n"]);
    assert.deepEqual(await home.names(), []);
  });

  test("more virtual CPUs than the host has processors are told of before anything takes long", async () => {
    const { child, result, stderrHas } = home.start(["run", "-c", "99", "--", "true"]);
    await stderrHas("99 virtual CPUs share");
    child.kill("SIGINT");
    assert.equal((await result).code, 130);
    assert.deepEqual(await home.names(), []);
  });

  test("the image that comes with the package: nothing is pulled, and nothing is stored", async () => {
    const pulled = await home.msb("pull", "localhost/base");
    assert.equal(pulled.code, 0);
    assert.match(pulled.stderr, /^localhost\/base comes with this package: there is nothing to pull\n$/);
    for (const args of [
      ["save", "localhost/base", "-o", join(home.path, "base.tar")],
      ["image", "inspect", "localhost/base"],
      ["rmi", "localhost/base"],
    ]) {
      const { code, stderr } = await home.msb(...args);
      assert.equal(code, 1);
      assert.match(
        stderr,
        /localhost\/base is not among the stored images: it comes with this package\n {2}→ /,
      );
    }
  });

  test("a signal during the start leaves nothing either, whether the sandbox has a name or not", async () => {
    // A start that does not end before the signal comes: its QEMU never says a word.
    const qemu = join(home.path, "silent-qemu");
    const { path } = await findQemu();
    const script = `#!/bin/sh\ncase "$*" in *-version*) exec ${path} "$@";; *) exec sleep 600;; esac\n`;
    writeFileSync(qemu, script, { mode: 0o755 });
    home.environment["MSB_QEMU"] = qemu;
    try {
      for (const args of [["run"], ["create", "-n", "interrupted"]]) {
        const { child, result, stderrHas } = home.start(["--info", ...args]);
        await stderrHas(" prepare\n");
        child.kill("SIGTERM");
        const { code, signal } = await result;
        assert.deepEqual([code, signal], [143, null]);
        assert.deepEqual(await home.names(), []);
      }
    } finally {
      delete home.environment["MSB_QEMU"];
    }
  });

  test("even SIGKILL of msb ends the sandbox", async () => {
    const { child, result, stdoutHas } = home.start([
      "run",
      "-n",
      "killed",
      "--",
      "sh",
      "-c",
      "echo ready; sleep 300",
    ]);
    await stdoutHas("ready");
    assert.equal((await home.statuses())["killed"], "Running");
    child.kill("SIGKILL");
    assert.equal((await result).signal, "SIGKILL");
    await home.until(
      () => home.statuses(),
      (statuses) => statuses["killed"] === "Stopped",
    );
    succeeded(await home.msb("rm", "killed"));
  });
});

/** Clears the screen, turns text round, and looks like a line of ours. */
const hostileLabel = "evil=\x1b[2Jsh\u202eown\nStatus: forged";

describe("a sandbox that stays", () => {
  before(async () => {
    const result = await home.msb(
      "create",
      "-n",
      "demo",
      "-e",
      "GREETING=hello",
      "--label",
      "stage=test",
      "--label",
      hostileLabel,
      "-m",
      "256M",
    );
    succeeded(result);
    assert.equal(result.stdout, "", "a name that was given is not printed");
    assert.match(result.stderr, / {3}✓ Created {6}demo/);
  });

  test("is listed, as a table, as JSON and as names", async () => {
    const { stdout } = await home.msb("ls");
    assert.match(
      stdout,
      /^NAME {4}IMAGE {13,}STATUS {5}CREATED {16}PORTS\ndemo {4}localhost\/base {4}running {4}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {4}-\n$/,
    );
    assert.equal((await home.msb("list", "--running", "-q")).stdout, "demo\n");
    const [item] = JSON.parse((await home.msb("ls", "--format", "json")).stdout) as Record<string, string>[];
    assert.deepEqual(Object.keys(item ?? {}), ["name", "status", "created_at", "image", "ports"]);
    assert.equal(item?.["status"], "Running");
    assert.match(item["created_at"] ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const none = await home.msb("ls", "--stopped");
    assert.deepEqual([none.code, none.stdout, none.stderr], [0, "", "No sandboxes found.\n"]);
    assert.equal((await home.msb("ls", "-q", "--label", "stage=other")).stdout, "");
    assert.equal((await home.msb("ls", "-q", "--label", "stage=test")).stdout, "demo\n");
  });

  test("is shown with what it has", async () => {
    assert.match(
      (await home.msb("ps")).stdout,
      /^NAME +IMAGE +COMMAND +CPUS +MEM +STATUS +PORTS\ndemo .* 1 +256M +running +-\n$/,
    );
    const one = JSON.parse((await home.msb("ps", "demo", "--format", "json")).stdout) as Record<
      string,
      unknown
    >;
    assert.deepEqual(
      { ...one, command: null },
      {
        name: "demo",
        status: "Running",
        image: "localhost/base",
        command: null,
        ports: [],
        cpus: 1,
        max_cpus: 1,
        memory_mib: 256,
        max_memory_mib: 256,
        thp: "madvise",
      },
    );
    assert.match(
      (await home.msb("inspect", "demo")).stdout,
      /^Name: +demo\n[^]*^Environment: +GREETING=hello\nLabels: +stage=test\n +evil=shown\\nStatus: forged\n/m,
    );
    assert.match((await home.msb("inspect", "demo")).stdout, /^Accelerator: +(tcg|kvm|hvf)/m);
    const all = JSON.parse((await home.msb("inspect", "demo", "--format", "json")).stdout) as Record<
      string,
      unknown
    >;
    assert.deepEqual(Object.keys(all), [
      "name",
      "status",
      "accelerator",
      "start",
      "config",
      "created_at",
      "updated_at",
      "ports",
      "active_config",
      "pending_changes",
    ]);
  });

  test("runs commands with the environment, user, directory and limits asked for", async () => {
    const script = 'echo "$GREETING $MORE $(id -u) $(pwd) $(ulimit -n)"; exit 3';
    const options = ["-e", "MORE=world", "-u", "1000:1000", "-w", "/tmp", "--rlimit", "nofile=64:128"];
    const result = await home.msb("exec", ...options, "demo", "--", "sh", "-c", script);
    assert.deepEqual([result.code, result.stdout, result.stderr], [3, "hello world 1000 /tmp 64\n", ""]);
  });

  test("gets stdin as it comes, not when it ends", async () => {
    const { child, result, stdoutHas } = home.start(["exec", "--stream", "demo", "--", "cat"], null);
    child.stdin?.write("first\n");
    await stdoutHas("first\n");
    child.stdin?.end("second");
    const { code, stdout } = await result;
    assert.deepEqual([code, stdout], [0, "first\nsecond"]);
  });

  test("passes megabytes in both directions unchanged", async () => {
    const data = Array.from(
      { length: 40_000 },
      (_, line) => `line ${String(line)} of what is piped through\n`,
    ).join("");
    const { result } = home.start(["exec", "demo", "--", "cat"], data);
    const { code, stdout } = await result;
    assert.equal(code, 0);
    assert.ok(
      stdout === data,
      `${String(stdout.length)} of ${String(data.length)} characters came back unchanged`,
    );
  });

  test("a terminal can be asked for without having one", async () => {
    const { code, stdout } = await home.reading(
      "/dev/null",
      "exec",
      "-t",
      "demo",
      "--",
      "sh",
      "-c",
      "tty; cat",
    );
    assert.equal(code, 0);
    assert.match(stdout, /^\/dev\/pts\/\d+\r\n$/);
  });

  test("a terminal is not given what comes through a pipe: it would cut lines and act on bytes", async () => {
    const long = `${"x".repeat(5000)}\n`;
    const refused = await home.start(["exec", "-t", "demo", "--", "wc", "-c"], long).result;
    assert.deepEqual([refused.code, refused.stdout], [2, ""]);
    assert.match(refused.stderr, /not a terminal\n {2}→ Leave out -t/);
    const passed = await home.start(["exec", "demo", "--", "wc", "-c"], long).result;
    assert.deepEqual([passed.code, passed.stdout], [0, "5001\n"]);
  });

  test("an input that cannot be read is no empty one", async () => {
    for (const [args, code] of [
      [["exec", "demo"], 1],
      [["run"], 125],
    ] as const) {
      const result = await home.reading("/etc", ...args, "--", "true");
      assert.equal(result.code, code);
      assert.match(result.stderr, /cannot read standard input: it is a directory/);
    }
    // A process may read its own memory, but not at its beginning, where nothing is mapped.
    const broken = await home.reading("/proc/self/mem", "exec", "demo", "--", "cat");
    assert.deepEqual([broken.code, broken.stdout], [1, ""]);
    assert.match(broken.stderr, /cannot read standard input: .*EIO/);
  });

  test("a command that cannot be started is told as shells do", async () => {
    const missing = await home.msb("exec", "demo", "--", "no-such-program");
    assert.equal(missing.code, 127);
    assert.match(missing.stderr, /^error: failed to exec "no-such-program"\n {2}→ not found: .*\(ENOENT\)/);
    const refused = await home.msb("exec", "demo", "--", "/etc/passwd");
    assert.equal(refused.code, 126);
    assert.match(refused.stderr, /permission denied: .*\(EACCES\)/);
    const nowhere = await home.msb("exec", "-w", "/nowhere", "demo", "--", "true");
    assert.equal(nowhere.code, 126);
    assert.match(nowhere.stderr, /bad cwd: /);
    const nobody = await home.msb("exec", "-u", "no-such-user", "demo", "--", "true");
    assert.equal(nobody.code, 126);
    assert.match(nobody.stderr, /user setup: /);
    const unnameable = await home.msb("exec", "demo", "--", "n".repeat(300));
    assert.equal(unnameable.code, 126);
    assert.match(unnameable.stderr, /^error: the program has a part of more than the 255 bytes/);
  });

  test("a timeout kills the command and not the sandbox", async () => {
    const result = await home.msb("exec", "--timeout", "500ms", "demo", "--", "sleep", "300");
    assert.equal(result.code, 1);
    assert.match(result.stderr, /^error: .*sleep.* 500 ms/);
    succeeded(await home.msb("exec", "demo", "--", "true"));
  });

  test("signals to msb reach the command", async () => {
    const script = "trap 'echo caught; exit 0' TERM; echo ready; while :; do sleep 0.1; done";
    const { child, result, stdoutHas } = home.start(["exec", "demo", "--", "sh", "-c", script]);
    await stdoutHas("ready");
    child.kill("SIGTERM");
    const { code, stdout } = await result;
    assert.deepEqual([code, stdout], [0, "ready\ncaught\n"]);
  });

  test("a reader that goes away ends msb quietly, and the command with it", async () => {
    const child = spawn(
      process.execPath,
      [msbProgram, "exec", "demo", "--", "sh", "-c", "exec yes marker-of-yes"],
      {
        env: home.environment,
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    await once(child.stdout, "data");
    child.stdout.destroy();
    const [code] = (await once(child, "close")) as [number | null];
    assert.deepEqual([code, stderr], [141, ""]);
    await home.until(
      () => home.msb("exec", "demo", "--", "sh", "-c", "ps | grep -c '[m]arker-of-yes'"),
      ({ stdout }) => stdout === "0\n",
    );
  });

  test("a full disk behind stdout ends msb with its reason, and the command with it; one behind stderr, too", async () => {
    for (const command of ["exec demo -- sh -c 'exec yes marker-of-full'", "inspect demo", "logs demo"]) {
      const child = spawn(
        "/bin/sh",
        ["-c", `exec "$0" "$1" ${command} >/dev/full`, process.execPath, msbProgram],
        {
          env: home.environment,
          stdio: ["ignore", "ignore", "pipe"],
        },
      );
      let stderr = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
      const [code] = (await once(child, "close")) as [number | null];
      assert.equal(code, 1, command);
      assert.match(stderr, /^error: cannot write to stdout: no space left on device \(ENOSPC\)\n {2}→ .*\n$/);
    }
    const script = `exec "$0" "$1" exec demo -- sh -c 'exec yes marker-of-full >&2' 2>/dev/full`;
    const child = spawn("/bin/sh", ["-c", script, process.execPath, msbProgram], {
      env: home.environment,
      stdio: "ignore",
    });
    assert.deepEqual(await once(child, "close"), [1, null]);
    await home.until(
      () => home.msb("exec", "demo", "--", "sh", "-c", "ps | grep -c '[m]arker-of-full'"),
      ({ stdout }) => stdout === "0\n",
    );
  });

  test("tells how it is", async () => {
    assert.match(
      (await home.msb("ping", "--touch", "demo")).stdout,
      /^Reachable demo \(\d+(\.\d+)? m?s\)\n$/,
    );
    succeeded(await home.msb("touch", "demo"));
    const table = await home.msb("--warn", "metrics");
    assert.equal(table.stderr, "");
    assert.match(
      table.stdout,
      /^NAME +STATE +CPU +MEM +DISK R\/W \/s +NET RX\/TX \/s +UPTIME\ndemo +running +\d+\.\d% +[\d.]+ MiB \/ 256 MiB /,
    );
    // A guest that is slow to answer is left out of a sample.
    const sample = await home.until(
      async () =>
        JSON.parse((await home.msb("metrics", "demo", "--format", "json")).stdout) as Record<string, unknown>,
      (one) => one["upper_free_bytes"] !== null,
    );
    assert.equal(sample["state"], "Running");
    assert.equal(sample["memory_limit_bytes"], 256 * 1024 * 1024);
    assert.ok(Number(sample["vcpu_time_ns"]) > 0);
    assert.ok(Number(sample["upper_free_bytes"]) > 0);
    const { child, result, stdoutHas } = home.start([
      "metrics",
      "-f",
      "--interval",
      "100ms",
      "--format",
      "json",
      "demo",
    ]);
    await stdoutHas("\n");
    child.kill("SIGTERM");
    for (const line of (await result).stdout.trim().split("\n"))
      assert.equal((JSON.parse(line) as { name: string }).name, "demo");
  });

  test("keeps what was written, and follows what is being written", async () => {
    const following = home.start(["logs", "-f", "--tail", "1", "--source", "all", "demo"]);
    await following.stdoutHas("\n");
    await home.msb("exec", "demo", "--", "sh", "-c", "echo to-be-logged-1; echo to-be-logged-2");
    // The sandbox's own lines may come in between.
    await following.stdoutHas("to-be-logged-1\n");
    await following.stdoutHas("to-be-logged-2\n");
    following.child.kill("SIGTERM");
    await following.result;
    const lines = await home.msb(
      "logs",
      "--grep",
      "to-be-logged",
      "--tail",
      "1",
      "--timestamps",
      "--show-id",
      "demo",
    );
    assert.match(lines.stdout, /^\d{4}-\d\d-\d\dT[\d:.]+Z \[\d+\] to-be-logged-2\n$/);
    const json = await home.msb("logs", "--json", "--source", "system,stdout", "demo");
    const entries = json.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.ok(
      entries.some((entry) => entry["s"] === "system" && String(entry["d"]).includes("sandbox started")),
    );
    assert.ok(
      entries.some(
        (entry) =>
          entry["s"] === "stdout" && String(entry["d"]).includes("to-be-logged-1") && Number(entry["id"]) > 0,
      ),
    );
    assert.ok(entries.every((entry) => !Number.isNaN(Date.parse(String(entry["t"])))));
  });

  test("is used by run as it is, with a warning about what is ignored, and goes on", async () => {
    const result = await home.msb("run", "-n", "demo", "-c", "2", "--", "sh", "-c", "echo $GREETING");
    assert.deepEqual([result.code, result.stdout], [0, "hello\n"]);
    assert.match(result.stderr, /^warn: demo exists already: ignoring --cpus/);
    assert.equal((await home.statuses())["demo"], "Running");
  });

  test("runs a command that nobody waits for", async () => {
    const result = await home.msb(
      "run",
      "-d",
      "-n",
      "demo",
      "--",
      "sh",
      "-c",
      "echo left-to-itself; exec sleep 300",
    );
    assert.deepEqual([result.code, result.stdout], [0, ""]);
    await home.until(
      () => home.msb("exec", "demo", "--", "sh", "-c", "ps | grep -c '[s]leep 300'"),
      ({ stdout }) => stdout === "1\n",
    );
    await home.until(
      () => home.msb("logs", "demo"),
      ({ stdout }) => stdout.includes("left-to-itself\n"),
    );
  });

  test("cannot be started, removed or created again while it runs", async () => {
    const start = await home.msb("start", "demo");
    assert.equal(start.code, 1);
    assert.match(start.stderr, /^error: cannot start sandbox 'demo': already running\n {2}→ /m);
    const remove = await home.msb("rm", "demo");
    assert.equal(remove.code, 1);
    assert.match(remove.stderr, /^error: cannot remove sandbox 'demo': it is running\n {2}→ /m);
    const create = await home.msb("create", "-n", "demo");
    assert.equal(create.code, 1);
    assert.match(create.stderr, /^error: .*demo.*exists/m);
    assert.equal((await home.statuses())["demo"], "Running");
  });

  test("is stopped, used while stopped, started and removed", async () => {
    succeeded(await home.msb("exec", "demo", "--", "sh", "-c", "echo kept > /root/file"));
    const stop = await home.msb("stop", "demo", "no-such-sandbox");
    assert.equal(stop.code, 1, "one of the two does not exist");
    assert.match(stop.stderr, / {3}✓ Stopped {6}demo/);
    assert.match(stop.stderr, /^error: no sandbox is named no-such-sandbox\n {2}→ /m);
    assert.equal((await home.statuses())["demo"], "Stopped");
    assert.deepEqual((await home.msb("ps")).stderr, "No running sandboxes.\n");

    const unreachable = await home.msb("ping", "demo");
    assert.equal(unreachable.code, 1);
    const used = await home.msb("exec", "demo", "--", "cat", "/root/file");
    assert.deepEqual([used.code, used.stdout], [0, "kept\n"]);
    assert.equal((await home.statuses())["demo"], "Stopped");

    succeeded(await home.msb("start", "-q", "demo"));
    assert.equal((await home.statuses())["demo"], "Running");
    succeeded(await home.msb("rm", "-f", "--label", "stage=test"));
    assert.deepEqual(await home.names(), []);
    const none = await home.msb("stop", "--label", "stage=test");
    assert.equal(none.code, 0);
    assert.match(none.stderr, /^warn: /);
  });
});

describe("what is left of a sandbox whose files are gone or damaged", () => {
  test("can be removed by force", async () => {
    for (const content of ["{ half a file", null]) {
      const directory = join(home.path, "sandboxes", "broken");
      mkdirSync(directory, { recursive: true });
      if (content !== null) writeFileSync(join(directory, "config.json"), content);
      const create = await home.msb("create", "-n", "broken");
      assert.equal(create.code, 1);
      assert.match(create.stderr, /→ Remove it with "msb rm -f broken"/);
      succeeded(await home.msb("rm", "-f", "broken"));
      assert.ok(!existsSync(directory));
    }
    assert.equal((await home.msb("rm", "-f", "broken")).code, 1);
  });
});

describe("doctor", () => {
  test("says that this host is ready, row by row", async () => {
    const text = await home.msb("doctor");
    assert.equal(text.code, 0, text.stdout);
    assert.match(text.stdout, /^ {3}✓ qemu .*version [7-9]/m);
    assert.match(text.stdout, /^ {3}✓ kernel /m);
    assert.match(text.stdout, /^ {3}✓ home {2,}\S/m);
    assert.match(text.stdout, /\n\nHost setup is ready\.\n$/);
    const check = await home.msb("check", "--format", "json");
    succeeded(check);
    const json = JSON.parse(check.stdout) as {
      healthy: boolean;
      checks: { name: string; status: string; detail: string; fix: string }[];
    };
    assert.equal(json.healthy, true);
    assert.ok(json.checks.some(({ name, status }) => name === "qemu" && status === "ok"));
  });

  test("says what is missing and what to do, with code 1", async () => {
    home.environment["MSB_QEMU"] = "/no/such/qemu";
    try {
      const { code, stdout } = await home.msb("doctor");
      assert.equal(code, 1);
      assert.match(stdout, /^ {3}✗ qemu .*\/no\/such\/qemu.*\n {5,}→ \S/m);
      assert.match(stdout, /\n\n1 problem to solve before sandboxes can run\.\n$/);
    } finally {
      delete home.environment["MSB_QEMU"];
    }
  });
});

describe("a generated name", () => {
  test("is printed by run -d, alone", async () => {
    const { code, stdout, stderr } = await home.msb("run", "-d");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^msb-[0-9a-f]{8}\n$/);
    const name = stdout.trim();
    assert.equal((await home.statuses())[name], "Running");
    succeeded(await home.msb("rm", "-f", "-q", name));
  });
});
