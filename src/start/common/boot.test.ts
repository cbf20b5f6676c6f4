import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ProtocolError, RuntimeError } from "../../errors/index.ts";
import type { MachineExit } from "../../machine/types.ts";
import { ownEnd } from "./boot.ts";
import type { StartedMachine } from "./context.ts";

const exit: MachineExit = { reason: "error", detail: "why it ended", code: 1, signal: null, qemuOutput: "" };

/** A machine whose end is told a moment after its connection broke. */
function ending(lost: boolean): StartedMachine {
  const machine = { exited: sleep(50, exit) };
  return { machine, agent: { lost } } as unknown as StartedMachine;
}

test("a machine that loses its connection because it ends tells how it ended", async () => {
  assert.equal(await ownEnd(ending(true), new RuntimeError("read ECONNRESET")), exit);
});

test("one that has another fault is not waited for", async () => {
  assert.equal(await ownEnd(ending(false), new RuntimeError("took too long")), null);
  assert.equal(await ownEnd(ending(true), new ProtocolError("it broke the rules")), null);
});
