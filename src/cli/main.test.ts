import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

test("what may be a secret's value is in no error, whatever it is written as", () => {
  for (const words of [
    ["run", "localhost/base"],
    ["modify", "demo"],
  ])
    for (const secret of [
      "KEY=topsecret@api.example.com",
      "KEY@a.example,top!secret",
      "KEY@topsecret@value",
    ]) {
      const { code, stdout, stderr } = msb(...words, "--secret", secret);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /secret/);
      assert.doesNotMatch(`${stdout}${stderr}`, /top.?secret/);
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

test("an option that would change nothing is refused", () => {
  for (const [args, message] of [
    [["ps", "demo", "--label", "a"], /--label chooses among all sandboxes, and demo is named/],
    [["metrics", "--interval", "2s"], /--interval is the time between samples of --watch and --follow/],
  ] as const) {
    const result = msb(...args);
    assert.deepEqual([result.code, result.stdout], [2, ""], args.join(" "));
    assert.match(result.stderr, message);
  }
});

test("colours follow the stream and NO_COLOR", () => {
  const run = (extra: NodeJS.ProcessEnv): string =>
    spawnSync(process.execPath, [program, "lst"], { encoding: "utf8", env: { ...environment, ...extra } })
      .stderr;
  assert.doesNotMatch(run({}), /\x1b/);
  assert.match(run({ FORCE_COLOR: "1" }), /^\x1b\[1m\x1b\[31merror:/);
  assert.doesNotMatch(run({ NO_COLOR: "1" }), /\x1b/);
});

/** `msb` with its stdout where a shell sends it: `>/dev/full`. */
async function redirected(args: string, where: string): Promise<{ code: number | null; stderr: string }> {
  const child = spawn("/bin/sh", ["-c", `exec "$0" "$1" ${args} ${where}`, process.execPath, program], {
    env: environment,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stderr };
}

test("what cannot be written to stdout is an error with its reason", async () => {
  for (const args of ["--version", "--tree", "--help", "ls --help", "completion bash", "doctor"]) {
    const { code, stderr } = await redirected(args, ">/dev/full");
    assert.equal(code, 1, args);
    assert.match(
      stderr,
      /^error: cannot write to stdout: no space left on device \(ENOSPC\)\n {2}→ Free/,
      args,
    );
  }
  const closed = await redirected("--tree", "1</dev/null");
  assert.deepEqual(closed, {
    code: 1,
    stderr: "error: cannot write to stdout: bad file descriptor (EBADF)\n",
  });
});

test("a write of which only the beginning fits is not taken for a whole one", async () => {
  const directory = mkdtempSync(join(tmpdir(), "msb-output-"));
  try {
    const file = join(directory, "tree");
    assert.equal((await redirected("--tree", `>${file}`)).code, 0);
    assert.equal(readFileSync(file, "utf8"), msb("--tree").stdout);
    // Blocks of 512 bytes for dash, of 1024 for others.
    const limited = spawnSync(
      "/bin/sh",
      ["-c", `ulimit -f 4; exec "$0" "$1" --tree >${file}`, process.execPath, program],
      { encoding: "utf8", env: environment },
    );
    assert.deepEqual(
      [limited.status, limited.stderr],
      [1, "error: cannot write to stdout: file too large (EFBIG)\n"],
    );
    assert.equal(statSync(file).size % 2048, 0);
  } finally {
    rmSync(directory, { recursive: true });
  }
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
