import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { NoDefaultCommandError, Sandbox, TerminalError, type ExecOutput } from "../../../src/index.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots"];

useTemporaryHome();

/** Standard output of a command that has to succeed, without the last newline. */
function text(output: ExecOutput): string {
  assert.equal(output.code, 0, output.stderr());
  return output.stdout().replace(/\n$/, "");
}

describe("the settings of a sandbox", () => {
  let sandbox: Sandbox;
  before(async () => {
    sandbox = await Sandbox.builder("configured")
      .image("localhost/base")
      .memory(256)
      .user("sandbox")
      .workdir("/var/tmp")
      .hostname("workbench")
      .shell("/bin/ash")
      .env("KEPT", "sandbox")
      .envs({ CHANGED: "sandbox", PATH: "/opt/bin:/usr/bin:/bin" })
      .scripts({ greet: '#!/bin/sh\necho "hello $1"\n', env: "#!/bin/sh\necho shadowed\n" })
      .rlimit("nofile", 300)
      .rlimitRange("core", 0, 4096)
      .rlimitRange("stack", 4 * 1024 * 1024, Infinity)
      .label("purpose", "test")
      .entrypoint(["sh", "-c", 'echo "$0" "$@"; id -un; pwd'])
      .cmd(["first", "second word"])
      .create();
  });
  after(() => sandbox.stop());

  test("user and working directory hold for every command", async () => {
    assert.equal(text(await sandbox.shell("id -un; pwd; echo $HOME")), "sandbox\n/var/tmp\n/home/sandbox");
  });

  test("and each call may choose others", async () => {
    const output = await sandbox.execWith("sh", (e) =>
      e.args(["-c", "id -un; pwd; echo $HOME"]).user("root").cwd("/"),
    );
    assert.equal(text(output), "root\n/\n/root");
  });

  test("the environment, over which a call's is laid", async () => {
    const output = await sandbox.execWith("/usr/bin/env", (e) => e.env("CHANGED", "call").env("NEW", "call"));
    const variables = text(output).split("\n").toSorted();
    assert.deepEqual(variables, [
      "CHANGED=call",
      "HOME=/home/sandbox",
      "KEPT=sandbox",
      "NEW=call",
      "PATH=/.msb/scripts:/opt/bin:/usr/bin:/bin:/.msb/bin",
    ]);
    assert.equal(text(await sandbox.shell('echo "$CHANGED"')), "sandbox");
  });

  test("scripts are commands, before all others", async () => {
    assert.equal(text(await sandbox.exec("greet", ["you"])), "hello you");
    assert.equal(text(await sandbox.exec("env")), "shadowed");
    assert.equal(text(await sandbox.shell("greet shell")), "hello shell");
    assert.equal(text(await sandbox.exec("stat", ["-c", "%a %U", "/.msb/scripts/greet"])), "755 root");
  });

  test("a login shell finds them too", async () => {
    const output = await sandbox.execWith("sh", (e) => e.args(["-l", "-c", "greet login; echo $PATH"]));
    assert.match(text(output), /^hello login\n\/\.msb\/scripts:/);
  });

  test("the name of the machine", async () => {
    assert.equal(text(await sandbox.shell("hostname; cat /etc/hostname")), "workbench\nworkbench");
    const hosts = text(await sandbox.exec("cat", ["/etc/hosts"]));
    assert.match(hosts, /^127\.0\.0\.1\s+localhost$/m);
    assert.match(hosts, /^::1\s+localhost\b/m);
    assert.match(hosts, /^127\.0\.1\.1\s+workbench$/m);
    assert.equal(sandbox.config.hostname, "workbench");
  });

  test("limits, unless the call sets its own", async () => {
    const show = "ulimit -n; ulimit -Hn; ulimit -Hc";
    // The shell counts core files in blocks of 512 bytes.
    assert.equal(text(await sandbox.shell(show)), "300\n300\n8");
    const output = await sandbox.execWith("sh", (e) => e.args(["-c", show]).rlimit("nofile", 50));
    assert.equal(text(output), "50\n50\n8");
  });

  test("limits that are none last, too", async () => {
    const again = await (await Sandbox.get("configured")).connect();
    assert.deepEqual(
      again.config.rlimits.find(({ resource }) => resource === "stack"),
      { resource: "stack", soft: 4 * 1024 * 1024, hard: Infinity },
    );
    assert.equal(text(await again.shell("ulimit -s; ulimit -Hs")), "4096\nunlimited");
  });

  test("the shell", async () => {
    const commandLine = text(await sandbox.shell("cat /proc/$$/cmdline | tr '\\0' ' '"));
    assert.match(commandLine, /^\/bin\/ash -c cat /);
    const handle = await sandbox.shellStream("echo streamed; exit 3");
    const output = await handle.collect();
    assert.deepEqual([output.code, output.stdout()], [3, "streamed\n"]);
  });

  test("labels are the host's only", async () => {
    const { sandboxes } = await Sandbox.listWith((list) => list.label("purpose", "test"));
    assert.deepEqual(
      sandboxes.map(({ name }) => name),
      ["configured"],
    );
    assert.doesNotMatch((await sandbox.exec("/usr/bin/env")).stdout(), /purpose/);
  });

  test("ENTRYPOINT and CMD are what execDefault runs", async () => {
    const expected = "first second word\nsandbox\n/var/tmp\n";
    assert.equal((await sandbox.execDefault()).stdout(), expected);
    const more = await sandbox.execDefaultWith((e) => e.arg("third").cwd("/").user("root"));
    assert.equal(more.stdout(), "first second word third\nroot\n/\n");
    assert.equal((await (await sandbox.execDefaultStream()).collect()).stdout(), expected);
    const handle = await sandbox.execDefaultStreamWith((e) => e.arg("last"));
    assert.equal((await handle.collect()).stdout(), "first second word last\nsandbox\n/var/tmp\n");
    assert.equal((await sandbox.exec("echo", ["plain"])).stdout(), "plain\n");
  });

  test("attachDefault needs a terminal, like attach", { skip: process.stdin.isTTY }, async () => {
    await assert.rejects(sandbox.attachDefault(), TerminalError);
    await assert.rejects(
      sandbox.attachDefaultWith((a) => a.arg("x")),
      TerminalError,
    );
  });
});

describe("a sandbox without settings", () => {
  let sandbox: Sandbox;
  before(async () => {
    sandbox = await Sandbox.builder("plain.sandbox_1").image("localhost/base").create();
  });
  after(() => sandbox.stop());

  test("has no default command", async () => {
    for (const call of [
      () => sandbox.execDefault(),
      () => sandbox.execDefaultStream(),
      () => sandbox.execDefaultWith((e) => e.arg("echo")),
      () => sandbox.attachDefault(),
    ]) {
      await assert.rejects(call(), (error: unknown) => {
        assert.ok(error instanceof NoDefaultCommandError);
        assert.notEqual(error.hint, "");
        return true;
      });
    }
  });

  test("runs commands as root in /, in a machine of its name", async () => {
    assert.equal(text(await sandbox.shell("id -un; pwd; hostname")), "root\n/\nplain.sandbox_1");
  });

  interface Mount {
    readonly type: string;
    readonly options: readonly string[];
  }

  const mounts: Readonly<Record<string, Mount>> = {
    "/": { type: "overlay", options: ["rw"] },
    "/proc": { type: "proc", options: ["rw", "nosuid", "nodev", "noexec"] },
    "/sys": { type: "sysfs", options: ["rw", "nosuid", "nodev", "noexec"] },
    "/sys/fs/cgroup": { type: "cgroup2", options: ["rw", "nosuid", "nodev", "noexec"] },
    "/dev": { type: "devtmpfs", options: ["rw", "nosuid"] },
    "/dev/pts": { type: "devpts", options: ["rw", "nosuid", "noexec", "gid=5", "mode=620"] },
    "/dev/shm": { type: "tmpfs", options: ["rw", "nosuid", "nodev"] },
    "/run": { type: "tmpfs", options: ["rw", "nosuid", "nodev", "mode=755"] },
    "/tmp": { type: "tmpfs", options: ["rw", "nosuid", "nodev", "size=131072k"] },
  };

  test("has the file systems that programs expect, and shows nothing of how its root is made", async () => {
    const found = new Map<string, Mount>();
    for (const line of text(await sandbox.exec("cat", ["/proc/mounts"])).split("\n")) {
      const [, target = "", type = "", options = ""] = line.split(" ");
      assert.ok(!found.has(target), `two mounts on ${target}`);
      found.set(target, { type, options: options.split(",") });
    }
    for (const [target, { type, options }] of Object.entries(mounts)) {
      const mount = found.get(target);
      assert.equal(mount?.type, type, target);
      for (const option of options)
        assert.ok(mount.options.includes(option), `${target}: ${mount.options.join()}`);
    }
    assert.deepEqual(
      [...found.keys()].toSorted(),
      [...Object.keys(mounts), "/.msb", "/.msb/bin/msb-emit"].toSorted(),
    );
    assert.equal(text(await sandbox.shell("ls -d /lower /upper 2> /dev/null || echo none")), "none");
  });

  test("has directories that others may write to, as sticky as they should be", async () => {
    const output = await sandbox.exec("stat", [
      "-c",
      "%a %n",
      "/tmp",
      "/dev/shm",
      "/run",
      "/var/tmp",
      "/root",
      "/dev/null",
    ]);
    assert.equal(text(output), "1777 /tmp\n1777 /dev/shm\n755 /run\n1777 /var/tmp\n700 /root\n666 /dev/null");
    const written = await sandbox.execWith("sh", (e) =>
      e
        .args([
          "-c",
          "echo a > /tmp/a && echo b > /dev/shm/b && echo c > /dev/null && head -c 4 /dev/urandom | wc -c",
        ])
        .user("sandbox"),
    );
    assert.equal(text(written), "4");
  });

  test("has the usual links in /dev", async () => {
    const links = ["fd", "stdin", "stdout", "stderr", "ptmx"].map((name) => `/dev/${name}`);
    const output = await sandbox.shell(links.map((link) => `readlink ${link}`).join("; "));
    assert.deepEqual(text(output).split("\n"), [
      "/proc/self/fd",
      "/proc/self/fd/0",
      "/proc/self/fd/1",
      "/proc/self/fd/2",
      "pts/ptmx",
    ]);
    assert.equal(text(await sandbox.exec("ls", ["/dev/fd/"])), "0\n1\n2\n3");
  });

  test("starts commands with no descriptor but their streams, default signals, and a group of their own", async () => {
    const output = await sandbox.exec("grep", ["-E", "^Sig(Blk|Ign)|^NoNewPrivs", "/proc/self/status"]);
    assert.match(text(output), /^SigBlk:\t0+\nSigIgn:\t0+\nNoNewPrivs:\t0$/);
    const stat = text(await sandbox.exec("cut", ["-d", " ", "-f", "1,5,6", "/proc/self/stat"])).split(" ");
    assert.equal(stat[1], stat[0], "it leads its process group");
    assert.equal(stat[2], stat[0], "it leads its session");
    assert.equal(text(await sandbox.shell("umask")), "0022");
  });

  test("has a loopback interface, a clock and a machine id", async () => {
    assert.match(
      text(await sandbox.exec("ip", ["addr", "show", "lo"])),
      /LOOPBACK,UP.*\n[^]*127\.0\.0\.1\/8/,
    );
    const earliest = Date.now();
    const guest = Number(text(await sandbox.exec("date", ["+%s"]))) * 1000;
    const latest = Date.now();
    // A second is not told in parts; and it was set at the boot, a while ago.
    const near = guest > earliest - 5000 && guest < latest + 5000;
    assert.ok(near, `the clock says ${guest}, between ${earliest} and ${latest}`);
    assert.match(
      text(await sandbox.exec("cat", ["/etc/machine-id"])),
      /^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/,
    );
  });

  test("can make cgroups", async () => {
    const output = await sandbox.shell(
      "mkdir /sys/fs/cgroup/mine && cat /sys/fs/cgroup/mine/cgroup.procs && rmdir /sys/fs/cgroup/mine",
    );
    assert.equal(output.code, 0, output.stderr());
  });
});
