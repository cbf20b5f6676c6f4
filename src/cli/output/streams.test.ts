import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";

const prelude = `
  import { err, writeAll } from ${JSON.stringify(import.meta.resolve("./streams.ts"))};
  import { exitWith, watchInterruptions } from ${JSON.stringify(import.meta.resolve("./interrupt.ts"))};
  watchInterruptions();
`;

/** Runs it as `msb` runs a command: it has an exit code of its own, which output that is lost must not keep. */
function start(script: string, shell = 'exec "$@"') {
  const args = ["-c", shell, "sh", process.execPath, "--input-type=module", "-e", prelude + script];
  const child = spawn("sh", args, { stdio: "pipe" });
  const code = once(child, "close").then(([exit]) => exit as number | null);
  return { child, code };
}

for (const stream of ["stdout", "stderr"]) {
  const to = `exec "$@" ${stream === "stdout" ? ">" : "2>"}`;

  test(`a guest's ${stream} that is not taken ends msb with 1`, async () => {
    const { child, code } = start(
      `await writeAll(process.${stream}, "x"); await exitWith(5);`,
      `${to}/dev/full`,
    );
    const told = await text(child.stderr);
    assert.equal(await code, 1);
    if (stream === "stdout") assert.match(told, /^error: cannot write to stdout: no space left on device/);
  });

  test(`the end of a guest's ${stream} that a file has no room for is not lost silently`, async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "msb-streams-"));
    t.after(() => rm(directory, { recursive: true }));
    const script = `await writeAll(process.${stream}, "x".repeat(10_000)); await exitWith(5);`;
    const { code } = start(script, `trap "" XFSZ; ulimit -f 1; ${to}${directory}/file`);
    assert.equal(await code, 1);
  });

  test(`a reader of a guest's ${stream} that goes away ends msb as SIGPIPE does`, async () => {
    const script = `for await (const _ of process.stdin); await writeAll(process.${stream}, "x"); await exitWith(5);`;
    const { child, code } = start(script);
    child[stream as "stdout" | "stderr"].destroy();
    child.stdin.end();
    child.stdout.resume();
    child.stderr.resume();
    assert.equal(await code, 141);
  });
}

test("what msb itself tells on a stderr that takes nothing does not count", async () => {
  const { code } = start('err("x"); await exitWith(5);', 'exec "$@" 2>/dev/full');
  assert.equal(await code, 5);
});

test("what is written keeps the exit code", async () => {
  const { child, code } = start(
    'await writeAll(process.stderr, "e"); await writeAll(process.stdout, "o"); await exitWith(5);',
  );
  assert.deepEqual(await Promise.all([text(child.stdout), text(child.stderr), code]), ["o", "e", 5]);
});
