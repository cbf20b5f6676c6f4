import assert from "node:assert/strict";
import { test } from "node:test";
import { MsbHome } from "../cli/cli-support.ts";
import { timeout } from "../lifecycle-support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// Forks by `msb` alone.
const cli = new MsbHome();

test("msb fork prints the names of what it made, and what failed is told", { timeout }, async (t) => {
  t.after(() => cli[Symbol.asyncDispose]());
  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cli.msb(...args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  await run("create", "-q", "-n", "demo", "-m", "128M");
  await run("exec", "demo", "--", "sh", "-c", "echo kept > /dev/shm/note");
  assert.equal(await run("fork", "demo", "--name", "one"), "one\n");
  assert.equal(await run("exec", "one", "--", "sh", "-c", "cat /dev/shm/note; hostname"), "kept\none\n");
  const some = await cli.msb("branch", "demo", "--names", "two", "one");
  assert.equal(some.code, 1);
  assert.equal(some.stdout, "two\n");
  assert.match(some.stderr, /a sandbox named one exists already/);
  const made = (await run("fork", "-q", "two", "--count", "2")).trim().split("\n");
  assert.equal(new Set(made).size, 2);
  for (const name of made) {
    assert.match(name, /^two-fork-[0-9a-f]{8}$/);
    assert.equal(await run("exec", name, "--", "cat", "/dev/shm/note"), "kept\n");
  }
  const { code, stderr } = await cli.msb("fork", "demo", "--count", "2", "three");
  assert.equal(code, 2, stderr);
  const gone = await cli.msb("fork", "nobody");
  assert.match(gone.stderr, /no sandbox is named nobody/);
  await run("stop", "demo");
  const stopped = await cli.msb("fork", "demo");
  assert.equal(stopped.code, 1);
  assert.match(stopped.stderr, /demo is stopped|not running/);
});
