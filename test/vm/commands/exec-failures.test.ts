import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  ExecFailedError,
  InvalidConfigError,
  Sandbox,
  type ExecFailureKind,
  type ExecOptionsBuilder,
} from "../../../src/index.ts";
import { eventually, printed, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

useTemporaryHome();
let sandbox: Sandbox;
before(async () => {
  sandbox = await Sandbox.builder("exec-failures").image("localhost/base").create();
  const output = await sandbox.shell(`
    mkdir /t && cd /t
    printf 'echo no interpreter line' > no-shebang && chmod 755 no-shebang
    printf '#!/nonexistent\\n' > bad-interpreter && chmod 755 bad-interpreter
    printf '#!/bin/sh\\r\\necho fine\\r\\n' > crlf && chmod 755 crlf
    printf '#!/bin/sh\\necho fine\\n' > not-executable
    printf '\\177ELF garbage' > broken && chmod 755 broken
    printf '#!/bin/sh\\necho secret\\n' > root-only && chmod 700 root-only
    mkdir closed && chmod 700 closed
    ln -s loop loop
    touch file`);
  assert.equal(output.code, 0, output.stderr());
});
after(() => sandbox.stop());

interface Expected {
  readonly kind: ExecFailureKind;
  readonly errno: string | null;
  readonly stage: string;
}

const errnos: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  E2BIG: 7,
  ENOEXEC: 8,
  EACCES: 13,
  ENOTDIR: 20,
  EMFILE: 24,
  ENAMETOOLONG: 36,
  ELOOP: 40,
};

async function fails(
  program: string,
  expected: Expected,
  configure: (options: ExecOptionsBuilder) => ExecOptionsBuilder = (options) => options,
): Promise<ExecFailedError> {
  let failure: ExecFailedError | null = null;
  await assert.rejects(sandbox.execWith(program, configure), (error: unknown) => {
    assert.ok(error instanceof ExecFailedError, String(error));
    failure = error;
    return true;
  });
  const { kind, errno, errnoName, stage, code, message, hint } = failure as unknown as ExecFailedError;
  assert.deepEqual({ kind, errno: errnoName, stage }, expected);
  assert.equal(errno, expected.errno === null ? null : errnos[expected.errno]);
  assert.equal(code, "execFailed");
  assert.ok(message.includes(JSON.stringify(program)), message);
  assert.notEqual(hint, "");
  return failure as unknown as ExecFailedError;
}

describe("a program that cannot be run", () => {
  const atExec = (kind: ExecFailureKind, errno: string): Expected => ({ kind, errno, stage: "exec" });

  test("is missing", async () => {
    await fails("no-such-program", atExec("not_found", "ENOENT"));
    await fails("/no/such/program", atExec("not_found", "ENOENT"));
  });

  test("names an interpreter that is missing", async () => {
    const expected = { kind: "not_found", errno: "ENOENT", stage: "interpreter" } as const;
    const missing = await fails("/t/bad-interpreter", expected);
    assert.match(missing.message, /its interpreter \/nonexistent is not there$/);
    // Found on the PATH, and beside the working directory.
    const crlf = /its first line ends in CRLF/;
    assert.match((await fails("crlf", expected, (e) => e.env("PATH", "/bin:/t"))).message, crlf);
    assert.match((await fails("./crlf", expected, (e) => e.cwd("/t"))).message, crlf);
  });

  test("is a directory", async () => {
    await fails("/etc", atExec("permission_denied", "EACCES"));
  });

  test("may not be executed", async () => {
    await fails("/t/not-executable", atExec("permission_denied", "EACCES"));
    await fails("not-executable", atExec("permission_denied", "EACCES"), (e) => e.env("PATH", "/t:/bin"));
    await fails("/t/root-only", atExec("permission_denied", "EACCES"), (e) => e.user("sandbox"));
  });

  test("has a format that the kernel does not know", async () => {
    await fails("/t/no-shebang", atExec("not_executable", "ENOEXEC"));
    await fails("/t/broken", atExec("not_executable", "ENOEXEC"));
  });

  test("is a loop of links", async () => {
    await fails("/t/loop", atExec("bad_args", "ELOOP"));
  });

  test("has no name, or one that no file can have: told without asking the guest", async () => {
    for (const program of ["", `/${"n".repeat(300)}`])
      await assert.rejects(sandbox.exec(program), InvalidConfigError);
  });

  test("but a script without #! runs through a shell", async () => {
    const output = await sandbox.exec("sh", ["/t/no-shebang"]);
    assert.equal(output.stdout(), "no interpreter line\n");
  });
});

describe("a working directory that cannot be used", () => {
  test("is missing, a file, or closed to the user", async () => {
    await fails("true", { kind: "bad_cwd", errno: "ENOENT", stage: "cwd" }, (e) => e.cwd("/no/such"));
    await fails("true", { kind: "bad_cwd", errno: "ENOTDIR", stage: "cwd" }, (e) => e.cwd("/t/file"));
    await fails("true", { kind: "bad_cwd", errno: "EACCES", stage: "cwd" }, (e) =>
      e.cwd("/t/closed").user("sandbox"),
    );
  });
});

test("a user or a group that is left out is the one that other engines take", async () => {
  for (const [spec, ids] of [
    [":users", "0 100"],
    ["root:", "0 0"],
    [":", "0 0"],
  ] as const) {
    const output = await sandbox.execWith("sh", (e) => e.args(["-c", "echo $(id -u) $(id -g)"]).user(spec));
    assert.equal(output.stdout().trim(), ids, spec);
  }
});

describe("a user that cannot be found", () => {
  for (const spec of ["nosuchuser", "root:nosuchgroup", "-1", "4294967295", "1000:4294967296"]) {
    test(`is ${spec}`, async () => {
      const error = await fails("true", { kind: "user_setup_failed", errno: null, stage: "user" }, (e) =>
        e.user(spec),
      );
      assert.match(error.message, /nosuch|no user|no group/);
    });
  }

  test("but an empty part is taken as docker takes it: root, and no group asked for", async () => {
    for (const spec of [":users", "root:", ":"]) {
      const output = await sandbox.execWith("id", (e) => e.arg("-u").user(spec));
      assert.deepEqual([output.code, output.stdout()], [0, "0\n"], spec);
    }
  });

  test("because the group data base is no file", async () => {
    // No command can be started meanwhile, so one that runs already has to mend it.
    const mender = await sandbox.execStreamWith("sh", (e) =>
      e
        .args([
          "-c",
          "mv /etc/group /t && mkdir /etc/group && echo broken; read go; rmdir /etc/group && mv /t/group /etc",
        ])
        .stdinPipe(),
    );
    await printed(mender);
    const error = await fails("true", { kind: "user_setup_failed", errno: null, stage: "user" });
    assert.match(error.message, /\/etc\/group is not a regular file/);
    await mender.takeStdin()?.write("go\n");
    assert.equal((await mender.wait()).code, 0);
    assert.equal((await sandbox.exec("true")).code, 0);
  });
});

describe("arguments that are too many", () => {
  const tooMany = { kind: "bad_args", errno: "E2BIG" } as const;

  test("for the guest's kernel: 3 MiB in all", async () => {
    const many = Array.from({ length: 300 }, () => "x".repeat(10_000));
    await fails("true", { ...tooMany, stage: "exec" }, (e) => e.args(many));
  });

  test("for one: the longest that the SDK lets through is taken by the kernel", async () => {
    const { code } = await sandbox.execWith("true", (e) =>
      e.arg("x".repeat(128 * 1024 - 1)).env("LARGE", "x".repeat(128 * 1024 - 7)),
    );
    assert.equal(code, 0);
    await assert.rejects(sandbox.exec("true", ["x".repeat(128 * 1024)]), InvalidConfigError);
  });

  test("for the protocol", async () => {
    const tooLarge = Array.from({ length: 64 }, () => "x".repeat(100_000));
    await fails("true", { ...tooMany, stage: "request" }, (e) => e.args(tooLarge));
    assert.equal((await sandbox.exec("true")).code, 0);
  });
});

describe("a limit that cannot be kept", () => {
  test("is told as such", async () => {
    // Above fs.nr_open not even root may set it: setrlimit(2).
    const failure = await fails("true", { kind: "permission_denied", errno: "EPERM", stage: "rlimit" }, (e) =>
      e.rlimit("nofile", 2 ** 40),
    );
    assert.match(failure.message, /not permitted/i);
  });
});

describe("a failure", () => {
  test("reaches every way of looking at a stream, and the command has no session in the log", async () => {
    const handle = await sandbox.execStream("no-such-program");
    for (const look of [
      () => handle.recv(),
      () => handle.wait(),
      () => handle.collect(),
      () => handle.recv(),
    ]) {
      await assert.rejects(look(), ExecFailedError);
    }
    await assert.rejects(
      (async () => {
        for await (const event of handle) assert.fail(`there was ${event.kind}`);
      })(),
      ExecFailedError,
    );
    assert.equal(handle.id, "0");
  });

  test("leaves no descriptor or process behind", async () => {
    // The shell looks by itself: a child of its own would be counted or not. Threads of the kernel (children of 2) come and go.
    const script = `
      set -- /proc/1/fd/*; descriptors=$#; processes=0
      for status in /proc/[0-9]*/status; do
        while read -r key value; do
          if [ "$key" = PPid: ] && [ "$value" != 2 ]; then processes=$((processes + 1)); fi
        done < $status
      done 2> /dev/null
      echo $descriptors $processes`;
    const look = async (): Promise<string> => (await sandbox.shell(script)).stdout();
    const before = await look();
    assert.match(before, /^\d+ \d+\n$/);
    for (let n = 0; n < 20; n++) {
      await assert.rejects(sandbox.exec("no-such-program"), ExecFailedError);
      await assert.rejects(
        sandbox.execWith("true", (e) => e.cwd("/no").tty(true)),
        ExecFailedError,
      );
      await assert.rejects(
        sandbox.execWith("true", (e) => e.user("nobody-such").stdinPipe()),
        ExecFailedError,
      );
    }
    await eventually(`no more than ${before}`, async () => ((await look()) === before ? true : null));
  });
});
