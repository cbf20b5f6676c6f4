/** `msb mcp` as agents use it: the official client, over its standard input and output. */
import assert from "node:assert/strict";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Sandbox } from "../../../src/index.ts";
import { busyboxTree } from "../images/root-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { McpClient } from "./mcp-support.ts";

export const needs: Needs = ["running"];

const home = useTemporaryHome();
const shared = realpathSync(mkdtempSync(join(tmpdir(), "msb-mcp-")));
after(() => {
  rmSync(shared, { recursive: true, force: true });
});
const environment = {
  MSB_HOME: home,
  MSB_ACCEL: process.env["MSB_ACCEL"] ?? "tcg",
  MICROSANDBOX_MCP_HOST_PATHS: shared,
  MICROSANDBOX_MCP_MAX_OUTPUT_BYTES: "65536",
};

const name = "agent";
let mcp: McpClient;
const notes: string[] = [];

before(
  async () => {
    mcp = await McpClient.start("2026-07-28", environment, shared);
    const created = await mcp.data(
      "sandbox_create",
      {
        name,
        resources: { memoryMib: 128 },
        process: { env: { VISIBLE: "yes" } },
        secrets: [{ envVar: "API_KEY", value: "the-value-of-the-key", allowedHost: "api.example.com" }],
      },
      { onprogress: ({ message = "" }) => notes.push(message) },
    );
    assert.deepEqual([created["name"], created["status"], created["ephemeral"]], [name, "running", true]);
  },
  { timeout: 280_000 },
);
after(() => mcp[Symbol.asyncDispose]());

async function shell(command: string, others: object = {}): ReturnType<McpClient["data"]> {
  return await mcp.data("sandbox_shell", { name, command, ...others });
}

describe("an agent", () => {
  test("was told how the start went on, and finds the sandbox", async () => {
    assert.ok(
      notes.some((note) => note.startsWith("start: ")),
      notes.join(),
    );
    const { sandboxes } = (await mcp.data("sandbox_status", {})) as { sandboxes: { name: string }[] };
    assert.deepEqual(
      sandboxes.map((row) => row.name),
      [name],
    );
    const found = await mcp.client.readResource({ uri: "microsandbox://sandboxes" });
    assert.match(JSON.stringify(found.contents), /endsWithServer.*true/);
  });

  test("never sees a secret, and the guest has a placeholder", async () => {
    const inspected = JSON.stringify(await mcp.data("sandbox_inspect", { name }));
    assert.match(inspected, /API_KEY/);
    const { stdout } = await shell("echo $API_KEY $VISIBLE");
    assert.match(String(stdout), /yes/);
    for (const text of [inspected, String(stdout)]) assert.doesNotMatch(text, /the-value-of-the-key/);
  });

  test("runs programs and scripts, with input, environment and exit codes", async () => {
    const ran = await mcp.data("sandbox_exec", {
      name,
      command: "sh",
      args: ["-c", "cat; echo $A in $PWD >&2; exit 7"],
      stdin: "given",
      env: { A: "1" },
      workdir: "/tmp",
      timeout: 60,
    });
    assert.deepEqual(ran, { exitCode: 7, success: false, stdout: "given", stderr: "1 in /tmp\n" });
    const bytes = await mcp.data("sandbox_exec", {
      name,
      command: "cat",
      stdinBase64: "AP8=",
      encoding: "base64",
    });
    assert.equal(bytes["stdout"], "AP8=");
    const failed = await mcp.failure("sandbox_shell", {
      name,
      command: "echo why >&2; false",
      treatNonZeroAsError: true,
    });
    assert.deepEqual(
      [failed.code, failed.details?.["exitCode"], failed.details?.["stderr"]],
      ["exec_failed", 1, "why\n"],
    );
  });

  test("is told why something failed, and what to do", async () => {
    const missing = await mcp.failure("sandbox_exec", { name, command: "no-such-program" });
    assert.deepEqual([missing.code, missing.details?.["kind"]], ["exec_failed", "not_found"]);
    const nobody = await mcp.failure("sandbox_exec", { name: "nobody", command: "true" });
    assert.deepEqual([nobody.code, nobody.details?.["error"]], ["operation_failed", "sandboxNotFound"]);
    assert.notEqual(nobody.hint ?? "", "");
    const late = await mcp.failure("sandbox_shell", {
      name,
      command: "echo before; exec sleep 1000",
      timeoutMs: 1500,
    });
    assert.deepEqual(
      [late.code, late.details?.["error"], late.details?.["stdout"]],
      ["exec_failed", "execTimeout", "before\n"],
    );
  });

  test("reads on where an output was too long for a result", async () => {
    const told = await mcp.call("sandbox_shell", { name, command: "seq 1 3000", maxBytes: 4096 });
    const [cut] = told.truncated ?? [];
    assert.ok(cut !== undefined);
    assert.deepEqual([cut.field, cut.returnedBytes, cut.totalBytes], ["stdout", 4096, 13_893]);
    let text = String(told.data["stdout"]);
    const [, uri = "", id = ""] = /(microsandbox:\/\/outputs\/([^/]+)\/4096)/.exec(cut.rest) ?? [];
    const [content] = (await mcp.client.readResource({ uri })).contents;
    const whole = text + (content !== undefined && "text" in content ? content.text : "");
    for (let offset: unknown = 4096; typeof offset === "number";) {
      const part = await mcp.data("output_read", { id, offset, maxBytes: 4096 });
      text += String(part["text"]);
      offset = part["nextOffset"];
    }
    assert.equal(text, whole);
    assert.deepEqual(
      text.trimEnd().split("\n").map(Number),
      Array.from({ length: 3000 }, (_, n) => n + 1),
    );
  });

  test("ends a command in the guest by cancelling its call", async () => {
    const cancel = new AbortController();
    const called = mcp.call(
      "sandbox_shell",
      { name, command: "echo $$ > /tmp/pid; sleep 1000; true" },
      { signal: cancel.signal },
    );
    called.catch(() => undefined);
    const pid = await eventually("the command", async () => {
      const { stdout } = await shell("cat /tmp/pid 2>/dev/null");
      return stdout === "" ? null : String(stdout).trim();
    });
    cancel.abort(new Error("enough"));
    await assert.rejects(called);
    await eventually("its end", async () =>
      (await shell(`test -e /proc/${pid}`))["success"] === false ? true : null,
    );
  });

  test("follows a command between calls, writes to it and ends it", async () => {
    const { execSessionId } = await mcp.data("sandbox_exec_start", {
      name,
      command: "cat; echo over >&2",
      shell: true,
      stdin: true,
    });
    await mcp.data("sandbox_exec_write_stdin", { execSessionId, data: "first\n" });
    let cursor = 0;
    let seen = "";
    const pollUntil = async (what: RegExp): Promise<Record<string, unknown>> =>
      await eventually(String(what), async () => {
        const polled = await mcp.data("sandbox_exec_poll", { execSessionId, cursor, waitMs: 2000 });
        cursor = polled["nextCursor"] as number;
        seen += JSON.stringify(polled["events"]);
        return what.test(seen) ? polled : null;
      });
    await pollUntil(/first/);
    await mcp.data("sandbox_exec_write_stdin", { execSessionId, data: "second\n", close: true });
    const last = await pollUntil(/second.*over.*exited/);
    assert.deepEqual([last["done"], last["exitStatus"]], [true, { code: 0, success: true }]);
    assert.equal(
      (await mcp.failure("sandbox_exec_poll", { execSessionId, cursor: 1000 })).code,
      "invalid_input",
    );
    assert.deepEqual(await mcp.data("sandbox_exec_close", { execSessionId }), { closed: true });

    const endless = (await mcp.data("sandbox_exec_start", { name, command: "sleep", args: ["1000"] }))[
      "execSessionId"
    ];
    await mcp.data("sandbox_exec_signal", { execSessionId: endless, signal: "term" });
    const ended = await eventually("its end", async () => {
      const polled = await mcp.data("sandbox_exec_poll", { execSessionId: endless, waitMs: 2000 });
      return polled["done"] === true ? polled : null;
    });
    assert.deepEqual(ended["exitStatus"], { code: 143, success: false });
  });

  test("a command that floods and that nobody polls stands still, and goes on when it is polled", async () => {
    const { execSessionId } = await mcp.data("sandbox_exec_start", {
      name,
      command: "head -c 5000000 /dev/zero | tr '\\0' x; echo done >&2",
      shell: true,
      encoding: "utf8",
    });
    let bytes = 0;
    let cursor = 0;
    await eventually("all of it", async () => {
      const polled = await mcp.data("sandbox_exec_poll", {
        execSessionId,
        cursor,
        limit: 1000,
        waitMs: 1000,
      });
      const events = polled["events"] as { event: { kind: string; data?: string } }[];
      for (const { event } of events) if (event.kind === "stdout") bytes += event.data?.length ?? 0;
      cursor = polled["nextCursor"] as number;
      return polled["done"] === true ? true : null;
    });
    assert.equal(bytes, 5_000_000);
    await mcp.data("sandbox_exec_close", { execSessionId });
  });

  test("reads and changes files of the guest", async () => {
    const path = "/work/a.txt";
    await mcp.data("sandbox_fs_mkdir", { name, path: "/work" });
    await mcp.data("sandbox_fs_write", { name, path, content: "äb".repeat(2000), mode: 0o600 });
    const part = await mcp.call("sandbox_fs_read", { name, path, maxBytes: 4096 });
    assert.deepEqual([part.truncated?.[0]?.returnedBytes, part.truncated?.[0]?.totalBytes], [4095, 6000]);
    const rest = await mcp.call("sandbox_fs_read", { name, path, offset: 4095 });
    assert.equal(`${String(part.data["content"])}${String(rest.data["content"])}`, "äb".repeat(2000));
    assert.equal(rest.truncated, undefined);
    assert.deepEqual(
      (({ kind, size, mode }) => [kind, size, mode])(await mcp.data("sandbox_fs_stat", { name, path })),
      ["file", 6000, "0600"],
    );
    await mcp.data("sandbox_fs_copy", { name, from: path, to: "/work/b.txt" });
    await mcp.data("sandbox_fs_rename", { name, from: "/work/b.txt", to: "/work/c.txt" });
    const { entries } = (await mcp.data("sandbox_fs_list", { name, path: "/work" })) as {
      entries: { path: string }[];
    };
    assert.deepEqual(entries.map((entry) => entry.path).toSorted(), [path, "/work/c.txt"]);
    assert.equal((await mcp.data("sandbox_fs_exists", { name, path: "/work/b.txt" }))["exists"], false);
    assert.equal((await mcp.data("sandbox_fs_remove", { name, path: "/work" }))["removed"], "dir");
    const gone = await mcp.failure("sandbox_fs_read", { name, path });
    assert.deepEqual([gone.code, gone.details?.["errnoName"]], ["operation_failed", "ENOENT"]);
  });

  test("copies to and from the directories that are allowed, and nowhere else", async () => {
    mkdirSync(join(shared, "in"));
    writeFileSync(join(shared, "in/file"), "from the host");
    symlinkSync("/etc", join(shared, "etc"));
    await mcp.data("sandbox_fs_copy_from_host", { name, hostPath: "in", path: "/in" });
    await mcp.data("sandbox_fs_copy_from_host", { name, hostPath: "in/file", path: "/in/again" });
    await shell("cat /in/file /in/again > /in/both; ln -s /etc/passwd /in/link");
    assert.equal(
      (await mcp.data("sandbox_fs_copy_to_host", { name, path: "/in/both", hostPath: "out" }))["hostPath"],
      join(shared, "out"),
    );
    assert.equal(readFileSync(join(shared, "out"), "utf8"), "from the hostfrom the host");
    assert.equal(
      (await mcp.failure("sandbox_fs_copy_to_host", { name, path: "/in/both", hostPath: "out" })).code,
      "operation_failed",
    );
    await mcp.data("sandbox_fs_copy_to_host", { name, path: "/in/file", hostPath: "out", overwrite: true });
    assert.equal(readFileSync(join(shared, "out"), "utf8"), "from the host");
    await mcp.data("sandbox_fs_copy_to_host", { name, path: "/in", hostPath: ".", overwrite: false }).then(
      () => assert.fail("in is there already"),
      () => undefined,
    );
    await mcp.data("sandbox_fs_copy_to_host", { name, path: "/in", hostPath: "tree" });
    assert.equal(readFileSync(join(shared, "tree/again"), "utf8"), "from the host");
    for (const hostPath of ["/etc/passwd", "../x", "etc/passwd", "missing/x", join(home, "config.json")]) {
      assert.equal(
        (await mcp.failure("sandbox_fs_copy_from_host", { name, hostPath, path: "/stolen" })).code,
        "host_path_denied",
        hostPath,
      );
      assert.equal(
        (await mcp.failure("sandbox_fs_copy_to_host", { name, path: "/in/file", hostPath })).code,
        "host_path_denied",
        hostPath,
      );
    }
    const absent = await mcp.failure("sandbox_fs_copy_to_host", {
      name,
      path: "/not-there",
      hostPath: "never",
    });
    assert.doesNotMatch(JSON.stringify(absent), /proc\/self|msb-mcp/);
  });

  test("reads the log, and follows it", async () => {
    await shell("echo logged line");
    const read = (await mcp.data("sandbox_logs_read", { name, grep: "logged line", tail: 1 })) as {
      entries: { text: string }[];
      cursor: string;
    };
    assert.deepEqual(
      read.entries.map(({ text }) => text),
      ["logged line\n"],
    );
    await shell("echo a later one");
    const followed = (await mcp.data("sandbox_logs_stream", {
      name,
      fromCursor: read.cursor,
      limit: 1,
      follow: true,
    })) as { entries: { text: string }[] };
    assert.deepEqual(
      followed.entries.map(({ text }) => text),
      ["a later one\n"],
    );
  });

  test("measures", async () => {
    assert.ok(Number((await mcp.data("sandbox_metrics", { name }))["memoryLimitBytes"]) > 0);
    assert.deepEqual(Object.keys(await mcp.data("sandbox_metrics_all", {})), [name]);
    const { samples } = (await mcp.data("sandbox_metrics_stream", { name, intervalMs: 100, samples: 2 })) as {
      samples: unknown[];
    };
    assert.equal(samples.length, 2);
  });

  test("pauses, goes back to a moment, and copies the sandbox with its memory", async () => {
    await mcp.data("sandbox_pause", { name });
    assert.equal(
      (await mcp.failure("sandbox_shell", { name, command: "true" })).details?.["error"],
      "sandboxPaused",
    );
    await mcp.data("sandbox_resume", { name });
    await shell("echo good > /dev/shm/note");
    await mcp.data("checkpoint_create", { name, checkpoint: "before" });
    await shell("echo bad > /dev/shm/note");
    await mcp.data("sandbox_rollback", { name, checkpoint: "before" });
    const { children } = (await mcp.data("sandbox_fork", { name, names: ["child"] })) as {
      children: { ok: boolean }[];
    };
    assert.deepEqual(
      children.map(({ ok }) => ok),
      [true],
    );
    assert.equal(
      (await mcp.data("sandbox_shell", { name: "child", command: "cat /dev/shm/note" }))["stdout"],
      "good\n",
    );
    await mcp.data("checkpoint_remove", { name, checkpoint: "before" });
    assert.deepEqual(await mcp.data("checkpoint_list", { name }), { checkpoints: [] });
  });

  test("suspends one and goes on with it, keeps a moment of it, and lets it run out", async () => {
    const kept = "kept";
    await mcp.data("sandbox_create", {
      name: kept,
      resources: { memoryMib: 128 },
      lifecycle: { ephemeral: false },
    });
    await mcp.data("sandbox_shell", { name: kept, command: "echo here > /dev/shm/note" });
    assert.deepEqual(await mcp.data("sandbox_suspend", { name: kept }), { name: kept, status: "suspended" });
    await mcp.data("sandbox_start", { name: kept });
    await mcp.data("snapshot_create", { name: "moment", sandbox: kept, full: true });
    const restored = await mcp.data("snapshot_restore", { snapshot: "moment", name: "again" });
    assert.deepEqual([restored["name"], restored["status"]], ["again", "running"]);
    const { stdout } = await mcp.data("sandbox_shell", { name: "again", command: "cat /dev/shm/note" });
    assert.equal(stdout, "here\n");

    const { execSessionId } = await mcp.data("sandbox_exec_start", {
      name: kept,
      command: "sleep",
      args: ["1000"],
    });
    const drained = (await mcp.data("sandbox_drain", { name: kept })) as { results: object[] };
    assert.deepEqual(drained.results, [{ name: kept, ok: true, status: "draining" }]);
    const late = await mcp.failure("sandbox_wait", { name: kept, timeoutMs: 1 });
    assert.deepEqual([late.details?.["error"], late.retryable], ["operationTimeout", true]);
    const waited = mcp.data("sandbox_wait", { name: kept });
    await mcp.data("sandbox_exec_close", { execSessionId });
    assert.equal((await waited)["status"], "stopped");
    await mcp.data("sandbox_remove", { names: [kept, "again"], force: true });
  });

  test("a link that has come where a directory was mounted keeps the sandbox from starting", async () => {
    mkdirSync(join(shared, "mounted"));
    const again = {
      name: "mounts",
      resources: { memoryMib: 128 },
      lifecycle: { ephemeral: false },
      mounts: [{ guestPath: "/m", bind: "mounted" }],
    };
    await mcp.data("sandbox_create", again);
    await mcp.data("sandbox_stop", { name: "mounts", force: true });
    rmSync(join(shared, "mounted"), { recursive: true });
    symlinkSync("/etc", join(shared, "mounted"));
    assert.equal((await mcp.failure("sandbox_start", { name: "mounts" })).code, "host_path_denied");
    const ran = await mcp.failure("sandbox_exec", {
      name: "mounts",
      command: "ls",
      args: ["/m"],
      startIfStopped: true,
    });
    assert.equal(ran.code, "host_path_denied");
    await mcp.data("sandbox_remove", { name: "mounts" });
  });

  test("nor does a link in the place of its root, or of a file that a patch copies", async () => {
    const config = { resources: { memoryMib: 128 }, lifecycle: { ephemeral: false } };
    await busyboxTree(join(shared, "root"));
    await mcp.data("sandbox_create", { name: "rooted", rootfs: { bind: "root" }, ...config });
    await mcp.data("sandbox_stop", { name: "rooted", force: true });
    renameSync(join(shared, "root"), join(shared, "elsewhere"));
    const outside = mkdtempSync(join(tmpdir(), "msb-mcp-outside-"));
    symlinkSync(outside, join(shared, "root"));
    assert.equal((await mcp.failure("sandbox_start", { name: "rooted" })).code, "host_path_denied");
    // Whoever starts one gets nothing of the other place: nothing was mounted there, or written.
    assert.deepEqual(readdirSync(outside), []);
    rmSync(outside, { recursive: true });
    await mcp.data("sandbox_remove", { name: "rooted" });

    writeFileSync(join(shared, "copied"), "fine");
    const patches = [{ kind: "copyFile", src: "copied", dst: "/copied" }];
    await mcp.data("sandbox_create", { name: "patched", patches, ...config });
    await mcp.data("sandbox_stop", { name: "patched", force: true });
    rmSync(join(shared, "copied"));
    // What was copied may be gone.
    await mcp.data("sandbox_start", { name: "patched" });
    await mcp.data("sandbox_stop", { name: "patched", force: true });
    symlinkSync("/etc/passwd", join(shared, "copied"));
    assert.equal((await mcp.failure("sandbox_start", { name: "patched" })).code, "host_path_denied");
    await mcp.data("sandbox_remove", { name: "patched" });
  });

  test("a sandbox of somebody else gives nothing of places that are not allowed", async () => {
    const outside = realpathSync(mkdtempSync(join(tmpdir(), "msb-mcp-outside-")));
    writeFileSync(join(outside, "private"), "private");
    await using other = await Sandbox.builder("others")
      .image("localhost/base")
      .memory(128)
      .volume("/out", (m) => m.bind(outside))
      .volume("/in", (m) => m.bind(shared))
      .create();
    const read = { name: "others", path: "/out/private" };
    for (const [tool, input] of [
      ["sandbox_exec", { name: "others", command: "cat", args: ["/out/private"] }],
      ["sandbox_shell", { name: "others", command: "echo gone > /out/private" }],
      ["sandbox_exec_start", { name: "others", command: "cat", args: ["/out/private"] }],
      ["sandbox_fs_read", read],
      ["sandbox_fs_write", { ...read, content: "gone" }],
    ] as const) {
      assert.equal((await mcp.failure(tool, input)).code, "host_path_denied", tool);
    }
    assert.equal(readFileSync(join(outside, "private"), "utf8"), "private");
    assert.equal((await other.exec("cat", ["/out/private"])).stdout(), "private");
    await other.stop();
    await other.removePersisted();
    await using allowed = await Sandbox.builder("others")
      .image("localhost/base")
      .memory(128)
      .volume("/in", (m) => m.bind(shared))
      .create();
    assert.equal(
      (await mcp.data("sandbox_shell", { name: allowed.name, command: "echo on" }))["stdout"],
      "on\n",
    );
    await allowed.destroy();
    rmSync(outside, { recursive: true });
  });

  test("leaves nothing when it goes: nothing was on stdout but the protocol", async () => {
    assert.deepEqual(mcp.faults, []);
    await mcp[Symbol.asyncDispose]();
    await eventually("the end of all sandboxes", async () =>
      (await Sandbox.list()).length === 0 ? true : null,
    );
  });
});

test(
  "a client of the older era whose server is killed leaves nothing either",
  { timeout: 280_000 },
  async () => {
    await using client = await McpClient.start("legacy", environment, shared);
    const progress: string[] = [];
    const ran = await client.data(
      "sandbox_run",
      { command: "uname -s; exit 3", resources: { memoryMib: 128 } },
      { onprogress: ({ message = "" }) => progress.push(message) },
    );
    assert.deepEqual([ran["exitCode"], ran["stdout"]], [3, "Linux\n"]);
    assert.ok(progress.length > 0);
    assert.deepEqual(await Sandbox.list(), []);
    await client.data("sandbox_create", { name: "orphan", resources: { memoryMib: 128 } });
    const { pid } = client.transport;
    assert.ok(pid !== null);
    process.kill(pid, "SIGKILL");
    await eventually("the end of the sandbox", async () =>
      (await Sandbox.list()).length === 0 ? true : null,
    );
    await client[Symbol.asyncDispose]();
  },
);
