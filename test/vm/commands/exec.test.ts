import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import {
  ExecOptionsBuilder,
  ExecTimeoutError,
  InvalidConfigError,
  Sandbox,
  TerminalError,
  type ExecOutput,
} from "../../../src/index.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

useTemporaryHome();
let sandbox: Sandbox;
before(async () => {
  sandbox = await Sandbox.builder("exec").image("localhost/base").create();
});
after(() => sandbox.stop());

const mebibyte = 1024 * 1024;

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Standard output of a command that has to succeed, without the last newline. */
function text(output: ExecOutput): string {
  assert.equal(output.code, 0, output.stderr());
  return output.stdout().replace(/\n$/, "");
}

async function lines(script: string): Promise<string[]> {
  return text(await sandbox.shell(script)).split("\n");
}

describe("what a command prints", () => {
  test("stdout and stderr stay apart and whole", async () => {
    const output = await sandbox.shell("echo out; echo err >&2; printf 'no newline'");
    assert.equal(output.stdout(), "out\nno newline");
    assert.equal(output.stderr(), "err\n");
    assert.deepEqual(output.status, { code: 0, success: true });
  });

  test("every byte value comes back as it was", async () => {
    const all = Uint8Array.from({ length: 256 }, (_, index) => index);
    const output = await sandbox.execWith("sh", (e) => e.args(["-c", "tee /dev/stderr"]).stdinBytes(all));
    assert.deepEqual(new Uint8Array(output.stdoutBytes()), all);
    assert.deepEqual(new Uint8Array(output.stderrBytes()), all);
  });

  test("invalid UTF-8 is replaced in the text and kept in the bytes", async () => {
    const output = await sandbox.shell(String.raw`printf 'a\377\376b'`);
    assert.equal(output.stdout(), "a\ufffd\ufffdb");
    assert.deepEqual([...output.stdoutBytes()], [0x61, 0xff, 0xfe, 0x62]);
  });

  test("a command may print nothing", async () => {
    const output = await sandbox.exec("true");
    assert.deepEqual([output.code, output.stdoutBytes().length, output.stderrBytes().length], [0, 0, 0]);
  });

  test("20 MB arrive complete", async () => {
    const output = await sandbox.shell(
      "seq 1 170000 > /tmp/block; for n in $(seq 1 20); do cat /tmp/block; echo $n; done; rm /tmp/block",
    );
    const block = Array.from({ length: 170_000 }, (_, index) => `${index + 1}\n`).join("");
    const expected = Buffer.from(Array.from({ length: 20 }, (_, n) => `${block}${n + 1}\n`).join(""));
    assert.ok(expected.length > 20_000_000);
    assert.equal(output.stdoutBytes().length, expected.length);
    assert.equal(sha256(output.stdoutBytes()), sha256(expected));
  });
});

describe("how a command ends", () => {
  test("every exit code from 0 to 255", async () => {
    const codes = Array.from({ length: 256 }, (_, code) => code);
    const outputs: ExecOutput[] = [];
    for (let first = 0; first < codes.length; first += 32) {
      const some = codes.slice(first, first + 32).map((code) => sandbox.shell(`exit ${code}`));
      outputs.push(...(await Promise.all(some)));
    }
    assert.deepEqual(
      outputs.map(({ code, success }) => [code, success]),
      codes.map((code) => [code, code === 0]),
    );
  });

  for (const [name, number] of [
    ["HUP", 1],
    ["ABRT", 6],
    ["KILL", 9],
    ["SEGV", 11],
    ["TERM", 15],
    ["RTMIN", 34],
  ] as const) {
    test(`SIG${name} is reported as ${128 + number}`, async () => {
      const output = await sandbox.shell(`kill -${number} $$`);
      assert.equal(output.code, 128 + number);
      assert.equal(output.success, false);
    });
  }
});

describe("arguments", () => {
  const strange = [
    "plain",
    "",
    "two words",
    "  spaces  around  ",
    "'single' \"double\" `back`",
    "line\nbreak\ttab\r",
    "$HOME $(id) *.txt ~ {a,b} ; | & > < ! # %s \\n",
    "grüße 你好 🦀 e\u0301",
    "-n",
    "--",
    "\u0001\u007f",
  ];

  test("arrive as they were given, without a shell in between", async () => {
    const output = await sandbox.exec("sh", ["-c", String.raw`printf '%s\0' "$@"`, "sh", ...strange]);
    assert.deepEqual(output.stdout().split("\0").slice(0, -1), strange);
  });

  test("may come from any iterable", async () => {
    function* numbers(): Generator<string> {
      yield "1";
      yield "2";
    }
    assert.equal(text(await sandbox.exec("echo", numbers())), "1 2");
    assert.equal(text(await sandbox.execWith("echo", (e) => e.arg("0").args(numbers()).arg("3"))), "0 1 2 3");
  });

  test("one of 100,000 bytes and 20,000 of them", async () => {
    const long = "x".repeat(100_000);
    assert.equal(text(await sandbox.exec("echo", [long])), long);
    const many = Array.from({ length: 20_000 }, (_, index) => String(index));
    assert.equal(text(await sandbox.exec("echo", many)), many.join(" "));
  });

  test("a program's path may be relative to the working directory", async () => {
    assert.equal(text(await sandbox.execWith("./echo", (e) => e.arg("here").cwd("/bin"))), "here");
  });
});

describe("working directory, user and environment", () => {
  test("cwd", async () => {
    assert.equal(text(await sandbox.exec("pwd")), "/");
    assert.equal(text(await sandbox.execWith("pwd", (e) => e.cwd("/usr/local"))), "/usr/local");
  });

  const identities: readonly (readonly [spec: string, ids: string, home: string])[] = [
    ["root", "uid=0(root) gid=0(root) groups=0(root),10(wheel)", "/root"],
    ["sandbox", "uid=1000(sandbox) gid=1000(sandbox) groups=100(users),1000(sandbox)", "/home/sandbox"],
    ["1000", "uid=1000(sandbox) gid=1000(sandbox) groups=100(users),1000(sandbox)", "/home/sandbox"],
    ["sandbox:mail", "uid=1000(sandbox) gid=8(mail) groups=8(mail),100(users)", "/home/sandbox"],
    ["sandbox:44", "uid=1000(sandbox) gid=44(video) groups=44(video),100(users)", "/home/sandbox"],
    ["1000:8", "uid=1000(sandbox) gid=8(mail) groups=8(mail),100(users)", "/home/sandbox"],
    ["0:users", "uid=0(root) gid=100(users) groups=10(wheel),100(users)", "/root"],
    ["4711", "uid=4711 gid=0(root)", "/"],
    ["4711:4712", "uid=4711 gid=4712", "/"],
  ];
  for (const [spec, ids, home] of identities) {
    test(`user ${spec}`, async () => {
      const [id, homeVariable] = text(
        await sandbox.execWith("sh", (e) => e.args(["-c", "id; echo $HOME"]).user(spec)),
      ).split("\n");
      assert.equal(normalizeGroups(id ?? ""), normalizeGroups(ids));
      assert.equal(homeVariable, home);
    });
  }

  test("another user may open its own standard streams again", async () => {
    const output = await sandbox.execWith("sh", (e) =>
      e.args(["-c", "cat /dev/stdin > /dev/stdout; echo e > /dev/stderr"]).user("sandbox").stdinBytes("in"),
    );
    assert.deepEqual([output.code, output.stdout(), output.stderr()], [0, "in", "e\n"]);
  });

  test("the call's environment, the last value of a key", async () => {
    const output = await sandbox.execWith("env", (e) =>
      e
        .env("A", "1")
        .envs({ B: "two words", C: "" })
        .envs([["A", "last"]])
        .env("E", "a=b\nc"),
    );
    assert.match(output.stdout(), /^A=last$/m);
    assert.match(output.stdout(), /^B=two words$/m);
    assert.match(output.stdout(), /^C=$/m);
    assert.match(output.stdout(), /^E=a=b\nc$/m);
    assert.doesNotMatch(output.stdout(), /^A=1$/m);
  });

  test("HOME can be set; nothing of the host's environment comes in", async () => {
    const output = await sandbox.execWith("env", (e) => e.env("HOME", "/elsewhere"));
    const keys = output
      .stdout()
      .trimEnd()
      .split("\n")
      .map((line) => line.split("=", 1)[0]);
    assert.deepEqual(keys.toSorted(), ["HOME", "PATH"]);
    assert.match(output.stdout(), /^HOME=\/elsewhere$/m);
  });

  test("PATH begins with the scripts and ends with the guest's own programs, also when the call sets one", async () => {
    assert.match(
      text(await sandbox.exec("env")),
      /^PATH=\/\.msb\/scripts:\/usr\/local\/sbin:.*:\/bin:\/\.msb\/bin$/m,
    );
    const output = await sandbox.execWith("/usr/bin/env", (e) => e.env("PATH", "/nowhere"));
    assert.match(text(output), /^PATH=\/\.msb\/scripts:\/nowhere:\/\.msb\/bin$/m);
  });

  test("the program is looked for in the PATH of the call", async () => {
    await sandbox.shell(
      "mkdir -p /opt/tools && printf '#!/bin/sh\\necho found' > /opt/tools/mine && chmod +x /opt/tools/mine",
    );
    assert.equal(text(await sandbox.execWith("mine", (e) => e.env("PATH", "/opt/tools:/bin"))), "found");
  });
});

describe("resource limits", () => {
  test("hold for the command", async () => {
    const output = await sandbox.execWith("sh", (e) =>
      e.args(["-c", "ulimit -n; ulimit -Hn; ulimit -Hc"]).rlimitRange("nofile", 100, 200).rlimit("core", 0),
    );
    assert.equal(text(output), "100\n200\n0");
  });

  test("without one the usual ones", async () => {
    assert.deepEqual(await lines("ulimit -n; ulimit -Hn"), ["1024", "524288"]);
  });

  test("may be infinite", async () => {
    const output = await sandbox.execWith("sh", (e) => e.args(["-c", "ulimit -c"]).rlimit("core", Infinity));
    assert.equal(text(output), "unlimited");
  });

  test("are kept by the kernel", async () => {
    const output = await sandbox.execWith("sh", (e) =>
      e.args(["-c", "exec dd if=/dev/zero of=/tmp/large bs=4096 count=100"]).rlimit("fsize", 8192),
    );
    assert.notEqual(output.code, 0);
    assert.deepEqual(await lines("stat -c %s /tmp/large"), ["8192"]);
  });
});

describe("standard input", () => {
  test("is /dev/null unless asked for", async () => {
    assert.equal(text(await sandbox.exec("readlink", ["/proc/self/fd/0"])), "/dev/null");
    assert.equal(text(await sandbox.exec("cat")), "");
  });

  test("8 MiB go through cat and come back", async () => {
    const data = randomBytes(8 * mebibyte);
    const output = await sandbox.execWith("cat", (e) => e.stdinBytes(data));
    assert.equal(output.stdoutBytes().length, data.length);
    assert.equal(sha256(output.stdoutBytes()), sha256(data));
  });

  test("a command that does not read it all is fine", async () => {
    const output = await sandbox.execWith("head", (e) =>
      e.args(["-c", "3"]).stdinBytes(Buffer.alloc(4 * mebibyte, "x")),
    );
    assert.equal(text(output), "xxx");
    const unread = await sandbox.execWith("true", (e) => e.stdinBytes(Buffer.alloc(4 * mebibyte)));
    assert.equal(unread.code, 0);
  });

  test("no bytes are the end at once", async () => {
    assert.equal(text(await sandbox.execWith("wc", (e) => e.arg("-c").stdinBytes(""))), "0");
  });

  test("a piped one that nobody can take ends at once", { timeout: 240_000 }, async () => {
    assert.equal(text(await sandbox.execWith("cat", (e) => e.stdinPipe())), "");
  });
});

describe("a command on a terminal", () => {
  test("has 24 rows and 80 columns and a terminal on all three streams", async () => {
    const output = await sandbox.execWith("sh", (e) =>
      e
        .args(["-c", "stty size; test -t 0 && test -t 1 && test -t 2 && tty; echo TERM=$TERM"])
        .tty(true)
        .env("TERM", "vt100"),
    );
    assert.match(output.stdout(), /^24 80\r\n\/dev\/pts\/\d+\r\nTERM=vt100\r\n$/);
  });

  test("has one output for both, with the line discipline's line ends", async () => {
    const output = await sandbox.execWith("sh", (e) =>
      e.args(["-c", "echo out; echo err >&2; exit 3"]).tty(true),
    );
    assert.deepEqual([output.code, output.stdout(), output.stderr()], [3, "out\r\nerr\r\n", ""]);
  });

  test("has a TERM", async () => {
    const output = await sandbox.execWith("sh", (e) => e.args(["-c", "echo $TERM"]).tty(true));
    assert.match(output.stdout(), /^\S+\r\n$/);
  });

  test("belongs to its user", async () => {
    const output = await sandbox.execWith("sh", (e) =>
      e.args(["-c", 'echo again > $(tty); stat -c "%U %G" $(tty)']).tty(true).user("sandbox"),
    );
    assert.equal(output.stdout(), "again\r\nsandbox tty\r\n");
  });

  test("loses nothing of what it prints", async () => {
    const output = await sandbox.execWith("seq", (e) => e.args(["1", "20000"]).tty(true));
    const expected = Array.from({ length: 20_000 }, (_, index) => `${index + 1}\r\n`).join("");
    assert.equal(sha256(output.stdoutBytes()), sha256(Buffer.from(expected)));
  });
});

describe("a time limit", () => {
  test("kills the command and its children, and says so", async () => {
    await assert.rejects(
      sandbox.execWith("sh", (e) => e.args(["-c", "sleep 987 & sleep 986"]).timeout(700)),
      (error: unknown) => {
        assert.ok(error instanceof ExecTimeoutError);
        assert.equal(error.timeoutMs, 700);
        assert.equal(error.code, "execTimeout");
        assert.match(error.message, /"sh" ran longer than 700 ms/);
        assert.notEqual(error.hint, "");
        return true;
      },
    );
    assert.deepEqual(await lines("ps -o args | grep 'sleep 98[67]' || echo none"), ["none"]);
  });

  test("does nothing to a command that ends in time", async () => {
    assert.equal(text(await sandbox.execWith("echo", (e) => e.arg("ok").timeout(60_000))), "ok");
  });

  test("may be longer than a timer can be", async () => {
    const output = await sandbox.execWith("sh", (e) => e.args(["-c", "sleep 1; echo ok"]).timeout(2 ** 32));
    assert.equal(text(output), "ok");
  });

  test("does not wait for ever for a survivor that keeps the output open", async () => {
    const survivor = "setsid sh -c 'echo up; exec sleep 985' & wait";
    const handle = await sandbox.execStreamWith("sh", (e) => e.args(["-c", survivor]).timeout(2000));
    assert.deepEqual([(await handle.recv())?.kind, (await handle.recv())?.kind], ["started", "stdout"]);
    await assert.rejects(handle.wait(), ExecTimeoutError);
    // It was not waited for: it goes on.
    await lines("kill -KILL $(ps -o pid,args | awk '/[s]leep 985/ { print $1 }')");
  });
});

describe("options", () => {
  test("are frozen and complete when built", () => {
    const options = new ExecOptionsBuilder().arg("a").cwd("/tmp").env("K", "v").rlimit("nofile", 9).build();
    assert.deepEqual(options, {
      args: ["a"],
      cwd: "/tmp",
      user: null,
      env: [["K", "v"]],
      timeoutMs: null,
      maxOutputBytes: 100 * 1024 * 1024,
      stdin: { kind: "null" },
      tty: false,
      terminalSize: null,
      rlimits: [{ resource: "nofile", soft: 9, hard: 9 }],
      logged: true,
    });
    assert.ok(Object.isFrozen(options));
  });

  test("that cannot be are refused before anything is sent", async () => {
    for (const configure of [
      (e: ExecOptionsBuilder) => e.arg("a\0b"),
      (e: ExecOptionsBuilder) => e.env("A=B", "c"),
      (e: ExecOptionsBuilder) => e.env("", "c"),
      (e: ExecOptionsBuilder) => e.env("A", "\0"),
      (e: ExecOptionsBuilder) => e.cwd(""),
      (e: ExecOptionsBuilder) => e.user("a\0"),
      (e: ExecOptionsBuilder) => e.timeout(-1),
      (e: ExecOptionsBuilder) => e.rlimitRange("nofile", 2, 1),
      (e: ExecOptionsBuilder) => e.rlimit("nofiles" as "nofile", 1),
    ]) {
      await assert.rejects(sandbox.execWith("true", configure), InvalidConfigError);
    }
    await assert.rejects(sandbox.exec("tr\0ue"), InvalidConfigError);
    await assert.rejects(sandbox.shell("echo \0"), InvalidConfigError);
  });

  test("as one object", async () => {
    const output = await sandbox.execWithConfig({
      cmd: "sh",
      args: ["-c", 'cat; pwd; id -un; echo "$A"; exit 4'],
      cwd: "/usr",
      user: "sandbox",
      env: { A: "b" },
      timeoutMs: 60_000,
      stdin: "typed\n",
    });
    assert.deepEqual([output.code, output.stdout()], [4, "typed\n/usr\nsandbox\nb\n"]);
    const onTerminal = await sandbox.execWithConfig({ cmd: "tty", tty: true, stdin: "null" });
    assert.match(onTerminal.stdout(), /^\/dev\/pts\/\d+\r\n$/);
    const handle = await sandbox.execStreamWithConfig({ cmd: "cat", stdin: "pipe", env: [["A", "b"]] });
    const stdin = handle.takeStdin();
    assert.ok(stdin !== null);
    await stdin.write("piped");
    await stdin.close();
    assert.equal((await handle.collect()).stdout(), "piped");
    await assert.rejects(
      sandbox.execWithConfig({ cmd: "sleep", args: ["60"], timeoutMs: 300 }),
      ExecTimeoutError,
    );
  });
});

describe("attaching without a terminal", { skip: process.stdin.isTTY }, () => {
  test("is refused and starts nothing", async () => {
    const session = async (): Promise<number> => {
      const handle = await sandbox.execStream("true");
      await handle.wait();
      return Number(handle.id);
    };
    const before = await session();
    for (const attach of [
      () => sandbox.attach("sh"),
      () => sandbox.attachShell(),
      () => sandbox.attachWith("sh", (a) => a.arg("-i")),
      () => sandbox.attachWithConfig({ cmd: "sh", args: [] }),
    ]) {
      await assert.rejects(attach(), (error: unknown) => {
        assert.ok(error instanceof TerminalError);
        assert.notEqual(error.hint, "");
        return true;
      });
    }
    assert.equal(await session(), before + 1);
  });

  test("detach keys that are none are refused first", async () => {
    await assert.rejects(
      sandbox.attachWith("sh", (a) => a.detachKeys("ctrl-1")),
      InvalidConfigError,
    );
  });
});

/** The order of the groups says nothing. */
function normalizeGroups(id: string): string {
  return id.replace(
    /groups=(.*)$/,
    (_, groups: string) => `groups=${groups.split(",").toSorted().join(",")}`,
  );
}
