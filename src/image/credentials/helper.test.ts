import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ImageError } from "../../errors/index.ts";
import { runHelper } from "./helper.ts";

const run = promisify(execFile);

let directory: string;
let environment: NodeJS.ProcessEnv;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-helper-"));
  environment = { ...process.env, PATH: `${directory}:${process.env["PATH"] ?? ""}` };
});

after(() => rm(directory, { recursive: true }));

async function helper(name: string, script: string): Promise<void> {
  await writeFile(join(directory, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

/**
 * A helper whose own child does not end by itself.
 *
 * @returns when it has begun, and what waits until its child has ended too: the child holds the other end of a pipe
 */
async function endless(
  name: string,
  command: string,
): Promise<{ readonly begun: Promise<void>; readonly ended: () => Promise<void> }> {
  const pipe = join(directory, `${name}.pipe`);
  await run("mkfifo", [pipe]);
  await helper(name, `exec 3>'${pipe}'\necho begun >&3\n${command}\nexit 0`);
  const reader = createReadStream(pipe);
  const begun = new Promise<void>((resolve) => reader.once("data", () => resolve()));
  const over = new Promise<void>((resolve) => reader.once("end", () => resolve()));
  // A helper that is stopped before it begins would leave the reader waiting for somebody to open the pipe.
  const own = await open(pipe, "w");
  const ended = async (): Promise<void> => {
    await own.close();
    await over;
  };
  return { begun, ended };
}

const refusal =
  (pattern: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof ImageError, String(error));
    assert.match(error.message, pattern);
    return true;
  };

test("a helper that does not stop talking is stopped, with what it has started", async () => {
  for (const [name, command] of [
    ["flood", "yes"],
    ["errors", "yes >&2"],
  ] as const) {
    const { ended } = await endless(name, command);
    await assert.rejects(runHelper(name, "x.io", environment), refusal(/says too much/));
    await ended();
  }
});

test("a helper that does not answer is stopped, with what it has started", async () => {
  const { ended } = await endless("hang", "sleep 1000");
  await assert.rejects(
    runHelper("hang", "x.io", environment, { timeoutMs: 1000 }),
    refusal(/does not answer within 1 s/),
  );
  await ended();
});

test("a pull that is given up does not wait for its helper", async () => {
  const stop = new AbortController();
  const { begun, ended } = await endless("patient", "sleep 1000");
  const asked = runHelper("patient", "x.io", environment, { signal: stop.signal });
  await begun;
  stop.abort(new Error("given up"));
  await assert.rejects(asked, /given up/);
  await assert.rejects(runHelper("patient", "x.io", environment, { signal: stop.signal }), /given up/);
  await ended();
});

test("a helper that is missing is named", async () => {
  await assert.rejects(runHelper("missing", "x.io", environment), refusal(/missing cannot be run/));
});

test("an answer that cannot be a login is refused, without being quoted", async () => {
  for (const [user, secret] of [
    ["a:b", "hidden"],
    ["a\\n", "hidden"],
    ["a", "hidden\\r\\n"],
    ["", "hidden"],
  ]) {
    await helper("odd", `printf '%s' '{"Username":"${user}","Secret":"${secret}"}'`);
    await assert.rejects(runHelper("odd", "x.io", environment), (error) => {
      assert.ok(error instanceof ImageError && !error.message.includes("hidden"), String(error));
      return /no user name and password/.test(error.message);
    });
  }
  await helper("odd", `echo '{"Username":"a","Secret":"p:w"}'`);
  assert.deepEqual(await runHelper("odd", "x.io", environment), {
    kind: "basic",
    username: "a",
    password: "p:w",
  });
  await helper("odd", `echo '{"Username":"","Secret":""}'`);
  assert.equal(await runHelper("odd", "x.io", environment), null);
});
