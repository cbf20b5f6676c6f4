import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { nodeTooOld, oldestNode } from "./node-version.ts";

const path = (relative: string): string => new URL(relative, import.meta.url).pathname;

test("the oldest Node is that of package.json", () => {
  const { engines } = JSON.parse(readFileSync(path("../../package.json"), "utf8")) as {
    engines: { node: string };
  };
  assert.equal(engines.node, `>=${oldestNode}.0`);
});

test("which Nodes are too old", () => {
  for (const version of ["22.15.0", "22.22.1", "24.0.0", "100.1.2"])
    assert.equal(nodeTooOld("x", version), null);
  for (const version of ["22.14.9", "20.20.2", "9.11.2"])
    assert.match(nodeTooOld("x", version)?.message ?? "", /^x needs Node 22\.15 or newer, this is /);
});

/** Node, as if it were another version. */
function nodeOf(version: string, ...args: string[]): ReturnType<typeof spawnSync> & { stderr: string } {
  const pretend = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`;
  const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
  return spawnSync(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(pretend)}`, ...args],
    {
      encoding: "utf8",
      env,
    },
  );
}

test("the library and the command say which Node they need, and nothing else", () => {
  const library = nodeOf(
    "20.20.2",
    "--input-type=module",
    "-e",
    `try { await import(${JSON.stringify(path("../index.ts"))}); } catch ({ message, code, hint }) { console.log(message, code, hint); }`,
  );
  assert.equal(library.stderr, "");
  assert.match(
    String(library.stdout),
    /^microsandbox needs Node 22\.15 or newer, this is 20\.20\.2\. Install .* UnsupportedNode Install a newer Node/,
  );
  const command = nodeOf("20.20.2", path("../cli/main.ts"), "ls");
  assert.equal(command.status, 1);
  assert.match(
    command.stderr,
    /^error: msb needs Node 22\.15 or newer, this is 20\.20\.2\n {2}→ Install a newer Node/,
  );
});
