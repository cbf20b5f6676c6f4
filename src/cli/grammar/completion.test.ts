import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { commandEntries } from "../commands.ts";
import { candidates } from "./completion.ts";
import { completionScript } from "../commands/host/completion.ts";

async function values(before: string, current: string): Promise<string[]> {
  const words = before === "" ? [] : before.split(" ");
  const found = await candidates(commandEntries, words, current, (kind, _typed, given) =>
    Promise.resolve(
      {
        image: ["alpine", "python"],
        sandbox: ["demo", "other"],
        template: ["3f9a", "41bc"],
        volume: ["cache"],
        snapshot: ["ready"],
        pool: ["workers"],
        job: given.map((sandbox) => `job-of-${sandbox}`),
        side: ["demo:", "demo:/etc/", "demo:/etc/passwd", "local"],
      }[kind],
    ),
  );
  return found.map(({ value }) => value);
}

test("commands and their aliases", async () => {
  assert.deepEqual(await values("", "st"), ["start", "stop", "status"]);
  assert.deepEqual(await values("", "r"), [
    "run",
    "restart",
    "resume",
    "restore",
    "rollback",
    "remove",
    "rm",
    "registry",
  ]);
  assert.deepEqual(await values("--debug", "pin"), ["ping"]);
  assert.deepEqual(await values("", "__"), []);
  assert.deepEqual(await values("nonsense", ""), []);
  assert.deepEqual(await values("fork", "d"), ["demo"]);
  assert.deepEqual(await values("wait demo", ""), ["other"]);
  assert.deepEqual(await values("df", "d"), ["demo"]);
  assert.deepEqual(await values("", "e"), ["exec", "emit", "events"]);
  assert.deepEqual(await values("emit", "d"), ["demo"]);
  assert.deepEqual(await values("events demo", "--n"), ["--name"]);
  assert.deepEqual(await values("jobs", "d"), ["demo"]);
  assert.deepEqual(await values("jobs demo 3f9a1c02", "--s"), ["--signal"]);
  assert.deepEqual(await values("attach", "d"), ["demo"]);
  for (const before of ["jobs", "jobs -q", "attach --replay all"])
    assert.deepEqual(await values(`${before} other`, "job"), ["job-of-other"]);
  assert.deepEqual(await values("prune", "--o"), ["--older-than"]);
  assert.deepEqual(await values("", "mc"), ["mcp"]);
  assert.deepEqual(await values("mcp", "--ht"), ["--http"]);
  assert.deepEqual(await values("", "das"), ["dashboard"]);
  assert.deepEqual(await values("dashboard", "--p"), ["--port"]);
  assert.deepEqual(await values("branch demo", "--n"), ["--name", "--names", "--notify"]);
});

test("members of a family, and what follows them", async () => {
  assert.deepEqual(await values("image", "p"), ["pull", "prune"]);
  assert.deepEqual(await values("image rm", ""), ["alpine", "python"]);
  assert.deepEqual(await values("save alpine", ""), ["python"]);
  assert.deepEqual(await values("--debug image pull", "--f"), ["--force"]);
  assert.deepEqual(await values("image nonsense", ""), []);
  assert.deepEqual(await values("template", ""), ["list", "ls", "inspect", "prune"]);
  assert.deepEqual(await values("template inspect", "3"), ["3f9a"]);
  assert.deepEqual(await values("template inspect 3f9a", ""), []);
  assert.deepEqual(await values("volume rm", "c"), ["cache"]);
  assert.deepEqual(await values("vol inspect", ""), ["cache"]);
  assert.deepEqual(await values("snap verify", ""), ["ready"]);
  assert.deepEqual(await values("init --image", "a"), ["alpine"]);
  assert.deepEqual(await values("run --from-snapshot", "r"), ["ready"]);
  assert.deepEqual(await values("restore", "r"), ["ready"]);
  assert.deepEqual(await values("snapshot create x --from", "d"), ["demo"]);
  assert.deepEqual(await values("ssh", ""), [
    "connect",
    "serve",
    "authorize",
    "config",
    "demo",
    "other",
    "--",
  ]);
  assert.deepEqual(await values("ssh", "d"), ["demo"]);
  assert.deepEqual(await values("ssh serve", "d"), ["demo"]);
  assert.deepEqual(await values("pool", ""), ["create", "list", "ls", "remove", "rm"]);
  assert.deepEqual(await values("pool rm", "w"), ["workers"]);
  assert.deepEqual(await values("run --pool", "w"), ["workers"]);
  for (const option of ["run -v", "create --volume", "run --mount-named"])
    assert.deepEqual(await values(option, "c"), ["cache:"]);
  assert.deepEqual(await values("run", "--volume=c"), ["--volume=cache:"]);
  assert.deepEqual(await values("run", "-vc"), ["-vcache:"]);
  assert.deepEqual(await values("run", "-v"), ["-v"]);
});

test("options, once a dash is typed", async () => {
  assert.deepEqual(await values("run", "--me"), ["--memory"]);
  assert.deepEqual(await values("logs", "--no"), ["--no-color"]);
  assert.ok((await values("ls", "-")).includes("-q"));
  assert.ok(!(await values("start", "")).some((value) => value.startsWith("-")));
});

test("names of sandboxes, each once", async () => {
  assert.deepEqual(await values("stop", ""), ["demo", "other"]);
  assert.deepEqual(await values("stop demo", ""), ["other"]);
  assert.deepEqual(await values("inspect demo", ""), []);
  assert.deepEqual(await values("stop -t 5", "d"), ["demo"]);
  assert.deepEqual(await values("checkpoint create", "d"), ["demo"]);
  assert.deepEqual(await values("rollback", "d"), ["demo"]);
  assert.deepEqual(await values("exec demo", ""), ["--"]);
  assert.deepEqual(await values("exec demo --", ""), []);
});

test("values of options", async () => {
  assert.deepEqual(await values("run --pull", ""), ["always", "if-missing", "never"]);
  assert.deepEqual(await values("run", "--pull=a"), ["--pull=always"]);
  assert.deepEqual(await values("run --pull =", "n"), ["never"]);
  assert.deepEqual(await values("run --pull", "="), ["always", "if-missing", "never"]);
  assert.deepEqual(await values("run --name", ""), []);
  assert.deepEqual(await values("completion", "b"), ["bash"]);
});

test("sides of a copy, also as bash takes them apart", async () => {
  assert.deepEqual(await values("cp", "d"), ["demo:", "demo:/etc/", "demo:/etc/passwd"]);
  assert.deepEqual(await values("cp local", "l"), []);
  assert.deepEqual(await values("cp -q", "demo:/etc/"), ["demo:/etc/", "demo:/etc/passwd"]);
  assert.deepEqual(await values("cp demo", ":"), ["", "/etc/", "/etc/passwd"]);
  assert.deepEqual(await values("cp demo :", "/etc/p"), ["/etc/passwd"]);
  assert.deepEqual(await values("cp demo : /a", "l"), ["local"]);
  assert.deepEqual(await values("cp demo : /a demo :", "/etc/p"), ["/etc/passwd"]);
  assert.deepEqual(await values("cp a b", ""), []);
});

test("the bash script asks msb and offers what it answers", () => {
  const directory = mkdtempSync(join(tmpdir(), "msb-test-"));
  try {
    const asked = join(directory, "asked");
    const stub = join(directory, "msb");
    writeFileSync(
      stub,
      `#!/bin/sh\nprintf '%s\\n' "$@" > '${asked}'\nprintf 'demo\\tfirst\\nother one\\t\\n'\n`,
    );
    chmodSync(stub, 0o755);
    const script = `${completionScript("bash")}
COMP_WORDS=(msb stop "" ) COMP_CWORD=2
_msb
printf '<%s>' "\${COMPREPLY[@]}"; echo; cat '${asked}'`;
    const result = spawnSync("bash", ["-c", script], {
      env: { ...process.env, PATH: `${directory}:${process.env["PATH"] ?? ""}` },
      encoding: "utf8",
    });
    assert.equal(result.stderr, "");
    assert.equal(result.stdout, "<demo><other one>\n__complete\n--word=\n--\nstop\n");
  } finally {
    rmSync(directory, { recursive: true });
  }
});
