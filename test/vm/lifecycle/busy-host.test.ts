import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { Sandbox } from "../../../src/index.ts";
import { rightTimer } from "../../../src/machine/qemu/command-line.ts";
import { processesOf, smallMemory, timeout } from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["cold"];

const home = useTemporaryHome();
/** So long the guest's processor runs, and then stands still, ms: as it would among many others. */
const turn = { runs: 20, stands: 120 };

/** The first machine gets its processor so seldom that its kernel can hardly measure its timer. */
async function hold(name: string, created: AbortSignal): Promise<void> {
  const pid = await eventually("a QEMU", async () => {
    return (await processesOf(home, name)).find(({ kind }) => kind === "qemu")?.pid ?? null;
  });
  const tell = (signal: NodeJS.Signals): boolean => {
    try {
      return process.kill(pid, signal);
    } catch {
      return false;
    }
  };
  while (!created.aborted && tell("SIGSTOP")) {
    await sleep(turn.stands);
    tell("SIGCONT");
    await sleep(turn.runs);
  }
}

// Without looking at it, a kernel here hangs for ever, or all that its guest waits for comes too early or too late.
test(
  "a guest that has to wait for a processor while it boots has a timer that is right",
  { timeout },
  async () => {
    const created = new AbortController();
    const creating = Sandbox.builder("held").image("localhost/base").memory(smallMemory).create();
    const held = hold("held", created.signal);
    const sandbox = await creating.finally(() => {
      created.abort();
    });
    await held;
    const timers = await sandbox.exec("cat", ["/proc/timer_list"]);
    const [, mult, shift] =
      /Clock Event Device: lapic\n[^]*?mult: +(\d+)\n +shift: +(\d+)\n/.exec(timers.stdout()) ?? [];
    const khz = (Number(mult) * 1e6) / 2 ** Number(shift);
    assert.ok(khz >= rightTimer.least - 1 && khz <= rightTimer.most + 1, `${khz} kHz`);
  },
);
