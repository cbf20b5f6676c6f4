import assert from "node:assert/strict";
import { test } from "node:test";
import { effectiveConfig } from "../../config/sandbox/effective-config.ts";
import { leastMemoryMib } from "../../config/sandbox/least-memory.ts";
import { SandboxDraft } from "../../config/sandbox/sandbox-draft.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import { locateHome } from "../../store/home.ts";
import { SandboxControl } from "../control/sandbox-control.ts";
import { restartSandbox } from "./start.ts";

const ended = new Error("it was ended");

/** Restarts a sandbox whose record says so much memory. Ending it fails: that far and no further. */
async function restart(memoryMib: number, force: boolean, proxy?: string): Promise<void> {
  const draft = new SandboxDraft("restart");
  draft.set("image", "localhost/base");
  if (proxy !== undefined) draft.set("proxy", proxy);
  const config = { ...effectiveConfig(draft.finish(), {}, null), memoryMib };
  const record = {
    format: 2 as const,
    id: "0",
    name: "restart",
    createdAt: "2026-01-01T00:00:00.000Z",
    config,
  };
  const control = new SandboxControl(locateHome({ MSB_HOME: "/nonexistent/home" }), record, null, true);
  control.stop = control.kill = () => Promise.reject(ended);
  await Operation.run("restart", {}, (operation) => restartSandbox(operation, control, { force }));
}

test("a sandbox that could not start again is not ended by a restart", async () => {
  const least = leastMemoryMib({ cpus: 1, kernelPath: null });
  for (const force of [false, true]) {
    await assert.rejects(restart(least - 1, force), InvalidConfigError);
    await assert.rejects(restart(Math.max(least, 512), force), ended);
    const proxy = "socks5://me:$MSB_NOT_THERE@127.0.0.1:1080";
    await assert.rejects(restart(Math.max(least, 512), force, proxy), InvalidConfigError);
  }
});
