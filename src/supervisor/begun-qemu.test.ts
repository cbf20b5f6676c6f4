import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { BegunQemu } from "./begun-qemu.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-begun-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const upperPath = join(directory, "upper.img");
const statePath = join(directory, "state");
const sleeper = ["/bin/sh", "-c", "exec sleep 300"];

/** What arrives from whoever starts the supervisor. */
function told(text: string): number {
  const path = join(directory, "told");
  writeFileSync(path, text);
  return openSync(path, "r");
}

function request(changes: object = {}): string {
  writeFileSync(statePath, "");
  writeFileSync(upperPath, "");
  const whole = {
    command: sleeper,
    isWatched: false,
    statePath,
    opening: "",
    key: "k",
    inode: "1",
    upperPath,
  };
  return JSON.stringify({ ...whole, ...changes });
}

function begin(text: string): BegunQemu {
  const begun = BegunQemu.start(told(text));
  assert.ok(begun !== null);
  return begun;
}

test("the right one is taken as it is, once", async () => {
  const begun = begin(request());
  const taken = await begun.take(sleeper);
  assert.ok(taken !== null);
  await begun.discard();
  assert.equal(await begun.take(sleeper), null);
  assert.equal(taken.child.exitCode ?? taken.child.signalCode, null);
  assert.ok(existsSync(upperPath));
  taken.child.kill("SIGKILL");
  await once(taken.child, "exit");
});

test("its monitor hears the opening, and it inherits the state", async () => {
  writeFileSync(statePath, "");
  const command = ["/bin/sh", "-c", "read -r line <&3; cat <&7; echo $line"];
  const begun = begin(request({ command, opening: "first words\n" }));
  writeFileSync(statePath, "the state ");
  const taken = await begun.take(command);
  assert.ok(taken?.child.stdout);
  let said = "";
  for await (const chunk of taken.child.stdout) said += String(chunk);
  assert.equal(said, "the state first words\n");
});

test("another one than would be started now ends, and so does its disk", async () => {
  const begun = begin(request());
  assert.equal(begun.upperIsNew, true);
  assert.equal(await begun.take([...sleeper, "more"]), null);
  assert.equal(existsSync(upperPath), false);
});

test("one that is not wanted ends, and leaves a disk that is not its own", async () => {
  const begun = begin(request({ upperPath: null }));
  assert.equal(begun.upperIsNew, false);
  await begun.discard();
  assert.ok(existsSync(upperPath));
  assert.equal(await begun.take(sleeper), null);
});

test("one that has ended by itself is not taken", async () => {
  const pidPath = join(directory, "pid");
  const command = ["/bin/sh", "-c", `echo $$ > ${pidPath}.new; mv ${pidPath}.new ${pidPath}; exit 3`];
  const begun = begin(request({ command }));
  while (!existsSync(pidPath)) await setImmediate();
  const pid = Number(readFileSync(pidPath, "utf8"));
  // Node has collected it by the time that its pid is free.
  while (isAlive(pid)) await setImmediate();
  assert.equal(await begun.take(command), null);
  assert.equal(existsSync(upperPath), false);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

for (const [what, text] of Object.entries({
  nothing: "",
  garbage: "{",
  "a state that is not there": JSON.stringify({ command: sleeper, statePath: join(directory, "nowhere") }),
  "a program that is not there": request({ command: [join(directory, "no-program")] }),
})) {
  test(`${what} is left out`, () => {
    assert.equal(BegunQemu.start(told(text)), null);
  });
}
