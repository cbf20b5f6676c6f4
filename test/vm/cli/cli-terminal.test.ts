import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MsbHome } from "./cli-support.ts";
import type { Needs } from "../tags.ts";
import { Terminal } from "./terminal-support.ts";

export const needs: Needs = ["running"];

const home = new MsbHome();
before(async () => {
  const { code, stderr } = await home.msb("create", "-n", "demo", "-m", "256M");
  assert.equal(code, 0, stderr);
});
after(() => home[Symbol.asyncDispose]());

/** A script that shows the terminal's settings before and after a command, and the command's exit code. */
function framed(command: string): string {
  return `echo "before=$(stty -g)"; ${command}; echo "code=$?"; echo "after=$(stty -g)"`;
}

/** Waits for the command's end; fails when the terminal is not as it was. */
async function endsWith(terminal: Terminal, code: number, before: string): Promise<void> {
  assert.equal((await terminal.shows(/code=(\d+)\n/))[1], String(code));
  assert.equal((await terminal.shows(/after=(\S+)\n/))[1], before, "the terminal's settings are restored");
}

async function settings(terminal: Terminal): Promise<string> {
  return (await terminal.shows(/before=(\S+)\n/))[1] ?? "";
}

test("run without a command is a shell with the terminal's size, and its exit code", async () => {
  using terminal = new Terminal(framed('"$NODE" "$MSB" run -m 256M'), home.environment);
  const before = await settings(terminal);
  await terminal.shows(/Starting msb-[0-9a-f]{8}/);
  await terminal.shows(/# /);
  terminal.type("stty size; tty\r");
  await terminal.shows(/\n30 100\n\/dev\/pts\/\d+\n/);
  terminal.resize(90, 40);
  terminal.type("until stty size | grep -x '40 90'; do :; done\r");
  await terminal.shows(/\n40 90\n/);
  terminal.type("exit 5\r");
  await endsWith(terminal, 5, before);
  assert.deepEqual(await home.names(), ["demo"]);
});

test("Ctrl-C goes to the command in the guest, and not to msb", async () => {
  using terminal = new Terminal(framed('"$NODE" "$MSB" exec demo -- sh'), home.environment);
  const before = await settings(terminal);
  await terminal.shows(/# /);
  // In one command: a Ctrl-C between two is the shell's own.
  terminal.type("sh -c \"echo be''gun; exec sleep 300\"\r");
  await terminal.shows(/begun\n/);
  terminal.type("\x03");
  await terminal.shows(/# /);
  terminal.type("echo still''here; exit 4\r");
  await terminal.shows(/stillhere\n/);
  await endsWith(terminal, 4, before);
});

test("the detach keys leave the command running", async () => {
  using terminal = new Terminal(
    framed('"$NODE" "$MSB" exec demo -- sh -c "echo ready; exec sleep 301"'),
    home.environment,
  );
  const before = await settings(terminal);
  await terminal.shows(/ready\n/);
  terminal.type("\x1d");
  await terminal.shows(/Detached: the command keeps running in demo/);
  await endsWith(terminal, 0, before);
  const { stdout } = await home.msb("exec", "demo", "--", "sh", "-c", "ps | grep -c '[s]leep 301'");
  assert.equal(stdout, "1\n");
});

test("detaching from run leaves its sandbox running, and says which", async () => {
  using terminal = new Terminal(
    framed('"$NODE" "$MSB" run -m 256M -- sh -c "echo ready; exec sleep 304"'),
    home.environment,
  );
  const before = await settings(terminal);
  await terminal.shows(/ready\n/);
  terminal.type("\x1d");
  const [, name = ""] = await terminal.shows(/Detached: the command keeps running in (msb-[0-9a-f]{8})/);
  await endsWith(terminal, 0, before);
  const { stdout } = await home.msb("exec", name, "--", "sh", "-c", "ps | grep -c '[s]leep 304'");
  assert.equal(stdout, "1\n");
  assert.equal((await home.msb("rm", "-f", name)).code, 0);
});

test("other detach keys can be chosen, and half of them goes to the command", async () => {
  const command = '"$NODE" "$MSB" exec --detach-keys ctrl-p,q demo -- sh -c "stty -echo; echo ready; cat -v"';
  using terminal = new Terminal(framed(command), home.environment);
  const before = await settings(terminal);
  await terminal.shows(/ready\n/);
  terminal.type("\x1d\x10x\r");
  await terminal.shows(/\^\]\^Px/);
  terminal.type("\x10q");
  await endsWith(terminal, 0, before);
});

test("the terminal is restored when msb gets SIGTERM", async () => {
  const command = `sh -c 'echo "pid=$$"; exec "$NODE" "$MSB" exec demo -- sh -c "echo ready; exec sleep 302"'`;
  using terminal = new Terminal(framed(command), home.environment);
  const before = await settings(terminal);
  const pid = Number((await terminal.shows(/pid=(\d+)\n/))[1]);
  await terminal.shows(/ready\n/);
  process.kill(pid, "SIGTERM");
  await endsWith(terminal, 143, before);
  await home.until(
    () => home.msb("exec", "demo", "--", "sh", "-c", "ps | grep -c '[s]leep 302'"),
    ({ stdout }) => stdout === "0\n",
  );
});

test("the terminal is restored when the sandbox is stopped from elsewhere", async () => {
  using terminal = new Terminal(
    framed('"$NODE" "$MSB" exec demo -- sh -c "echo ready; exec sleep 303"'),
    home.environment,
  );
  const before = await settings(terminal);
  await terminal.shows(/ready\n/);
  const { code, stderr } = await home.msb("stop", "-f", "demo");
  assert.equal(code, 0, stderr);
  await terminal.shows(/error:.*demo.*stopped while the command ran/);
  await endsWith(terminal, 1, before);
});

test("without a terminal on stdout nothing is drawn, and lines end as the program wrote them", async () => {
  using terminal = new Terminal(
    framed('"$NODE" "$MSB" exec demo -- echo plain < /dev/null | od -c'),
    home.environment,
  );
  await terminal.shows(/p {3}l {3}a {3}i {3}n {2}\\n\n/);
  await terminal.shows(/code=0/);
});
