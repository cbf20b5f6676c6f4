import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("main.ts", import.meta.url));
const { NODE_TEST_CONTEXT: _context, FORCE_COLOR: _color, ...environment } = process.env;

function msb(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const result = spawnSync(process.execPath, [program, ...args], {
    encoding: "utf8",
    env: environment,
    timeout: 120_000,
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

test("--version prints the package's version, wherever it stands", () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  for (const args of [["--version"], ["run", "--version"], ["--debug", "--version"]]) {
    assert.deepEqual(msb(...args), { code: 0, stdout: `msb ${version}\n`, stderr: "" });
  }
});

test("--tree shows everything, or one command, whatever else is missing", () => {
  const all = msb("--tree");
  assert.equal(all.code, 0);
  assert.match(all.stdout, /^msb\n├── run \[IMAGE\] \[-- COMMAND\.\.\.\] +Create a sandbox/);
  assert.match(all.stdout, /^│ {3}├── -c, --cpus <COUNT> +Virtual CPUs/m);
  const one = msb("inspect", "--tree");
  assert.equal(one.code, 0);
  assert.match(one.stdout, /^msb\n├── inspect NAME +Show everything[^\n]*\n│ {3}└── --format <FORMAT>/);
  assert.doesNotMatch(one.stdout, /run/);
});

test("a wrong command line ends with 2, and says so on stderr only", () => {
  const wrong = msb("lst");
  assert.equal(wrong.code, 2);
  assert.equal(wrong.stdout, "");
  assert.match(wrong.stderr, /^error: unknown command 'lst'\n {2}→ Did you mean .*list/);
  assert.equal(msb("stop").code, 2);
  assert.equal(msb("completion", "tcsh").code, 2);
});

test("colours follow the stream and NO_COLOR", () => {
  const run = (extra: NodeJS.ProcessEnv): string =>
    spawnSync(process.execPath, [program, "lst"], { encoding: "utf8", env: { ...environment, ...extra } })
      .stderr;
  assert.doesNotMatch(run({}), /\x1b/);
  assert.match(run({ FORCE_COLOR: "1" }), /^\x1b\[1m\x1b\[31merror:/);
  assert.doesNotMatch(run({ NO_COLOR: "1" }), /\x1b/);
});

test("a reader that goes away is no error worth a word", async () => {
  const child = spawn(process.execPath, [program, "--tree"], {
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [code] = (await once(child, "close")) as [number | null];
  assert.deepEqual([code, stderr], [141, ""]);
});
