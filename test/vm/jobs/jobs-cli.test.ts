import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MsbHome } from "../cli/cli-support.ts";
import { Terminal } from "../cli/terminal-support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

const home = new MsbHome();
before(async () => {
  const { code, stderr } = await home.msb("create", "-n", "box", "-q", "-m", "128M");
  assert.equal(code, 0, stderr);
});
after(() => home[Symbol.asyncDispose]());

type JobRow = Record<string, unknown>;

/** Starts a job. @returns its id */
async function start(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await home.msb("exec", "-d", ...args);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^[0-9a-f]{8}\n$/);
  return stdout.trim();
}

test("a job is started, listed, looked at, and waited for", async () => {
  const id = await start("box", "--timeout", "60s", "--", "sh", "-c", "echo out; echo err >&2; exit 3");
  assert.equal((await home.msb("jobs", "box", id, "--wait")).code, 3);
  const looks = [
    ["box"],
    ["-q", "box"],
    ["box", "--format", "json"],
    ["box", id, "--format", "json"],
    ["box", id],
  ];
  const [list, ids, all, json, text] = await Promise.all(
    looks.map(async (args) => (await home.msb("jobs", ...args)).stdout),
  );
  assert.match(list ?? "", /^JOB +STATE +CODE +STARTED +COMMAND\n[0-9a-f]{8} +exited +3 .* sh -c echo out/);
  assert.equal(ids, `${id}\n`);
  const [job] = JSON.parse(all ?? "") as unknown[];
  const one = JSON.parse(json ?? "") as JobRow;
  assert.deepEqual(one, job);
  assert.deepEqual(
    [one["id"], one["state"], one["code"], one["timeout_ms"], one["output_bytes"]],
    [id, "Exited", 3, 60_000, 8],
  );
  assert.match(text ?? "", /^State: +exited$/m);
  const attached = await home.msb("attach", "--replay", "all", "box", id);
  assert.deepEqual([attached.code, attached.stdout, attached.stderr], [3, "out\n", "err\n"]);
});

test("stdin goes to a job, its end and signals when they are asked for", async () => {
  const id = await start("-i", "box", "--", "cat");
  const attached = home.start(["attach", "box", id], null);
  attached.child.stdin?.write("one\n");
  await attached.stdoutHas("one\n");
  const other = home.start(["attach", "box", id], "two\n");
  await attached.stdoutHas("two\n");
  assert.equal((await home.msb("jobs", "box", id, "--eof", "--wait")).code, 0);
  assert.equal((await attached.result).code, 0);
  assert.equal((await other.result).code, 0);

  const sleeper = await start("box", "--", "sh", "-c", "echo here; exec sleep 1000");
  const following = home.start(["attach", "--replay", "all", "box", sleeper]);
  await following.stdoutHas("here");
  const limited = await home.msb("jobs", "box", sleeper, "--wait", "--timeout", "100ms");
  assert.notEqual(limited.code, 0);
  // Who follows it leaves it.
  following.child.kill("SIGINT");
  assert.match((await following.result).stderr, /keeps running/);
  assert.equal((await home.msb("jobs", "box", sleeper, "--signal", "TERM", "--wait")).code, 143);
});

test("what makes no sense is refused", async () => {
  const refused = [
    [2, ["jobs", "box", "--wait"]],
    [2, ["jobs", "box", "x", "--signal", "NONE"]],
    [2, ["exec", "-i", "box", "--", "cat"]],
    [2, ["attach", "--replay", "some", "box", "x"]],
    [1, ["attach", "box", "x"]],
    [127, ["exec", "-d", "box", "--", "no-such-program"]],
  ] as const;
  const results = await Promise.all(refused.map(async ([, args]) => await home.msb(...args)));
  for (const [index, [code]] of refused.entries())
    assert.equal(results[index]?.code, code, results[index]?.stderr);
  assert.match(results[4]?.stderr ?? "", /no job "x"/);
});

test("a job on a terminal is left with the detach keys, and found again", async () => {
  const id = await start("-t", "box", "--", "sh");
  using terminal = new Terminal(`"$NODE" "$MSB" attach box ${id}; echo "left $?"`, home.environment, {
    ...{ cols: 91, rows: 17 },
  });
  await terminal.shows(/# /);
  terminal.type("echo $((6 * 7)); stty size\r");
  await terminal.shows(/42\n/);
  await terminal.shows(/17 91\n/);
  terminal.type("\x1d");
  await terminal.shows(/left 0/);
  const again = home.start(["attach", "--replay", "all", "--read-only", "box", id], null);
  await again.stdoutHas("17 91");
  using second = new Terminal(`"$NODE" "$MSB" attach box ${id}; echo "ended $?"`, home.environment);
  await second.shows(/17 91/);
  second.type("exit 4\r");
  await second.shows(/ended 4/);
  assert.equal((await again.result).code, 4);
});

test("a stopped sandbox is started for a job, and stays; the command of run -d is one", async () => {
  const options = ["-d", "-t", "--timeout", "1h", "-n", "runner", "-m", "128M"];
  const { code, stderr } = await home.msb("run", ...options, "--", "sleep", "1000");
  assert.equal(code, 0, stderr);
  const [id] = (await home.msb("jobs", "-q", "runner")).stdout.split("\n");
  assert.ok(id !== undefined && id !== "");
  await home.msb("stop", "-t", "0", "runner");
  const ended = JSON.parse((await home.msb("jobs", "runner", id, "--format", "json")).stdout) as JobRow;
  assert.deepEqual([ended["tty"], ended["timeout_ms"]], [true, 3_600_000]);
  assert.match(String(ended["state"]), /^(Lost|Exited)$/);
  const later = await start("runner", "--", "sleep", "1000");
  assert.equal((await home.statuses())["runner"], "Running");
  assert.equal((await home.msb("jobs", "-q", "runner")).stdout, `${id}\n${later}\n`);
});
