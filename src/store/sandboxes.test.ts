import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { access, mkdir, mkdtemp, open, readdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { sandboxRecord } from "../../test/support/sandbox-record.ts";
import {
  SandboxAlreadyExistsError,
  SandboxNotFoundError,
  SandboxReplacedError,
  SandboxStillRunningError,
} from "../errors/index.ts";
import { identifyProcess } from "../host/process/process-identity.ts";
import { locateHome, prepareHome, socketPath, type Home } from "./home.ts";
import { initialState, writeState } from "./state.ts";
import type { SandboxRecord } from "./sandbox-record.ts";
import { listSandboxes } from "./list-sandboxes.ts";
import {
  createSandboxDirectory,
  findSandbox,
  lockStoppedSandbox,
  removeSandbox,
  sandboxPaths,
  sweepLeftovers,
} from "./sandboxes.ts";

let directory = "";
let home: Home;
let homes = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "sandboxes-"));
});

after(() => rm(directory, { recursive: true, force: true }));

beforeEach(async () => {
  home = locateHome({ MSB_HOME: join(directory, String(homes++)) });
  await prepareHome(home);
});

const record = (name: string, createdAt = "2026-01-01T00:00:00.000Z"): SandboxRecord =>
  sandboxRecord(name, { createdAt });

async function create(of: SandboxRecord): Promise<void> {
  await (await createSandboxDirectory(home, of)).release();
}

test("a sandbox that was created is found, listed, removed", async () => {
  const made = record("one");
  await create(made);
  const found = await findSandbox(home, "one");
  assert.deepEqual(found.record, made);
  assert.equal(found.status, "created");
  assert.deepEqual(
    (await listSandboxes(home)).map((sandbox) => sandbox.record.name),
    ["one"],
  );
  // Of a supervisor that was killed.
  await writeFile(socketPath(home, made.id), "");
  await writeFile(socketPath(home, "0123456789abcdef"), "");
  await removeSandbox(home, "one", made.id);
  assert.deepEqual(await readdir(home.run), ["0123456789abcdef.sock"]);
  await assert.rejects(findSandbox(home, "one"), SandboxNotFoundError);
  await assert.rejects(removeSandbox(home, "one", null), SandboxNotFoundError);
  assert.deepEqual(await readdir(home.sandboxes), []);
});

test("of many that create one name at once, one does, and it is whole", async () => {
  const records = Array.from({ length: 8 }, () => record("same"));
  const outcomes = await Promise.allSettled(records.map(create));
  const winners = records.filter((_, index) => outcomes[index]?.status === "fulfilled");
  assert.equal(winners.length, 1);
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") assert.ok(outcome.reason instanceof SandboxAlreadyExistsError);
  }
  assert.equal((await findSandbox(home, "same")).record.id, winners[0]?.id);
  assert.deepEqual(await readdir(home.sandboxes), ["same"]);
});

test("the newest first; of one moment, by name; what is no sandbox is passed over", async () => {
  await create(record("b", "2026-01-02T00:00:00.000Z"));
  await create(record("c", "2026-01-01T00:00:00.000Z"));
  await create(record("a", "2026-01-02T00:00:00.000Z"));
  await create(record("d", "2026-01-03T00:00:00.000Z"));
  await mkdir(join(home.sandboxes, "empty"));
  await writeFile(join(home.sandboxes, "file"), "");
  await writeFile(sandboxPaths(home, "d").state, "damaged");
  const names = (await listSandboxes(home)).map((sandbox) => sandbox.record.name);
  assert.deepEqual(names, ["a", "b", "c"]);
  assert.deepEqual(await listSandboxes(locateHome({ MSB_HOME: join(directory, "none") })), []);
});

test("who lists again and again sees every change", async (t) => {
  await create(record("kept", "2026-01-01T00:00:01.000Z"));
  await create(record("changed"));
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 10_000 });
  const list = async (): Promise<string[]> =>
    (await listSandboxes(home)).map(
      ({ record: { name }, status, state }) => `${name} ${status} ${state.detail}`,
    );
  for (let time = 0; time < 3; time++) assert.deepEqual(await list(), ["kept created ", "changed created "]);
  const { state } = sandboxPaths(home, "changed");
  const gone = { pid: process.pid, started: "before" };
  await writeState(state, { ...initialState(), status: "running", supervisor: gone });
  assert.deepEqual(await list(), ["kept created ", "changed crashed "], "its process is gone");
  const alive = await identifyProcess(process.pid);
  await writeState(state, { ...initialState(), status: "running", supervisor: alive });
  for (let time = 0; time < 3; time++) assert.deepEqual(await list(), ["kept created ", "changed running "]);
  await writeState(state, { ...initialState(), status: "stopped", detail: "by hand" });
  assert.deepEqual(await list(), ["kept created ", "changed stopped by hand"]);
  await removeSandbox(home, "changed", null);
  await create(record("changed"));
  assert.deepEqual(await list(), ["kept created ", "changed created "], "another one of the name");
  await removeSandbox(home, "kept", null);
  assert.deepEqual(await list(), ["changed created "]);
});

test("who holds the lock keeps others from starting and removing it", async () => {
  const made = record("held");
  const lock = await createSandboxDirectory(home, made);
  for (const action of ["start", "remove"] as const) {
    await assert.rejects(
      lockStoppedSandbox(home, "held", made.id, action),
      (error) =>
        error instanceof SandboxStillRunningError && error.hint !== "" && error.message.includes(action),
    );
    await assert.rejects(lockStoppedSandbox(home, "held", "another", action), SandboxReplacedError);
  }
  await assert.rejects(removeSandbox(home, "held", null), SandboxStillRunningError);
  await lock.release();
  await assert.rejects(lockStoppedSandbox(home, "held", "another", "start"), SandboxReplacedError);
  // A refusal does not keep the lock.
  await (await lockStoppedSandbox(home, "held", made.id, "start")).release();
  await removeSandbox(home, "held", null);
});

test("what killed processes left is cleared, and nothing that is in use", async () => {
  const staging = (id: string): string => join(home.sandboxes, `.new-${id}`);
  for (const id of ["old", "fresh"]) await mkdir(staging(id));
  await mkdir(join(home.sandboxes, ".removed-x", "logs"), { recursive: true });
  const longAgo = new Date(Date.now() - 3_600_000);
  await utimes(staging("old"), longAgo, longAgo);
  await create(record("kept"));
  await sweepLeftovers(home);
  assert.deepEqual((await readdir(home.sandboxes)).sort(), [".new-fresh", "kept"]);
  await access(sandboxPaths(home, "kept").config);
});

test("a supervisor that records the end and leaves between two looks has not crashed", async () => {
  const lock = await createSandboxDirectory(home, record("short"));
  await lock.release();
  const { state } = sandboxPaths(home, "short");
  // What is read from a FIFO is what is written into it at that moment: "running" first, the end only after that.
  await rm(state);
  execFileSync("mkfifo", [state]);
  const gone = { pid: 2 ** 22 + 1, started: "an earlier boot:1" };
  const running = { ...initialState(), status: "running", supervisor: gone };
  const ended = { ...running, status: "stopped", reason: "Completed", detail: "its command ended" };
  const found = findSandbox(home, "short");
  await writeFile(`${state}.ended`, JSON.stringify(ended));
  const writer = await open(state, "w");
  await writer.write(JSON.stringify(running));
  await rename(`${state}.ended`, state);
  // Only now has the first look read all that it is going to.
  await writer.close();
  const { status, state: said } = await found;
  assert.equal(status, "stopped");
  assert.equal(said.detail, "its command ended");
});
