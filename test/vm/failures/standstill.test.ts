import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { AgentUnresponsiveError, Sandbox } from "../../../src/index.ts";
import { processesGone, processOf, smallMemory, timeout, withEnvironment } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// Guests that stand still: nobody tells of that, so the sandbox has to notice.
const home = useTemporaryHome();
const silenceMs = 3000;

async function create(t: TestContext, name: string): Promise<Sandbox> {
  const config = { name, image: "localhost/base", memoryMib: smallMemory };
  const sandbox = await withEnvironment({ MSB_AGENT_TIMEOUT_MS: String(silenceMs) }, () =>
    Sandbox.create(config),
  );
  t.after(() => sandbox.destroy({ force: true }));
  return sandbox;
}

/** All that wait are told the same, and the sandbox is recorded as what it is. */
async function noticed(sandbox: Sandbox, calls: readonly Promise<unknown>[]): Promise<void> {
  for (const call of calls) {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof AgentUnresponsiveError, String(error));
      assert.match(error.hint, /MSB_AGENT_TIMEOUT_MS/);
      return true;
    });
  }
  const { source } = await sandbox.waitUntilStopped();
  assert.match(source ?? "", /stands still/);
  const handle = await Sandbox.get(sandbox.name);
  assert.equal(handle.status, "crashed");
  const log = await handle.logs({ sources: ["system"] });
  assert.ok(log.some((entry) => entry.text().includes("ERROR lost the guest: the guest stands still")));
  await processesGone(home, sandbox.name);
}

// Beside one another: what takes time here is that nothing happens.
test("guests that stand still, and one that does not", { timeout, concurrency: 3 }, async (t) => {
  const halted = t.test("halt -f: what waits for the guest ends, and so does the sandbox", async (t) => {
    const sandbox = await create(t, "halted");
    const waiting = sandbox.exec("sleep", ["1000"]);
    waiting.catch(() => undefined);
    await noticed(sandbox, [waiting, sandbox.exec("halt", ["-f"])]);
  });
  const held = t.test("a guest whose every processor is held from outside", async (t) => {
    const sandbox = await create(t, "held");
    process.kill(await processOf(home, "held", "qemu"), "SIGSTOP");
    await noticed(sandbox, [sandbox.exec("true"), sandbox.ping()]);
  });
  const busy = t.test("a flood is a sign of life, for longer than a guest may be silent", async (t) => {
    const sandbox = await create(t, "busy");
    const begun = performance.now();
    const command = await sandbox.execStream("sh", ["-c", "while :; do :; done & yes"]);
    for await (const event of command) {
      if (event.kind === "stdout" && performance.now() - begun > 2.5 * silenceMs) break;
    }
    assert.equal((await sandbox.exec("echo", ["hi"])).stdout(), "hi\n");
  });
  await Promise.all([halted, held, busy]);
});
