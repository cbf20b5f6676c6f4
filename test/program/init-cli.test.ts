import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const directory = mkdtempSync(join(tmpdir(), "msb-init-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});
const program = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const { NODE_TEST_CONTEXT: _context, FORCE_COLOR: _color, ...env } = process.env;

function init(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const result = spawnSync(process.execPath, [program, "init", ...args], {
    ...{ cwd: directory, encoding: "utf8", env, timeout: 60_000 },
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

function read(file: string): string {
  return readFileSync(join(directory, file), "utf8");
}

test("msb init writes a program, and no file of the user's is lost by it", () => {
  const first = init();
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /node sandbox\.mjs/);
  assert.match(read("sandbox.mjs"), /image\("localhost\/base"\)/);

  writeFileSync(join(directory, "mine.mjs"), "mine");
  const refused = init("mine.mjs");
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /mine\.mjs is there already[^]*--force/);
  assert.equal(read("mine.mjs"), "mine");
  assert.equal(init("mine.mjs", "--force", "--image", 'odd"image').code, 0);
  assert.ok(read("mine.mjs").includes(String.raw`.image("odd\"image")`));
});

test("msb init - prints the program, which is JavaScript", () => {
  const { code, stdout } = init("-");
  assert.equal(code, 0);
  writeFileSync(join(directory, "printed.mjs"), stdout);
  assert.equal(spawnSync(process.execPath, ["--check", join(directory, "printed.mjs")]).status, 0);
});

test("msb init says what to do where the file cannot be written", () => {
  const { code, stderr } = init("none/here.mjs");
  assert.notEqual(code, 0);
  assert.match(stderr, /Create the directory first/);
  assert.notEqual(init("").code, 0);
  assert.notEqual(init("x".repeat(300)).code, 0);
});
