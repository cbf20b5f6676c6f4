import assert from "node:assert/strict";
import { once } from "node:events";
import { watch } from "node:fs";
import { access, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { Sandbox, SandboxNotFoundError, type SandboxBuilder } from "../../../src/index.ts";
import { MsbHome } from "../cli/cli-support.ts";
import { processOf, processesGone, timeout } from "../lifecycle-support.ts";
import { eventually } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// `msb run` does not wait for the end of what it has started: the rest is done after it, and by others when that is cut off.
const msb = new MsbHome();
process.env["MSB_HOME"] = msb.path;
process.env["MSB_ACCEL"] = "tcg";
const sandboxes = join(msb.path, "sandboxes");
after(async () => {
  await processesGone(msb.path);
  await msb[Symbol.asyncDispose]();
});

/** What there is in the home once nobody is at work there any more. */
async function left(): Promise<string[]> {
  await processesGone(msb.path);
  return [...(await readdir(sandboxes)), ...(await readdir(join(msb.path, "run")))];
}

/** Resolves at the moment at which a sandbox is put out of sight. */
async function putAside(): Promise<void> {
  const watcher = watch(sandboxes);
  try {
    for (;;) {
      const [, name] = (await once(watcher, "change")) as [string, string];
      if (name.startsWith(".removed-")) return;
    }
  } finally {
    watcher.close();
  }
}

test(
  "nobody finds it any more when the command is over, and soon nothing of it is there",
  { timeout },
  async () => {
    const { code, stdout, stderr } = await msb.msb("run", "--", "sh", "-c", "echo said; exit 3");
    const seen = await readdir(sandboxes);
    assert.deepEqual([code, stdout], [3, "said\n"], stderr);
    assert.deepEqual(
      seen.filter((name) => !name.startsWith(".removed-")),
      [],
    );
    assert.deepEqual(await left(), []);
  },
);

for (const victim of ["supervisor", "msb"] as const) {
  test(`the ${victim} is killed while the sandbox goes: the next one clears away`, { timeout }, async () => {
    for (let round = 0; round < 3; round++) {
      const aside = putAside();
      const { child, result, stdoutHas } = msb.start(["run", "--", "sh", "-c", "echo said; read word"], null);
      await stdoutHas("said");
      const [handle] = await Sandbox.list();
      assert.ok(handle !== undefined);
      const supervisor = await processOf(msb.path, handle.name, "supervisor");
      child.stdin?.end("go\n");
      await aside;
      process.kill(victim === "msb" ? (child.pid ?? 0) : supervisor, "SIGKILL");
      const { code, signal, stderr } = await result;
      if (victim === "supervisor") assert.equal(code, 0, stderr);
      else assert.ok(code === 0 || signal === "SIGKILL", stderr);
      await processesGone(msb.path);
      assert.deepEqual(await Sandbox.list(), []);
    }
    // As such a supervisor leaves it in the worst case.
    await mkdir(join(sandboxes, ".removed-0123456789abcdef"));
    await writeFile(join(sandboxes, ".removed-0123456789abcdef/upper.img"), "what was written");
    assert.equal((await msb.msb("run", "--", "true")).code, 0);
    assert.deepEqual(await left(), []);
  });
}

test(
  "its name is free at once, and what was it leaves the next one of the name alone",
  { timeout },
  async () => {
    const build = (): SandboxBuilder => Sandbox.builder("again").image("localhost/base").ephemeral(true);
    const first = await build().create();
    const supervisor = await processOf(msb.path, "again", "supervisor");
    await first.discard();
    await assert.rejects(Sandbox.get("again"), SandboxNotFoundError);
    const second = await build().create();
    await eventually("the end of the first one", () =>
      access(`/proc/${supervisor}`).then(
        () => null,
        () => true,
      ),
    );
    assert.equal((await Sandbox.get("again")).status, "running");
    assert.equal((await second.exec("echo", ["here"])).stdout(), "here\n");
    await second.discard();
    assert.deepEqual(await left(), []);
  },
);

test("one that is to be kept is not discarded", { timeout }, async () => {
  const kept = await Sandbox.builder("kept").image("localhost/base").create();
  await assert.rejects(kept.discard(), /not ephemeral/);
  assert.equal((await kept.exec("true")).code, 0);
  await kept.stop();
  await kept.removePersisted();
});
