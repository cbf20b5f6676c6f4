import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import { endSupervisor } from "./end-supervisor.ts";

/** A program that says when it is ready for a SIGINT. */
async function start(t: TestContext, onTerm: string): Promise<ChildProcess> {
  const source = `process.on("SIGINT", () => { ${onTerm} }); setInterval(() => {}, 1000); console.log("ready");`;
  const child = spawn(process.execPath, ["--eval", source], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return child;
}

test("what ends in order is not killed, however long its way there", async (t) => {
  const child = await start(t, "setTimeout(() => process.exit(7), 300)");
  await endSupervisor(child);
  assert.deepEqual([child.exitCode, child.signalCode], [7, null]);
  await endSupervisor(child);
});

test("what does not end is killed, and its end waited for", async (t) => {
  const child = await start(t, "");
  await endSupervisor(child, 50);
  assert.equal(child.signalCode, "SIGKILL");
});
