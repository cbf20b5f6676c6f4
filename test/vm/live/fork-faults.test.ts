import assert from "node:assert/strict";
import { readdirSync, utimesSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MicrosandboxError, Sandbox, SandboxStillRunningError } from "../../../src/index.ts";
import { locateHome } from "../../../src/store/home.ts";
import { sweepLeftovers } from "../../../src/store/sandboxes.ts";
import { leaveRoom, mountingSkip, mountSmallDisk, unmountSmallDisk } from "../failures/small-disk.ts";
import { output } from "../images/root-support.ts";
import {
  processesGone,
  processesOf,
  runProgram,
  smallMemory,
  timeout,
  type SandboxProcess,
} from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running", "disk-full"];

// Forks that are cut off at any moment, and on full disks.
const home = useTemporaryHome();
const sandboxes = join(home, "sandboxes");
/** By hand, with more: `MSB_TEST_KILLS=100 node scripts/test-vm.ts templates fork-faults.test.ts`. */
const kills = Number(process.env["MSB_TEST_KILLS"] ?? 21);
/** Whose ends are tried in turn. The program that forks is the cheapest to have again. */
const victims = ["program", "supervisor", "program", "qemu"] as const;
/** A fork takes some 400 ms where nothing else runs, ms. */
const longestDelay = 700;

async function made(name: string): Promise<Sandbox> {
  const sandbox = await Sandbox.builder(name).image("localhost/base").memory(smallMemory).createDetached();
  await isWhole(
    sandbox,
    "head -c 3000000 /dev/urandom > /dev/shm/bytes; md5sum /dev/shm/bytes > /dev/shm/sum",
  );
  await output(sandbox, "cp /dev/shm/bytes /dev/shm/sum /root; sync");
  return sandbox;
}

/** Its memory, or at least its disk, is as it was written. */
async function isWhole(sandbox: Sandbox, before = "true"): Promise<void> {
  const script = `${before}; [ -e /dev/shm/sum ] || cp /root/bytes /root/sum /dev/shm; md5sum -c /dev/shm/sum`;
  await output(sandbox, script);
}

/** What is left when somebody has made or removed a sandbox, a minute later. */
async function left(): Promise<string[]> {
  const long = new Date(Date.now() - 120_000);
  for (const name of readdirSync(sandboxes))
    if (name.startsWith(".")) utimesSync(join(sandboxes, name), long, long);
  await sweepLeftovers(locateHome());
  return readdirSync(sandboxes).sort();
}

describe("killed at any moment", () => {
  let parent: Sandbox;
  before(async () => {
    parent = await made("parent");
  });
  after(() => parent.destroy());

  test("the parent runs or has crashed, and a child is there or not", { timeout }, async (t) => {
    const outcomes: string[] = [];
    for (let count = 0; count < kills; count++) {
      const victim = victims[count % victims.length] ?? "program";
      const delayMs = Math.round((count * longestDelay) / kills);
      const program = runProgram(
        t,
        `const told = new Promise((resolve) => process.once("SIGUSR2", resolve));
        const alive = setInterval(() => undefined, 1000);
        const parent = await (await Sandbox.get("parent")).connect();
        say("ready");
        await told;
        await parent.fork("child").then(() => say("forked"), (error) => say(error.code ?? String(error)));
        process.exit();`,
      );
      assert.equal(await program.line(), "ready");
      process.kill(program.pid, "SIGUSR2");
      await sleep(delayMs);
      const said = victim === "program" ? null : program.line();
      if (victim === "program") program.kill();
      else await kill("parent", victim);
      await program.ended;
      outcomes.push(`${victim} after ${delayMs} ms: ${(await said) ?? "killed"}, ${await childAfter()}`);
      const { status } = await Sandbox.get("parent");
      assert.equal(status, victim === "program" ? "running" : "crashed");
      if (status === "crashed") parent = await Sandbox.startDetached("parent");
      await isWhole(parent);
      await nothingElseLeft();
    }
    t.diagnostic(outcomes.join("\n"));
  });

  /** The supervisor may have a last piece of a copy to write whose reader was killed. */
  async function nothingElseLeft(): Promise<void> {
    let found = "";
    await eventually("all traces of the child to be gone", async () => {
      const names = await left();
      const processes = await processesOf(home);
      found = JSON.stringify({ names, processes });
      return names.length === 1 && processes.length === 2 ? true : null;
    }).catch((error: unknown) => {
      throw new Error(`left behind: ${found}`, { cause: error });
    });
  }

  async function kill(name: string, kind: SandboxProcess["kind"]): Promise<void> {
    const found = (await processesOf(home, name)).find((one) => one.kind === kind);
    assert.ok(found !== undefined, `${name} has no ${kind}`);
    process.kill(found.pid, "SIGKILL");
    await processesGone(home, name);
  }

  /** A child is whole, whether it runs already or somebody has to start it. Its supervisor may be about to. */
  async function childAfter(): Promise<string> {
    const handle = await Sandbox.get("child").catch(() => null);
    if (handle === null) return "no child";
    const { status } = handle;
    // Its supervisor may be about to say that it starts.
    const child = await eventually("the child", () =>
      handle.connectOrStart().catch((error: unknown) => {
        if (error instanceof SandboxStillRunningError) return null;
        throw error;
      }),
    );
    await isWhole(child);
    assert.equal(await output(child, "hostname"), "child");
    await child.destroy();
    return `a child that was ${status}`;
  }
});

test("a full disk, whatever there is no room for", { timeout, skip: mountingSkip }, async (t) => {
  await mountSmallDisk(sandboxes, "size=600m");
  try {
    const parent = await made("full");
    const outcomes: string[] = [];
    const ballast = join(sandboxes, "ballast");
    for (let room = 1 << 20, forked = false; !forked; room += (room < 48 << 20 ? 16 : 4) << 20) {
      await leaveRoom(sandboxes, room);
      const child = await parent.fork("child").catch((error: unknown) => error);
      rmSync(ballast);
      forked = child instanceof Sandbox;
      outcomes.push(`${(room / 2 ** 20).toFixed(1)} MiB: ${forked ? "forked" : String(child)}`);
      if (child instanceof Sandbox) {
        await isWhole(child);
        await child.destroy();
      } else {
        assert.ok(child instanceof MicrosandboxError, String(child));
        assert.match(`${child.message} ${child.hint}`, /space|full/, String(child));
      }
      assert.deepEqual(readdirSync(sandboxes), ["full"]);
      await isWhole(parent);
      assert.equal((await processesOf(home)).length, 2);
    }
    t.diagnostic(outcomes.join("\n"));
    assert.ok(outcomes.length > 1);
    await parent.destroy();
    await processesGone(home);
  } finally {
    await unmountSmallDisk(sandboxes);
  }
});
