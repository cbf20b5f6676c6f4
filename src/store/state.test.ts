import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { JsonError } from "../errors/index.ts";
import { identifyProcess, isAlive } from "../host/process/process-identity.ts";
import type { SandboxStatus } from "../config/enums.ts";
import { actualStatus, initialState, readState, writeState } from "./state.ts";

let directory = "";

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "state-"));
});

after(() => rm(directory, { recursive: true, force: true }));

test("a state comes back as it was written, and nothing is left beside it", async () => {
  const path = join(directory, "state.json");
  assert.equal(await readState(path), null);
  const state = {
    ...initialState(),
    status: "stopped" as const,
    reason: "IdleTimeout" as const,
    exitCode: 0,
  };
  await Promise.all([writeState(path, state), writeState(path, state)]);
  assert.deepEqual(await readState(path), state);
  assert.deepEqual(await readdir(directory), ["state.json"]);
  assert.match(await readFile(path, "utf8"), /\}\n$/);
});

test("what is no state is refused", async () => {
  const path = join(directory, "damaged.json");
  for (const text of ["{", "null", "[]", "{}", '{"status":"flying"}']) {
    await writeFile(path, text);
    await assert.rejects(readState(path), (error) => error instanceof JsonError && error.hint !== "");
  }
});

test("what a loss of power leaves is a crash, and no reason to lose the sandbox", async () => {
  const path = join(directory, "lost.json");
  for (const text of ["", "\0".repeat(400)]) {
    await writeFile(path, text);
    assert.equal((await readState(path))?.status, "crashed");
  }
});

test("the status as it is", async () => {
  const own = await identifyProcess(process.pid);
  assert.ok(own !== null);
  const dead = { pid: own.pid, started: `${own.started}0` };
  const rows: [SandboxStatus, typeof own | null, SandboxStatus][] = [
    ["created", null, "created"],
    ["stopped", own, "stopped"],
    ["crashed", own, "crashed"],
    ["starting", own, "starting"],
    ["running", own, "running"],
    ["draining", own, "draining"],
    ["starting", dead, "crashed"],
    ["running", dead, "crashed"],
    ["draining", dead, "stopped"],
    ["running", null, "crashed"],
  ];
  for (const [status, supervisor, expected] of rows) {
    assert.equal(await actualStatus({ ...initialState(), status, supervisor }), expected, status);
  }
});

test("a process is itself, and nothing after its end", async () => {
  const child = spawn("sleep", ["100"]);
  const identity = await identifyProcess(child.pid ?? 0);
  assert.ok(identity !== null);
  assert.equal(await isAlive(identity), true);
  assert.equal(await isAlive({ ...identity, pid: process.pid }), false);
  child.kill("SIGKILL");
  await once(child, "close");
  assert.equal(await isAlive(identity), false);
  assert.equal(await identifyProcess(2 ** 30), null);
});
