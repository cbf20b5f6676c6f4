import { rm } from "node:fs/promises";
import { Machine } from "../../machine/machine.ts";
import { dropTemplate } from "../../store/templates/template-removal.ts";
import { markUsed } from "../../store/templates/templates.ts";
import { servedWhile } from "../common/serve-files.ts";
import type { StartContext } from "../common/context.ts";
import type { Received, RefusedPrelaunch, RunningPrelaunch } from "../prelaunch/receive.ts";
import { becomeRestored, linkToRestored, TemplateFailedError } from "../templates/template-restore.ts";
import type { RouteResult, RouteUnavailable } from "./route.ts";

/**
 * Goes on with the QEMU that was started before this process had loaded its program.
 *
 * @returns `failed` when its template did not work; it is dropped then
 * @throws BootStartError, InvalidConfigError for what would be wrong without a template too; the signal's reason
 */
export async function startPrelaunched(
  context: StartContext,
  { prelaunch }: Pick<Received, "prelaunch">,
): Promise<RouteResult> {
  return prelaunch.kind === "none"
    ? await discardRefused(context, prelaunch)
    : await becomePrelaunched(context, prelaunch);
}

async function becomePrelaunched(
  context: StartContext,
  { order, spawned, startedAtMs }: RunningPrelaunch,
): Promise<RouteResult> {
  const { home, runtimeLog } = context;
  const { template, upperPath, accelerator } = order;
  if (order.isFilled !== (context.fill !== null)) {
    const refused = { kind: "none", stray: spawned, strayUpper: upperPath } as const;
    return await discardRefused(context, {
      ...refused,
      reason: "it was told to boot too early",
      isFault: true,
    });
  }
  const machine = Machine.adopt(spawned, accelerator);
  context.progress("restore");
  try {
    const started = linkToRestored(context, machine, startedAtMs, order.network, template);
    const answered = started.agent.booted(template.kind === "machine");
    const booted = servedWhile(context, machine, order.mounts, answered);
    const surroundings = { mounts: order.mounts.guest, network: order.network };
    await becomeRestored(context, started, booted, surroundings, template);
    await markUsed(template.directory);
    return {
      kind: "started",
      started,
      reason: `started from the ${template.kind} template ${template.key}`,
    };
  } catch (error) {
    machine.kill();
    await machine.exited;
    await discardUpper(upperPath);
    if (!(error instanceof TemplateFailedError)) throw error;
    runtimeLog.write("warn", `dropped the template ${template.key}: ${error.message}`);
    await dropTemplate(home, { key: template.key, inode: BigInt(template.inode) }).catch(() => undefined);
    return { kind: "failed", reason: `the template did not work: ${error.message}` };
  }
}

/** It is of no use: the guest goes on from elsewhere. */
export async function discardPrelaunched(
  context: StartContext,
  { prelaunch }: Pick<Received, "prelaunch">,
): Promise<void> {
  if (prelaunch.kind === "none") {
    await discardRefused(context, prelaunch);
    return;
  }
  await Machine.adopt(prelaunch.spawned, prelaunch.order.accelerator)[Symbol.asyncDispose]();
}

async function discardRefused(
  { runtimeLog }: StartContext,
  { reason, isFault, stray, strayUpper }: RefusedPrelaunch,
): Promise<RouteUnavailable> {
  // Nobody goes on with it, so what runs it does not matter.
  if (stray !== null) await Machine.adopt(stray, "tcg")[Symbol.asyncDispose]();
  await discardUpper(strayUpper);
  if (isFault) runtimeLog.write("warn", reason);
  return { kind: "unavailable", reason };
}

/** What another guest has written to its upper disk is not a beginning. */
async function discardUpper(path: string | null): Promise<void> {
  if (path !== null) await rm(path, { force: true });
}
