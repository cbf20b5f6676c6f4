import assert from "node:assert/strict";
import { test } from "node:test";
import { IoError, OperationTimeoutError } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import type { StartContext, StartPlan } from "../common/context.ts";
import { bootToHello } from "../common/boot.ts";
import type { TemplateSource } from "../templates/template-source.ts";
import { obtainTemplate } from "./restored.ts";

/** A start whose time is over; it does nothing that it would need more for. */
async function outOfTime(work: (plan: StartPlan) => Promise<unknown>): Promise<void> {
  const lines: string[] = [];
  const start = Operation.run("start", { timeoutMs: 1 }, async (operation) => {
    await operation.wait(new Promise(() => undefined)).catch(() => undefined);
    const context: Pick<StartContext, "operation" | "signal" | "runtimeLog" | "progress"> = {
      operation,
      signal: new AbortController().signal,
      runtimeLog: { write: (_level, line) => lines.push(line) },
      progress: (stage) => lines.push(stage),
    };
    const plan = { context, choice: {}, trial: { probe: null } } as unknown as StartPlan;
    await assert.rejects(work(plan), OperationTimeoutError);
  });
  await start;
  assert.deepEqual(lines, []);
}

test("a start that is out of time goes on with no other way when there is no template", async () => {
  const source: Pick<TemplateSource, "obtain"> = {
    obtain: () => Promise.reject(new IoError("the disk is full")),
  };
  await outOfTime((plan) => obtainTemplate(plan, source as TemplateSource));
});

test("a start that is out of time boots no machine", async () => {
  await outOfTime((plan) => bootToHello(plan));
});
