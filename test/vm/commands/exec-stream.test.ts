import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  ExecTimeoutError,
  RuntimeError,
  Sandbox,
  type ExecEvent,
  type ExecHandle,
} from "../../../src/index.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

const home = useTemporaryHome();
let sandbox: Sandbox;
before(async () => {
  sandbox = await Sandbox.builder("exec-stream").image("localhost/base").create();
});
after(() => sandbox.stop());

const mebibyte = 1024 * 1024;
const sigint = 2;
const sigusr1 = 10;
const sigterm = 15;

async function events(handle: ExecHandle): Promise<ExecEvent[]> {
  const seen: ExecEvent[] = [];
  for await (const event of handle) seen.push(event);
  return seen;
}

/** Reads until the output holds the text. */
async function outputHas(handle: ExecHandle, text: string): Promise<string> {
  let seen = "";
  while (!seen.includes(text)) {
    const event = await handle.recv();
    assert.ok(event !== null && event.kind !== "exited", `ended before ${text} was printed, after: ${seen}`);
    if (event.kind === "stdout") seen += event.data.toString();
  }
  return seen;
}

/** Waits until no process of the guest has such a command line. */
async function gone(pattern: string): Promise<void> {
  await eventually(`the end of ${pattern}`, async () => {
    const { code } = await sandbox.exec("sh", [
      "-c",
      'ps -o args | grep -v grep | grep -q -- "$1"',
      "sh",
      pattern,
    ]);
    return code === 0 ? null : true;
  });
}

function supervisorPid(): number {
  const path = join(home, "sandboxes", sandbox.name, "state.json");
  const state = JSON.parse(readFileSync(path, "utf8")) as { supervisor: { pid: number } };
  return state.supervisor.pid;
}

/** Bytes of memory that a process of the host has. */
function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  assert.ok(kib !== undefined);
  return Number(kib) * 1024;
}

describe("events", () => {
  test("begin with started and end with exited", async () => {
    const handle = await sandbox.shellStream("echo one; echo two >&2; exit 5");
    const seen = await events(handle);
    const [first] = seen;
    assert.ok(first?.kind === "started" && first.pid > 1);
    assert.deepEqual(seen.at(-1), { kind: "exited", eventType: "exited", code: 5 });
    const middle = seen.slice(1, -1);
    assert.deepEqual(middle.map(({ kind }) => kind).toSorted(), ["stderr", "stdout"]);
    for (const event of seen) assert.equal(event.eventType, event.kind);
  });

  test("come while the command runs", async () => {
    const handle = await sandbox.execStreamWith("sh", (e) =>
      e.args(["-c", "echo ready; read x; echo got $x"]).stdinPipe(),
    );
    const stdin = handle.takeStdin();
    await outputHas(handle, "ready\n");
    await stdin?.write("it\n");
    await outputHas(handle, "got it\n");
    assert.deepEqual(await handle.wait(), { code: 0, success: true });
  });

  test("of one output are in order", async () => {
    const handle = await sandbox.execStream("seq", ["1", "100000"]);
    let text = "";
    for await (const event of handle) if (event.kind === "stdout") text += event.data.toString();
    assert.equal(text, Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join(""));
  });

  test("of several commands at once are whole, whatever their readers do, and whoever is killed beside them", async () => {
    const file = "/tmp/random";
    // Not a whole number of pages, so that pieces end anywhere.
    await sandbox.shell(`head -c 5000011 /dev/urandom > ${file}`);
    const print = `cat ${Array.from({ length: 8 }, () => file).join(" ")}`;
    const expected = (await sandbox.shell(`${print} | sha256sum`)).stdout().slice(0, 64);
    const read = async (script: string, kind: "stdout" | "stderr", eachMs: number): Promise<string> => {
      const hash = createHash("sha256");
      for await (const event of await sandbox.shellStream(script)) {
        if (event.kind === kind) hash.update(event.data);
        // A slow reader is what is tested: it holds its own command back for longer than the others take.
        if (eachMs > 0) await new Promise((resolve) => setTimeout(resolve, eachMs));
      }
      return hash.digest("hex");
    };
    const killed = await sandbox.shellStream("cat /dev/zero");
    const hashes = await Promise.all([
      read(print, "stdout", 0),
      read(print, "stdout", 2),
      read(`${print} >&2`, "stderr", 0),
      read(
        `for n in 1 2 3 4 5 6 7 8; do dd if=${file} bs=777 count=6435 2>/dev/null; dd if=${file} bs=4999995 skip=1; done`,
        "stdout",
        0,
      ),
      killed.recv().then(() => killed[Symbol.asyncDispose]()),
    ]);
    assert.deepEqual(
      hashes.slice(0, 4),
      Array.from({ length: 4 }, () => expected),
    );
  });

  test("after the last one there is null for ever", async () => {
    const handle = await sandbox.execStream("true");
    assert.deepEqual(
      (await events(handle)).map(({ kind }) => kind),
      ["started", "exited"],
    );
    for (let n = 0; n < 3; n++) assert.equal(await handle.recv(), null);
    assert.deepEqual(await events(handle), []);
    assert.deepEqual(await handle.wait(), { code: 0, success: true });
    assert.equal((await handle.collect()).code, 0);
  });

  test("several readers share them", async () => {
    const handle = await sandbox.shellStream("sleep 0.3; echo x");
    const received = await Promise.all([
      handle.recv(),
      handle.recv(),
      handle.recv(),
      handle.recv(),
      handle.recv(),
    ]);
    assert.deepEqual(
      received.map((event) => event?.kind ?? null),
      ["started", "stdout", "exited", null, null],
    );
  });
});

describe("waiting, collecting and iterating", () => {
  test("wait drops what was not read", async () => {
    const handle = await sandbox.shellStream("seq 1 400000; exit 3");
    assert.deepEqual(await handle.wait(), { code: 3, success: false });
    assert.equal(await handle.recv(), null);
    assert.deepEqual(await handle.wait(), { code: 3, success: false });
  });

  test("collect gathers what is left", async () => {
    const handle = await sandbox.execStreamWith("sh", (e) =>
      e.args(["-c", "echo first; read x; echo second; echo third >&2"]).stdinPipe(),
    );
    assert.equal(await outputHas(handle, "first"), "first\n");
    await handle.takeStdin()?.write("\n");
    const output = await handle.collect();
    assert.deepEqual([output.code, output.stdout(), output.stderr()], [0, "second\n", "third\n"]);
  });

  test("one who stops iterating ends the command", async () => {
    const handle = await sandbox.shellStream("echo a; sleep 969");
    for await (const event of handle) if (event.kind === "stdout") break;
    assert.equal((await handle.wait()).code, 137);
    await gone("sleep 969");
  });

  test("one who has released it does not", async () => {
    const handle = await sandbox.shellStream("echo a; sleep 968");
    for await (const event of handle) {
      if (event.kind !== "stdout") continue;
      await handle.release();
      break;
    }
    await assert.rejects(handle.wait(), RuntimeError);
    const left = await sandbox.shell("ps -o args | grep -c '[s]leep 968'");
    assert.equal(left.stdout(), "1\n");
  });

  test("waiting beside an iteration ends both", async () => {
    const handle = await sandbox.shellStream("sleep 0.3; exit 6");
    const [seen, status] = await Promise.all([events(handle), handle.wait()]);
    assert.equal(status.code, 6);
    assert.ok(seen.every(({ kind }) => kind === "started" || kind === "exited"));
  });
});

describe("what a command leaves in the background with its output", () => {
  const limitMs = 60_000;

  test("does not keep it from ending", async () => {
    for (const tty of [false, true]) {
      const output = await sandbox.execWith("sh", (e) =>
        e.args(["-c", "trap '' HUP; sleep 967 & echo hi; exit 4"]).tty(tty).timeout(limitMs),
      );
      assert.deepEqual([output.code, output.stdout().trim()], [4, "hi"]);
    }
    const left = await sandbox.shell("ps -o args | grep -c '[s]leep 967'");
    assert.equal(left.stdout(), "2\n");
  });

  test("may go on writing: the log has it", async () => {
    await sandbox.exec("mkfifo", ["/tmp/late"]);
    const handle = await sandbox.shellStream(
      "(read go < /tmp/late; echo late; echo alive > /tmp/alive) & echo first",
    );
    assert.equal((await handle.collect({ timeoutMs: limitMs })).stdout(), "first\n");
    await sandbox.shell("echo go > /tmp/late");
    await eventually("its last words in the log", async () => {
      const entries = await sandbox.logs();
      const own = entries.filter(({ sessionId }) => String(sessionId) === handle.id);
      return own.map((entry) => entry.text()).join("") === "first\nlate\n" ? true : null;
    });
    await eventually("it to have outlived that", async () =>
      (await sandbox.exec("cat", ["/tmp/alive"])).stdout() === "alive\n" ? true : null,
    );
  });

  test("is heard by who asks for it, to its end", async () => {
    const handle = await sandbox.shellStream(
      "(read go < /tmp/late; seq 1 100000; echo over >&2) & echo first; exit 3",
    );
    handle.followOutput();
    assert.equal(await outputHas(handle, "first"), "first\n");
    const gathered = handle.collect();
    assert.deepEqual(await handle.wait(), { code: 3, success: false });
    await sandbox.shell("echo go > /tmp/late");
    const output = await gathered;
    const numbers = Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join("");
    assert.deepEqual([output.code, output.stdout() === numbers, output.stderr()], [3, true, "over\n"]);
  });
});

describe("standard input", () => {
  test("is taken once", async () => {
    const handle = await sandbox.execStreamWith("cat", (e) => e.stdinPipe());
    const stdin = handle.takeStdin();
    assert.ok(stdin !== null);
    assert.equal(handle.takeStdin(), null);
    await stdin.write("text");
    await stdin.write(Uint8Array.of(0, 255));
    await stdin.close();
    await stdin.close();
    assert.deepEqual([...(await handle.collect()).stdoutBytes()], [...Buffer.from("text"), 0, 255]);
  });

  test("is not there unless it is a pipe", async () => {
    const handle = await sandbox.execStream("cat");
    assert.equal(handle.takeStdin(), null);
    assert.equal((await handle.wait()).code, 0);
    const fed = await sandbox.execStreamWith("cat", (e) => e.stdinBytes("x"));
    assert.equal(fed.takeStdin(), null);
    assert.equal((await fed.collect()).stdout(), "x");
  });

  test("32 MiB in pieces of odd sizes", async () => {
    const handle = await sandbox.execStreamWith("sha256sum", (e) => e.stdinPipe());
    const hash = createHash("sha256");
    const stdin = handle.takeStdin();
    assert.ok(stdin !== null);
    let sent = 0;
    for (let size = 1; sent < 32 * mebibyte; size = (size * 7 + 3) % 700_001) {
      const piece = randomBytes(size);
      hash.update(piece);
      sent += size;
      await stdin.write(piece);
    }
    await stdin.close();
    assert.equal((await handle.collect()).stdout().slice(0, 64), hash.digest("hex"));
  });

  test("a writer waits for a command that does not read", async () => {
    await sandbox.exec("mkfifo", ["/tmp/gate"]);
    const waiting = await sandbox.execStreamWith("sh", (e) =>
      e.args(["-c", "echo blocked; read go < /tmp/gate; wc -c"]).stdinPipe(),
    );
    await outputHas(waiting, "blocked");
    const stdin = waiting.takeStdin();
    let written = false;
    const writing = stdin?.write(Buffer.alloc(2 * mebibyte)).then(() => (written = true));
    // A command that takes a while tells that nothing has moved.
    await sandbox.exec("sleep", ["1"]);
    assert.equal(written, false);
    await sandbox.shell("echo go > /tmp/gate");
    await writing;
    await stdin?.close();
    assert.equal((await waiting.collect()).stdout().trim(), String(2 * mebibyte));
  });

  test("writing to a command that has ended, or that closed it, is no error", async () => {
    const ended = await sandbox.execStreamWith("true", (e) => e.stdinPipe());
    const stdin = ended.takeStdin();
    assert.equal((await ended.wait()).code, 0);
    await stdin?.write(Buffer.alloc(mebibyte));
    await stdin?.close();

    const closed = await sandbox.execStreamWith("sh", (e) =>
      e.args(["-c", "exec < /dev/null; echo shut; sleep 1; exit 4"]).stdinPipe(),
    );
    const closedStdin = closed.takeStdin();
    await outputHas(closed, "shut");
    await closedStdin?.write(Buffer.alloc(mebibyte));
    assert.equal((await closed.wait()).code, 4);
  });

  test("disposing of the sink is the end of the input", async () => {
    const handle = await sandbox.execStreamWith("wc", (e) => e.arg("-c").stdinPipe());
    {
      await using stdin = handle.takeStdin();
      await stdin?.write("12345");
    }
    assert.equal((await handle.collect()).stdout(), "5\n");
  });

  test("on a terminal what is typed is echoed, and Ctrl-D is the end", async () => {
    const handle = await sandbox.execStreamWith("cat", (e) => e.stdinPipe().tty(true));
    const stdin = handle.takeStdin();
    await stdin?.write("hello\n");
    await outputHas(handle, "hello\r\nhello\r\n");
    await stdin?.close();
    await stdin?.write("\u0004");
    assert.equal((await handle.wait()).code, 0);
  });

  test("Ctrl-C on a terminal interrupts", async () => {
    const handle = await sandbox.execStreamWith("sh", (e) =>
      e.args(["-c", "echo ready; sleep 60"]).stdinPipe().tty(true),
    );
    const stdin = handle.takeStdin();
    await outputHas(handle, "ready");
    await stdin?.write("\u0003");
    assert.equal((await handle.wait()).code, 128 + sigint);
  });
});

describe("signals", () => {
  test("reach the command, which may handle them", async () => {
    const handle = await sandbox.shellStream(
      "trap 'echo caught; exit 7' USR1; echo ready; while :; do sleep 0.1; done",
    );
    await outputHas(handle, "ready");
    await handle.signal(sigusr1);
    await outputHas(handle, "caught");
    assert.equal((await handle.wait()).code, 7);
  });

  test("reach the whole group", async () => {
    const handle = await sandbox.shellStream("sleep 971 & sleep 972 & echo ready; wait");
    await outputHas(handle, "ready");
    await handle.signal(sigterm);
    assert.equal((await handle.wait()).code, 128 + sigterm);
    await gone("sleep 97[12]");
  });

  test("kill ends the group, with the children that hold the output", async () => {
    const handle = await sandbox.shellStream(
      "(trap '' TERM INT; echo ready; while :; do sleep 973; done) & wait",
    );
    await outputHas(handle, "ready");
    await handle.kill();
    assert.equal((await handle.wait()).code, 137);
    await gone("sleep 973");
  });

  test("reach the children of a leader that has ended", async () => {
    const handle = await sandbox.shellStream(
      "(while [ -e /proc/$$ ]; do sleep 0.05; done; echo ready; sleep 974) & exit 0",
    );
    handle.followOutput();
    assert.deepEqual(await handle.wait(), { code: 0, success: true });
    await gone("exit 0");
    await handle.kill();
    assert.equal((await handle.collect()).code, 0);
    await gone("sleep 974");
  });

  test("to a command that has ended do nothing; those that are none are refused", async () => {
    const handle = await sandbox.execStream("true");
    await handle.wait();
    await handle.signal(sigterm);
    await handle.kill();
    await handle.resize(1, 1);
    await assert.rejects(handle.signal(0), RangeError);
    await assert.rejects(handle.signal(65), RangeError);
    await assert.rejects(handle.resize(-1, 5), RangeError);
  });

  test("disposing of a handle kills its command", async () => {
    {
      await using handle = await sandbox.shellStream("echo ready; sleep 975");
      await outputHas(handle, "ready");
    }
    await gone("sleep 975");
  });
});

describe("terminals", () => {
  test("a new size is seen by the command and announced", async () => {
    const handle = await sandbox.execStreamWith("sh", (e) =>
      e.args(["-c", "trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.1; done"]).tty(true),
    );
    await outputHas(handle, "24 80\r\n");
    await handle.resize(50, 132);
    await outputHas(handle, "50 132\r\n");
    assert.equal((await handle.wait()).code, 0);
  });

  test("resizing a command without one is no error", async () => {
    const handle = await sandbox.shellStream("sleep 0.3");
    await handle.resize(10, 10);
    assert.equal((await handle.wait()).code, 0);
  });
});

describe("time limits of streams", () => {
  test("the output until then is there, then the error", async () => {
    const handle = await sandbox.execStreamWith("sh", (e) =>
      e.args(["-c", "echo before; sleep 976"]).timeout(2000),
    );
    await outputHas(handle, "before\n");
    await assert.rejects(handle.recv(), ExecTimeoutError);
    await assert.rejects(handle.recv(), ExecTimeoutError);
    await assert.rejects(handle.wait(), ExecTimeoutError);
    await assert.rejects(handle.collect(), ExecTimeoutError);
    await gone("sleep 976");
  });
});

describe("a command that floods while nobody reads", () => {
  const floodMib = 256;

  test("is held back, harms nobody, and loses nothing", { timeout: 600_000 }, async (context) => {
    const supervisor = supervisorPid();
    const before = { client: residentBytes(process.pid), supervisor: residentBytes(supervisor) };
    const handle = await sandbox.execStreamWith("dd", (e) =>
      e.args(["if=/dev/zero", "bs=65536", `count=${(floodMib * mebibyte) / 65536}`]),
    );
    const started = await handle.recv();
    assert.ok(started?.kind === "started");
    const written = async (): Promise<string> =>
      (await sandbox.exec("grep", ["wchar", `/proc/${started.pid}/io`])).stdout();
    // It is held back once its progress stands still over twenty other commands.
    await eventually("the flood to be held back", async () => {
      const first = await written();
      for (let n = 0; n < 20; n++) await sandbox.exec("true");
      return (await written()) === first ? true : null;
    });
    const held = Number(/\d+/.exec(await written())?.[0]);
    assert.ok(held < mebibyte, `it wrote ${held} bytes that nobody has read`);

    const begun = performance.now();
    for (let n = 0; n < 10; n++) assert.equal((await sandbox.exec("true")).code, 0);
    context.diagnostic(`a command beside the flood takes ${Math.round((performance.now() - begun) / 10)} ms`);

    let peak = residentBytes(supervisor);
    let received = 0;
    for await (const event of handle) {
      if (event.kind !== "stdout") continue;
      received += event.data.length;
      if (received % (4 * mebibyte) < 32_768) peak = Math.max(peak, residentBytes(supervisor));
    }
    assert.equal(received, floodMib * mebibyte);
    const grown = {
      client: (residentBytes(process.pid) - before.client) / mebibyte,
      supervisor: (peak - before.supervisor) / mebibyte,
    };
    context.diagnostic(`grown by MiB: ${JSON.stringify(grown)}`);
    // Buffers that wait for the garbage collector are most of it; what is not held back would be all of the flood.
    assert.ok(grown.supervisor < 180, `the supervisor grew by ${grown.supervisor} MiB`);
    assert.ok(grown.client < 120, `the client grew by ${grown.client} MiB`);
  });
});

describe("many commands", () => {
  test("50 at once get their own answers", async () => {
    const numbers = Array.from({ length: 50 }, (_, index) => index);
    const outputs = await Promise.all(
      numbers.map((n) =>
        sandbox.execWith("sh", (e) => e.args(["-c", `cat; echo e${n} >&2; exit ${n}`]).stdinBytes(`o${n}`)),
      ),
    );
    assert.deepEqual(
      outputs.map((output) => [output.code, output.stdout(), output.stderr()]),
      numbers.map((n) => [n, `o${n}`, `e${n}\n`]),
    );
  });

  test("each has an id, and its log entries bear it", async () => {
    const first = await sandbox.shellStream("echo mine");
    const second = await sandbox.shellStream("echo yours");
    await Promise.all([first.wait(), second.wait()]);
    assert.match(first.id, /^[1-9]\d*$/);
    assert.equal(Number(second.id), Number(first.id) + 1);
    const logged = await sandbox.logs();
    const of = (id: string): string =>
      logged
        .filter(({ sessionId }) => String(sessionId) === id)
        .map((entry) => entry.text())
        .join("");
    assert.deepEqual([of(first.id), of(second.id)], ["mine\n", "yours\n"]);
  });

  test("orphans are reaped", async () => {
    const script =
      "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do (sh -c 'sleep 0.2 &' &); done";
    await sandbox.shell(`(${script}) > /dev/null 2>&1`);
    await gone("sleep 0.2");
    await eventually("the last one to be reaped", async () => {
      const zombies = await sandbox.shell("cat /proc/[0-9]*/stat 2> /dev/null | grep -c ') Z '");
      return zombies.stdout() === "0\n" ? true : null;
    });
  });
});

describe("other clients", () => {
  test("of the same sandbox run commands of their own", async () => {
    const other = await (await Sandbox.get(sandbox.name)).connect();
    assert.equal(other.ownsLifecycle, false);
    await other.shell("echo shared > /tmp/shared");
    assert.equal((await sandbox.exec("cat", ["/tmp/shared"])).stdout(), "shared\n");
  });

  test("from another process: its command dies with it, the sandbox stays", async () => {
    const program = `
      import { Sandbox } from ${JSON.stringify(fileURLToPath(new URL("../../../src/index.ts", import.meta.url)))};
      const sandbox = await (await Sandbox.get(${JSON.stringify(sandbox.name)})).connect();
      const handle = await sandbox.shellStream("sleep 977 & echo ready; exec sleep 978");
      for await (const event of handle) if (event.kind === "stdout") process.stdout.write(event.data);
    `;
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [printed] = (await once(child.stdout, "data")) as [Buffer];
    assert.equal(printed.toString(), "ready\n");
    const running = await sandbox.shell("ps -o args | grep -c 'sleep 97[78]'");
    assert.equal(running.stdout(), "2\n");
    child.kill("SIGKILL");
    await once(child, "exit");
    await gone("sleep 97[78]");
    assert.equal((await sandbox.exec("true")).code, 0);
  });
});
