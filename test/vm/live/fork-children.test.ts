import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import {
  MicrosandboxError,
  OperationTimeoutError,
  memory,
  Sandbox,
  Snapshot,
  UnsupportedOperationError,
  type SandboxBuilder,
} from "../../../src/index.ts";
import { output } from "../images/root-support.ts";
import { processesGone, processOf, processesOf, smallMemory, timeout } from "../lifecycle-support.ts";
import { clockIsRight, eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// What befalls one child befalls no other; what cannot be copied is refused by its name.
const home = useTemporaryHome();
const small = (name: string): SandboxBuilder =>
  Sandbox.builder(name).image("localhost/base").memory(smallMemory);
const directories = (): string[] => readdirSync(join(home, "sandboxes")).sort();
let parent: Sandbox;

before(async () => {
  parent = await small("parent").createDetached();
});

/** The supervisor of a child, as soon as there is one. */
async function hit(name: string, signal: NodeJS.Signals): Promise<number> {
  return await eventually(`a supervisor of ${name}`, async () => {
    const found = (await processesOf(home, name)).find(({ kind }) => kind === "supervisor");
    if (found === undefined) return null;
    process.kill(found.pid, signal);
    return found.pid;
  });
}

async function goodOnes(all: readonly (Sandbox | undefined)[], names: readonly string[]): Promise<void> {
  const found = all.filter((one) => one !== undefined);
  assert.deepEqual(
    found.map(({ name }) => name),
    names,
  );
  for (const one of found) assert.equal(await output(one, "hostname"), one.name);
  await Promise.all(found.map((one) => one.destroy()));
}

test("a child that is killed while it starts is the only one that fails", { timeout }, async () => {
  const [results] = await Promise.all([parent.forkMany(["a", "b", "c"]), hit("b", "SIGKILL")]);
  assert.ok(results[1]?.error instanceof MicrosandboxError, String(results[1]?.error));
  await goodOnes(
    results.map(({ sandbox }) => sandbox),
    ["a", "c"],
  );
  await processesGone(home, "b");
  assert.deepEqual(directories(), ["parent"]);
});

test(
  "a child whose time is over is the only one that fails, and nothing is left of it",
  { timeout },
  async () => {
    const timeoutMs = 15_000;
    const [results, held] = await Promise.all([
      parent.forkMany(["d", "e", "f"], { timeoutMs }),
      hit("e", "SIGSTOP"),
    ]);
    assert.ok(results[1]?.error instanceof OperationTimeoutError, String(results[1]?.error));
    await goodOnes(
      results.map(({ sandbox }) => sandbox),
      ["d", "f"],
    );
    try {
      process.kill(held, "SIGCONT");
    } catch {
      // It was killed as it stood.
    }
    await processesGone(home, "e");
    await eventually("its directory to be gone", () =>
      Promise.resolve(directories().includes("e") ? null : true),
    );
  },
);

test("where none runs in time the call fails, and who gives up gets none", { timeout }, async () => {
  await assert.rejects(parent.forkMany(["g"], { timeoutMs: 1 }), OperationTimeoutError);
  const abort = new AbortController();
  const forks = parent.forkMany(["h", "i"], { signal: abort.signal });
  await Promise.all([
    hit("i", "SIGSTOP").then(async (held) => {
      await eventually("the other one", async () => ((await statusOf("h")) === "running" ? true : null));
      abort.abort(new Error("given up"));
      process.kill(held, "SIGCONT");
    }),
    assert.rejects(forks, /given up/),
  ]);
  await processesGone(home, "h");
  await processesGone(home, "i");
  assert.deepEqual(directories(), ["parent"]);
});

async function statusOf(name: string): Promise<string | null> {
  return await Sandbox.get(name).then(
    ({ status }) => status,
    () => null,
  );
}

test(
  "the clocks of a child, of what is restored, and of what is taken of a pool are right",
  { timeout },
  async () => {
    const child = await parent.fork("clock");
    await clockIsRight(child);
    const snapshot = await Snapshot.builder("clock").fromSandbox("clock").full().create();
    await child.destroy();
    const restored = await Sandbox.restore(snapshot.path).name("again").restore();
    await clockIsRight(restored);
    await restored.destroy();
    await using pool = await Sandbox.pool({
      config: { image: "localhost/base", memoryMib: smallMemory },
      size: 1,
    });
    await pool.ready();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await using taken = await pool.take({ name: "taken" });
    await clockIsRight(taken);
  },
);

test("what cannot be copied is refused by its name, and goes on", { timeout }, async () => {
  const cases: [string, (builder: SandboxBuilder) => SandboxBuilder, RegExp][] = [
    ["disk", (b) => b.volume("/data", (m) => m.namedWith("data", "create", "disk", 32)), /\/data|data/],
    ["directory", (b) => b.volume("/dir", (m) => m.namedWith("dir", "create")), /\/dir/],
    ["provider", (b) => b.volume("/served", (m) => m.provider(memory())), /\/served/],
  ];
  for (const [name, mounted, named] of cases) {
    await using sandbox = await mounted(small(name)).create();
    await assert.rejects(sandbox.fork("x"), (error) => {
      assert.ok(error instanceof UnsupportedOperationError, `${name}: ${String(error)}`);
      assert.match(error.message, named);
      return true;
    });
    assert.equal(await output(sandbox, "echo on"), "on");
  }
  // Nobody writes to this one.
  await using reader = await small("reader")
    .volume("/data", (m) => m.named("data").readonly())
    .create();
  const child = await reader.fork("reads-too");
  assert.match(await output(child, "grep ' /data ' /proc/mounts"), /ext4 ro/);
  await child.destroy();
  assert.ok(!directories().includes("x"));
  assert.ok((await processOf(home, "parent", "qemu")) > 0);
});
