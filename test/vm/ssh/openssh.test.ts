import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { NetworkPolicy, Sandbox } from "../../../src/index.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { runHost, SshPort } from "./ssh-support.ts";

export const needs: Needs = ["running", "programs", "ssh"];

// The client is Debian's OpenSSH. rsync, git and scp are the host's own in the guest, too: its /usr is mounted there.

const home = useTemporaryHome();
const at = (...names: readonly string[]): string => join(home, ...names);

let sandbox: Sandbox;
let port: SshPort;
before(async () => {
  sandbox = await Sandbox.builder("openssh")
    .image("localhost/base")
    .volume("/usr", (m) => m.bind("/usr").readonly())
    .volume("/lib", (m) => m.bind("/usr/lib").readonly())
    .network((n) => n.policy(NetworkPolicy.none()))
    .create();
  const made = await sandbox.shell(`
    ln -s usr/lib64 /lib64
    echo 'alice:x:1234:1234::/home/alice:/bin/sh' >> /etc/passwd; echo 'alice:x:1234:' >> /etc/group
    mkdir -p /home/alice && chown 1234:1234 /home/alice`);
  assert.equal(made.code, 0, made.stderr());
  port = await SshPort.open(sandbox);
});
after(async () => {
  await port.server.close();
  await sandbox.stop();
});

test("a command line has its user, home, input, outputs and exit code", async () => {
  const result = await port.ssh(["pwd; id -un; cat; echo no >&2; exit 7"], "typed\n");
  assert.deepEqual(result, { code: 7, stdout: "/root\nroot\ntyped\n", stderr: "no\n" });
  const other = await port.ssh(["pwd; id -un"], "", "alice");
  assert.equal(other.stdout, "/home/alice\nalice\n");
});

test("a user whose home is not there begins in /; one that is not there does not come in", async () => {
  assert.equal((await port.ssh(["pwd"], "", "nobody")).stdout, "/\n");
  const { code, stderr } = await port.ssh(["pwd"], "", "mallory");
  assert.ok(code === 255 && stderr.includes("Permission denied (publickey)"), stderr);
});

test("a signal that ends a command is told", async () => {
  const { code, stderr } = await runHost("ssh", [
    "-o",
    "LogLevel=DEBUG1",
    ...port.options,
    "-p",
    String(port.port),
    "root@127.0.0.1",
    "kill -TERM $$",
  ]);
  assert.equal(code, 255);
  assert.match(stderr, /rtype exit-signal/);
});

test("of the environment what describes the user's language comes along, and nothing else", async () => {
  const args = [...port.options, "-p", String(port.port), "-o", "SendEnv=LC_TEST SECRET"];
  const { stdout } = await runHost("ssh", [...args, "root@127.0.0.1", "echo $LC_TEST,$SECRET,$USER"], "", {
    LC_TEST: "de",
    SECRET: "x",
  });
  assert.equal(stdout, "de,,root\n");
});

test("a terminal has the client's size, its changes, and a login shell", async () => {
  const { spawn: spawnTerminal } = await import("@lydell/node-pty");
  const args = [...port.options, "-p", String(port.port), "root@127.0.0.1"];
  const terminal = spawnTerminal("ssh", args, { rows: 31, cols: 97, name: "vt220" });
  let seen = "";
  terminal.onData((data) => (seen += data));
  const ended = new Promise<number>((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode)));
  const until = (what: string): Promise<true> =>
    eventually(what, async () => (seen.includes(what) ? true : null), 30_000);
  terminal.write("stty size; echo T=$TERM\r");
  await until("31 97");
  await until("T=vt220");
  terminal.resize(80, 40);
  await eventually(
    "the new size",
    async () => {
      terminal.write("stty size\r");
      await new Promise((resolve) => setTimeout(resolve, 200));
      return seen.includes("40 80") ? true : null;
    },
    30_000,
  );
  terminal.write("exit 5\r");
  assert.equal(await ended, 5);
});

test("scp copies both ways, by SFTP and by the old protocol", async () => {
  const content = Buffer.alloc(300_000, "0123456789abcdef");
  writeFileSync(at("there"), content);
  const remote = (path: string): string => `alice@127.0.0.1:${path}`;
  for (const [index, flags] of [[], ["-O"]].entries()) {
    const args = [...flags, ...port.options, "-P", String(port.port), "-p"];
    const there = await runHost("scp", [...args, at("there"), remote(`copy${index}`)]);
    assert.deepEqual(there, { code: 0, stdout: "", stderr: "" });
    const back = await runHost("scp", [...args, remote(`copy${index}`), at(`back${index}`)]);
    assert.deepEqual(back, { code: 0, stdout: "", stderr: "" });
    assert.ok(readFileSync(at(`back${index}`)).equals(content));
  }
  const { stdout } = await port.ssh(["stat -c %U:%s copy*"], "", "alice");
  assert.equal(stdout, "alice:300000\nalice:300000\n");
});

test("sftp does what it can do", async () => {
  const batch = `
    put ${at("there")} f
    chmod 640 f
    rename f g
    ln -s g link
    ln g hard
    mkdir d
    rename g d/h
    df
    ls -l
    ls -l d
    rm hard
    rm link
    get d/h ${at("got")}
    rm d/h
    rmdir d
    -get /root/secret ${at("stolen")}
    -put ${at("there")} /etc/passwd`;
  writeFileSync(at("there"), "sftp\n".repeat(1000));
  const args = ["-b", "-", ...port.options, "-P", String(port.port), "alice@127.0.0.1"];
  const { code, stdout, stderr } = await runHost("sftp", args, `${batch}\n`);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^lrwxrwxrwx +1 alice +alice .* link$/m);
  assert.match(stdout, /^-rw-r----- +2 alice +alice +5000 .* hard$/m);
  assert.equal(readFileSync(at("got"), "utf8"), "sftp\n".repeat(1000));
  // What the user may not do fails, as for every program of his.
  assert.match(stderr, /\/root\/secret/);
  assert.match(stderr, /"?\/etc\/passwd"?: Permission denied/);
});

test("rsync finds what has changed", async () => {
  mkdirSync(at("tree/sub"), { recursive: true });
  writeFileSync(at("tree/one"), "1");
  writeFileSync(at("tree/sub/two"), "2".repeat(100_000));
  const args = [
    "-a",
    "--delete",
    "--out-format=%n",
    "-e",
    port.command,
    `${at("tree")}/`,
    "root@127.0.0.1:tree/",
  ];
  const first = await runHost("rsync", args);
  assert.equal(first.code, 0, first.stderr);
  writeFileSync(at("tree/one"), "changed");
  const second = await runHost("rsync", args);
  assert.equal(second.stdout, "one\n");
  const { stdout } = await port.ssh(["cat tree/one; wc -c < tree/sub/two"]);
  assert.equal(stdout, "changed100000\n");
});

test("git clones from the guest and pushes back", async () => {
  const made = await port.ssh(["git init -q --bare -b main repo.git && echo made"]);
  assert.equal(made.stdout, "made\n", made.stderr);
  const git = (...args: readonly string[]): ReturnType<typeof runHost> =>
    runHost("git", args, "", {
      ...{ GIT_SSH_COMMAND: port.command, GIT_CONFIG_GLOBAL: "/dev/null" },
      ...{
        GIT_AUTHOR_NAME: "t",
        GIT_AUTHOR_EMAIL: "t@t",
        GIT_COMMITTER_NAME: "t",
        GIT_COMMITTER_EMAIL: "t@t",
      },
    });
  const url = "root@127.0.0.1:repo.git";
  for (const args of [
    ["clone", "-q", url, at("clone")],
    ["-C", at("clone"), "commit", "-q", "--allow-empty", "-m", "first"],
    ["-C", at("clone"), "push", "-q", "origin", "HEAD:main"],
    ["clone", "-q", url, at("second")],
  ]) {
    const { code, stderr } = await git(...args);
    assert.equal(code, 0, stderr);
  }
  assert.equal((await git("-C", at("second"), "log", "--format=%s")).stdout, "first\n");
});

test("what would let the guest reach the host is refused", async () => {
  const args = [...port.options, "-p", String(port.port), "-o", "ExitOnForwardFailure=yes"];
  const { code, stderr } = await runHost("ssh", [...args, "-R", "0:127.0.0.1:1", "root@127.0.0.1", "true"]);
  assert.ok(code === 255 && stderr.includes("remote port forwarding failed"), stderr);
  const { stdout } = await runHost("ssh", [...args, "-A", "root@127.0.0.1", "echo agent=$SSH_AUTH_SOCK"]);
  assert.equal(stdout, "agent=\n");
});

test("a client that vanishes takes its command along, and leaves what was put into the background", async () => {
  const line = "trap '' HUP; sleep 3001 >/dev/null 2>&1 & trap - HUP; echo ready; sleep 3000";
  const args = [...port.options, "-p", String(port.port), "root@127.0.0.1", line];
  const client = spawn("ssh", args, { stdio: ["pipe", "pipe", "ignore"] });
  await once(client.stdout, "data");
  client.kill("SIGKILL");
  const running = async (seconds: number): Promise<boolean> => {
    const processes = await sandbox.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    return processes.stdout().includes(`sleep ${seconds}`);
  };
  await eventually("the end of the command", async () => ((await running(3000)) ? null : true));
  assert.ok(await running(3001));
});
