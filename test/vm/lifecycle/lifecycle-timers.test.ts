import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, test } from "node:test";
import { Sandbox, SandboxNotRunningError } from "../../../src/index.ts";
import { startedMarker, stoppedMarker } from "../../../src/store/log-format.ts";
import { smallMemory, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// Sandboxes that end by themselves. Times are short but far enough apart to be told apart on a busy host.
const home = useTemporaryHome();
const idleMs = 3000;

/** Does something again and again until the sandbox ends or `forMs` have passed. @returns whether it ended */
async function meanwhile(sandbox: Sandbox, forMs: number, act: () => Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  const ended = sandbox.waitUntilStopped().then(() => {
    over.abort();
  });
  const until = performance.now() + forMs;
  while (!over.signal.aborted && performance.now() < until) {
    await act().catch((error: unknown) => {
      if (!(error instanceof SandboxNotRunningError)) throw error;
    });
    await Promise.race([ended, sleep(200)]);
  }
  return over.signal.aborted;
}

/** How long the last run took, by the supervisor's clock: this program may hear of the start and the end any time later. */
async function lastRunMs(sandbox: Sandbox): Promise<number> {
  const system = await sandbox.logs({ sources: ["system"] });
  const last = (marker: string): number =>
    system.findLast((entry) => entry.text() === marker)?.timestamp.getTime() ?? Number.NaN;
  return last(stoppedMarker) - last(startedMarker);
}

// Side by side: they do little but wait.
describe("a sandbox ends by itself", { concurrency: true }, () => {
  test("the idle timeout", { timeout }, async () => {
    await using sandbox = await Sandbox.builder("idle")
      .image("localhost/base")
      .memory(smallMemory)
      .idleTimeout(idleMs / 1000)
      .create();
    // A command that says nothing keeps it alive for as long as it runs.
    const silent = await sandbox.exec("sleep", [String((idleMs * 2) / 1000)]);
    assert.equal(silent.code, 0);
    // So does touching it.
    assert.equal(await meanwhile(sandbox, idleMs * 2, () => sandbox.touch()), false);
    assert.equal((await Sandbox.get("idle")).status, "running");
    // Pings and a look at the metrics do not; neither does what runs in the guest's background, however much it prints.
    const begun = performance.now();
    await sandbox.shell("while :; do echo busy; sleep 0.2; done &");
    const ended = await meanwhile(sandbox, idleMs * 10, async () => {
      await sandbox.ping();
      await sandbox.metrics();
    });
    const took = performance.now() - begun;
    assert.equal(ended, true, "it went on");
    assert.ok(took > idleMs - 10, `${took} ms`);
    const result = await sandbox.waitUntilStopped();
    assert.equal(result.status, "stopped");
    assert.match(result.source ?? "", /nobody used it/);
  });

  test("the idle timeout, and files", { timeout }, async () => {
    const place = join(home, "mounted");
    mkdirSync(place);
    await using sandbox = await Sandbox.builder("idle-files")
      .image("localhost/base")
      .memory(smallMemory)
      .volume("/work", (m) => m.bind(place))
      .idleTimeout(idleMs / 1000)
      .create();
    const fs = sandbox.fs();
    // Calls keep it alive, and so does a stream that is open and carries nothing.
    assert.equal(await meanwhile(sandbox, idleMs * 2, () => fs.exists("/work")), false);
    const sink = await fs.writeStream("/tmp/file");
    assert.equal(await meanwhile(sandbox, idleMs * 2, () => Promise.resolve()), false);
    await sink.close();
    // A watcher does not, however much it tells, and neither do files of the host's that the guest uses.
    const watcher = await fs.watch("/work");
    let events = 0;
    const watched = (async () => {
      for await (const { kind } of watcher) if (kind !== "overflow") events++;
    })().catch(() => undefined);
    await sandbox.shell(
      "while :; do date > /work/new; mv /work/new /work/clock; sleep 0.2; done > /dev/null 2>&1 &",
    );
    assert.equal(await meanwhile(sandbox, idleMs * 10, () => Promise.resolve()), true, "it went on");
    assert.match((await sandbox.waitUntilStopped()).source ?? "", /nobody used it/);
    await watched;
    // How many there are in that time is the host's business.
    assert.ok(events > 0, "the watcher was told nothing");
    assert.notEqual(readFileSync(join(place, "clock"), "utf8"), "");
  });

  test("the longest duration counts from each boot, whatever is done", { timeout }, async () => {
    const durationMs = 4000;
    let sandbox = await Sandbox.builder("limited")
      .image("localhost/base")
      .memory(smallMemory)
      .maxDuration(durationMs / 1000)
      .create();
    for (let run = 1; run <= 2; run++) {
      if (run === 2) sandbox = await Sandbox.start("limited");
      const running = await sandbox.execStream("sleep", ["1000"]);
      assert.equal(await meanwhile(sandbox, durationMs * 5, () => sandbox.touch()), true, "it went on");
      const result = await sandbox.waitUntilStopped();
      assert.equal(result.status, "stopped");
      assert.match(result.source ?? "", /time was over/);
      const lasted = await lastRunMs(sandbox);
      assert.ok(lasted > durationMs - 50, `${lasted} ms`);
      // The command is told to end first, so its own end comes before that of the connection.
      assert.equal((await running.wait()).code, 128 + 15);
    }
  });
});
