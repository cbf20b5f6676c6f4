import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  InvalidConfigError,
  InvalidCursorError,
  MissedRotationError,
  Sandbox,
  SandboxNotFoundError,
  type LogEntry,
  type LogReadOptions,
  type LogStream,
} from "../../../src/index.ts";
import { openMarkedLog } from "../../../src/api/logs/whole-lines.ts";
import { printed, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

const home = useTemporaryHome();
const name = "logs";
const logsDirectory = join(home, "sandboxes", name, "logs");
const started = "--- sandbox started ---\n";
const stopped = "--- sandbox stopped ---\n";
let sandbox: Sandbox;
before(async () => {
  sandbox = await Sandbox.builder(name).image("localhost/base").logLevel("debug").create();
});

function joined(entries: readonly LogEntry[]): string {
  return entries.map((entry) => entry.text()).join("");
}

async function ofSession(id: string, options: LogReadOptions = {}): Promise<LogEntry[]> {
  return (await sandbox.logs(options)).filter(({ sessionId }) => String(sessionId) === id);
}

async function rest(stream: LogStream): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const entry of stream) entries.push(entry);
  return entries;
}

async function streamHas(stream: LogStream, text: string): Promise<void> {
  // No more than the text may begin in: to search all of a long log again for each entry takes a second per MiB.
  let end = "";
  for (;;) {
    const entry = await stream.recv();
    assert.ok(entry !== null, `the stream ended before ${text}, after: ${end}`);
    const seen = end + entry.text();
    if (seen.includes(text)) return;
    end = seen.slice(-text.length);
  }
}

/** The moment now, and then one that is later than everything before. */
async function moment(): Promise<Date> {
  const now = new Date();
  while (Date.now() <= now.getTime()) await new Promise((resolve) => setTimeout(resolve, 1));
  return new Date();
}

// The tests build on one another: the log only grows.
describe("a new sandbox's log", () => {
  test("holds no output, but says that the sandbox has started", async () => {
    assert.deepEqual(await sandbox.logs(), []);
    const system = await sandbox.logs({ sources: ["system"] });
    assert.ok(system.every(({ source, sessionId }) => source === "system" && sessionId === null));
    assert.equal(system.filter((entry) => entry.text() === started).length, 1);
    assert.ok(
      system.some((entry) => /^--- boot \S+ ---\n$/.test(entry.text())),
      "the guest's console is there",
    );
    assert.ok(
      system.some((entry) => / DEBUG /.test(entry.text())),
      "the supervisor's own log is there",
    );
  });
});

describe("what commands print", () => {
  test("is logged by source and session, with the time", async () => {
    const begin = new Date();
    const handle = await sandbox.shellStream("echo out; echo err >&2");
    await handle.wait();
    const entries = await ofSession(handle.id);
    assert.deepEqual(entries.map((entry) => [entry.source, entry.text()]).toSorted(), [
      ["stderr", "err\n"],
      ["stdout", "out\n"],
    ]);
    for (const { timestamp } of entries) {
      assert.ok(timestamp >= begin && timestamp <= new Date(), timestamp.toISOString());
    }
  });

  test("on a terminal has the source output; what is typed is logged only as its echo", async () => {
    const handle = await sandbox.execStreamWith("sh", (e) =>
      e.args(["-c", "stty -echo; echo ready; read secret; echo done"]).tty(true).stdinPipe(),
    );
    const stdin = handle.takeStdin();
    await printed(handle);
    await stdin?.write("hush\n");
    await handle.wait();
    const entries = await ofSession(handle.id);
    assert.ok(entries.every(({ source }) => source === "output"));
    assert.equal(joined(entries), "ready\r\ndone\r\n");
    assert.doesNotMatch(joined(await sandbox.logs({ sources: ["all"] })), /hush/);
  });

  test("is logged byte by byte, even what is no UTF-8", async () => {
    const bytes = Uint8Array.from({ length: 1024 }, (_, index) => (index * 7) % 256);
    const handle = await sandbox.execStreamWith("cat", (e) => e.stdinBytes(bytes));
    await handle.wait();
    const data = Buffer.concat((await ofSession(handle.id)).map((entry) => entry.data));
    assert.deepEqual(new Uint8Array(data), bytes);
  });

  test("a character that comes in two pieces is not torn", async () => {
    const script = String.raw`printf '\360\237'; read go; printf '\246\200\n'`;
    const handle = await sandbox.execStreamWith("sh", (e) => e.args(["-c", script]).stdinPipe());
    await printed(handle);
    await handle.takeStdin()?.write("go\n");
    await handle.wait();
    const entries = await ofSession(handle.id);
    assert.equal(joined(entries), "🦀\n");
    assert.ok(entries.every((entry) => !entry.text().includes("\ufffd")));
  });

  test("without a newline at its end, its line ends with its command", async () => {
    await sandbox.shell("printf unfinished");
    const next = await sandbox.shell("echo next-line");
    assert.equal(next.code, 0);
    const entries = await (await openMarkedLog(name)).read({});
    const [text, mark, other] = entries.slice(entries.findIndex((entry) => entry.text() === "unfinished"));
    assert.deepEqual([text?.ends, mark?.ends, mark?.sessionId], [null, "session", text?.sessionId]);
    assert.equal(other?.text(), "next-line\n");
    assert.ok((await sandbox.logs()).every(({ data }) => data.length > 0));
  });

  test("is logged although nobody listens", async () => {
    const handle = await sandbox.execStream("seq", ["1", "150000"]);
    await handle.wait();
    assert.equal(
      joined(await ofSession(handle.id)),
      Array.from({ length: 150_000 }, (_, index) => `${index + 1}\n`).join(""),
    );
  });
});

describe("reading a part", () => {
  test("by source", async () => {
    const handle = await sandbox.shellStream("echo o; echo e >&2");
    await handle.wait();
    const of = async (options: LogReadOptions): Promise<string[]> =>
      (await ofSession(handle.id, options)).map((entry) => entry.text()).toSorted();
    assert.deepEqual(await of({ sources: ["stdout"] }), ["o\n"]);
    assert.deepEqual(await of({ sources: ["stderr", "output"] }), ["e\n"]);
    assert.deepEqual(await of({ sources: ["all"] }), ["e\n", "o\n"]);
    assert.deepEqual(await of({ sources: [] }), []);
  });

  test("by time: since is inclusive, until exclusive", async () => {
    await sandbox.exec("echo", ["before"]);
    const since = await moment();
    await sandbox.exec("echo", ["between"]);
    const until = await moment();
    await sandbox.exec("echo", ["after"]);
    assert.equal(joined(await sandbox.logs({ since, until })), "between\n");
    assert.equal(joined(await sandbox.logs({ since })), "between\nafter\n");
    assert.ok(joined(await sandbox.logs({ until })).endsWith("before\nbetween\n"));
    const [entry] = await sandbox.logs({ since, until });
    assert.ok(entry !== undefined);
    assert.equal(joined(await sandbox.logs({ since: entry.timestamp, until })), "between\n");
    assert.equal(joined(await sandbox.logs({ since, until: entry.timestamp })), "");
  });

  test("the last ones, after the other filters", async () => {
    for (const script of ["echo one", "echo two", "echo noise >&2"]) await sandbox.shell(script);
    assert.deepEqual(
      (await sandbox.logs({ tail: 2, sources: ["stdout"] })).map((entry) => entry.text()),
      ["one\n", "two\n"],
    );
    assert.deepEqual(await sandbox.logs({ tail: 0 }), []);
    assert.equal((await sandbox.logs({ tail: 1_000_000 })).length, (await sandbox.logs()).length);
  });

  test("in the order of time", async () => {
    const times = (await sandbox.logs({ sources: ["all"] })).map(({ timestamp }) => timestamp.getTime());
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
  });

  test("what makes no sense is refused", async () => {
    await assert.rejects(sandbox.logs({ tail: -1 }), InvalidConfigError);
    await assert.rejects(sandbox.logs({ tail: 1.5 }), InvalidConfigError);
    await assert.rejects(sandbox.logs({ since: new Date(NaN) }), InvalidConfigError);
    await assert.rejects(sandbox.logs({ sources: ["stdin" as "stdout"] }), InvalidConfigError);
  });
});

describe("a stream of the log", () => {
  test("without follow ends with what is there, and is then at its end for ever", async () => {
    await using stream = await sandbox.logStream();
    const entries = await rest(stream);
    assert.deepEqual(
      entries.map(({ cursor }) => cursor),
      (await sandbox.logs()).map(({ cursor }) => cursor),
    );
    assert.equal(await stream.recv(), null);
  });

  test("goes on strictly after a cursor", async () => {
    for (const letter of "abc") await sandbox.exec("echo", [letter]);
    const [a, b] = (await sandbox.logs({ tail: 3 })).map(({ cursor }) => cursor);
    assert.ok(a !== undefined && b !== undefined);
    assert.equal(joined(await rest(await sandbox.logStream({ fromCursor: a }))), "b\nc\n");
    assert.equal(joined(await rest(await sandbox.logStream({ fromCursor: b }))), "c\n");
    const [last] = await sandbox.logs({ tail: 1 });
    assert.deepEqual(await rest(await sandbox.logStream({ fromCursor: last?.cursor ?? "" })), []);
  });

  test("refuses a cursor that is none, and a cursor beside since", async () => {
    for (const fromCursor of ["", "nonsense", Buffer.from('{"log":-1}').toString("base64url")]) {
      await assert.rejects(sandbox.logStream({ fromCursor }), InvalidCursorError);
    }
    const [last] = await sandbox.logs({ tail: 1 });
    await assert.rejects(
      sandbox.logStream({ fromCursor: last?.cursor ?? "", since: new Date() }),
      InvalidConfigError,
    );
  });

  test("goes on after any entry of all sources, without the ones before it", async () => {
    const all = await sandbox.logs({ sources: ["all"] });
    for (const index of [0, Math.floor(all.length / 3), all.length - 2]) {
      const entry = all[index];
      assert.ok(entry !== undefined);
      const later = await rest(await sandbox.logStream({ fromCursor: entry.cursor, sources: ["all"] }));
      const expected = all.slice(index + 1);
      // Lines about the sandbox itself that have the very same time are passed over.
      assert.deepEqual(
        later.map((other) => other.text()),
        expected
          .filter((other) => other.sessionId !== null || other.timestamp > entry.timestamp)
          .concat((await sandbox.logs({ sources: ["all"] })).slice(all.length))
          .map((other) => other.text()),
      );
    }
  });

  test("with follow waits for more, until it is disposed of", async () => {
    const stream = await sandbox.logStream({ follow: true, sources: ["stdout"], since: await moment() });
    const first = stream.recv();
    await sandbox.exec("echo", ["followed"]);
    assert.equal((await first)?.text(), "followed\n");
    const waiting = stream.recv();
    await stream[Symbol.asyncDispose]();
    assert.equal(await waiting, null);
  });

  test("with follow and until ends at that time", async () => {
    const until = new Date(Date.now() + 1500);
    const stream = await sandbox.logStream({ follow: true, since: new Date(), until });
    assert.deepEqual(await rest(stream), []);
    assert.ok(Date.now() >= until.getTime());
  });
});

describe("the log of a sandbox that does not exist", () => {
  test("cannot be read", async () => {
    await assert.rejects(Sandbox.get("nobody"), SandboxNotFoundError);
  });
});

describe("the log across runs", () => {
  let oldCursor: string;

  test("a follower in another process sees the sandbox stop, and ends", async () => {
    const program = `
      import { Sandbox } from ${JSON.stringify(fileURLToPath(new URL("../../../src/index.ts", import.meta.url)))};
      const stream = await (await Sandbox.get(${JSON.stringify(name)})).logStream({ follow: true, sources: ["all"], since: new Date() });
      console.log("following");
      for await (const entry of stream) console.log(JSON.stringify([entry.source, entry.text()]));
    `;
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    // Not "exit", which may come before the last lines.
    const closed = once(child, "close") as Promise<[number]>;
    const lines: string[] = [];
    const reader = createInterface(child.stdout);
    reader.on("line", (line) => lines.push(line));
    await once(reader, "line");
    await sandbox.exec("echo", ["the last words"]);
    await sandbox.stop();
    const [code] = await closed;
    assert.equal(code, 0);
    assert.ok(lines.includes(JSON.stringify(["stdout", "the last words\n"])), lines.join("\n"));
    assert.ok(lines.includes(JSON.stringify(["system", stopped])), lines.join("\n"));
  });

  test("stays readable when the sandbox has stopped", async () => {
    const handle = await Sandbox.get(name);
    assert.equal(handle.status, "stopped");
    const entries = await handle.logs();
    assert.equal(entries.at(-1)?.text(), "the last words\n");
    oldCursor = entries.at(-1)?.cursor ?? "";
    const system = await handle.logs({ sources: ["system"] });
    assert.equal(system.filter((entry) => entry.text() === stopped).length, 1);
    await using stream = await handle.logStream({ follow: true });
    assert.equal((await rest(stream)).length, entries.length);
  });

  test("grows with the next run, whose sessions count from 1", async () => {
    sandbox = await Sandbox.start(name);
    const handle = await sandbox.shellStream("echo second run");
    await handle.wait();
    assert.equal(handle.id, "1");
    const system = joined(await sandbox.logs({ sources: ["system"] }));
    assert.deepEqual([system.split(started).length - 1, system.split(stopped).length - 1], [2, 1]);
    assert.ok(joined(await sandbox.logs()).endsWith("the last words\nsecond run\n"));
  });

  test("a cursor of the run before goes on into this one", async () => {
    await using stream = await sandbox.logStream({ fromCursor: oldCursor, follow: true });
    assert.equal((await stream.recv())?.text(), "second run\n");
    await sandbox.exec("echo", ["more"]);
    assert.equal((await stream.recv())?.text(), "more\n");
  });
});

describe("rotation", () => {
  const mebibyte = 1024 * 1024;
  const sizeOf = (file: string): number => statSync(join(logsDirectory, file)).size;

  test(
    "keeps three files of 10 MiB, and tells a reader what it has missed",
    { timeout: 600_000 },
    async () => {
      const [entry] = await sandbox.logs({ tail: 1 });
      assert.ok(entry !== undefined);
      await using idle = await sandbox.logStream({ follow: true });
      await using following = await sandbox.logStream({
        follow: true,
        sources: ["stdout"],
        since: await moment(),
      });
      const follower = streamHas(following, "the end of 35 MiB\n");

      const line = "x".repeat(1023);
      const handle = await sandbox.shellStream(`
      yes ${line} | head -n 1024 > /tmp/block
      for n in $(seq 1 35); do cat /tmp/block; echo "mark $n"; done
      echo 'the end of 35 MiB'`);
      await Promise.all([handle.wait(), follower]);
      const block = `${line}\n`.repeat(1024);
      const printed =
        Array.from({ length: 35 }, (_, index) => `${block}mark ${index + 1}\n`).join("") +
        "the end of 35 MiB\n";

      for (const file of ["exec.log.1", "exec.log.2"]) {
        const size = sizeOf(file);
        assert.ok(size >= 10 * mebibyte && size < 10.3 * mebibyte, `${file} has ${size} bytes`);
      }
      assert.ok(sizeOf("exec.log") < 10.3 * mebibyte);
      assert.equal(existsSync(join(logsDirectory, "exec.log.3")), false);

      const kept = joined(await ofSession(handle.id));
      assert.ok(kept.length > 19 * mebibyte, `${kept.length} bytes are kept`);
      assert.ok(printed.endsWith(kept), "what is kept is the end, without a gap");

      await assert.rejects(sandbox.logStream({ fromCursor: entry.cursor }), (error: unknown) => {
        assert.ok(error instanceof MissedRotationError);
        assert.notEqual(error.hint, "");
        return true;
      });
      await assert.rejects(rest(idle), MissedRotationError);
    },
  );

  test("goes on in the next run where it was", async () => {
    const before = await sandbox.logs();
    const last = before.at(-1);
    assert.ok(last !== undefined);
    await sandbox.stop();
    sandbox = await Sandbox.start(name);
    await sandbox.exec("echo", ["third run"]);
    assert.equal(joined(await rest(await sandbox.logStream({ fromCursor: last.cursor }))), "third run\n");
    await sandbox.stop();
  });

  test("the log goes with the sandbox", async () => {
    await Sandbox.remove(name);
    assert.equal(existsSync(logsDirectory), false);
    await assert.rejects(sandbox.logs(), SandboxNotFoundError);
  });
});
