import { rm } from "node:fs/promises";
import { BootStartError, InvalidConfigError } from "../../errors/index.ts";
import type { StartPlan } from "../common/context.ts";
import { AcceleratorFailedError } from "../common/start-errors.ts";
import type { TemplateAtHand } from "../templates/template-making.ts";
import { restoreTemplate, TemplateFailedError } from "../templates/template-restore.ts";
import { TemplateSource, type Obtained } from "../templates/template-source.ts";
import type { RouteFailed, RouteResult, RouteStarted } from "./route.ts";

/**
 * Starts a sandbox from a template, which is made first when there is none.
 *
 * @throws BootStartError, InvalidConfigError for what is wrong with or without templates; why the start is over
 */
export async function startRestored(plan: StartPlan): Promise<RouteResult> {
  if (plan.templates.kind === "barred") return { kind: "unavailable", reason: plan.templates.reason };
  const source = new TemplateSource(plan, plan.templates.limitBytes);
  const obtained = await obtainTemplate(plan, source);
  if (obtained.kind === "unavailable") return obtained;
  const result = obtained.kind === "failed" ? obtained : await restore(plan, source, obtained);
  if (result.kind === "started") return result;
  // What another guest has written to it is not a beginning. A disk that was there before is the sandbox's own, and no part
  // of any template.
  const upperPath = plan.root.template?.upperPath ?? null;
  if (upperPath !== null) await rm(upperPath, { force: true });
  return { kind: "failed", reason: result.reason };
}

async function restore(
  plan: StartPlan,
  source: TemplateSource,
  { template, upperIsMade, isNew }: TemplateAtHand,
): Promise<RouteStarted | RouteFailed> {
  try {
    const started = await restoreTemplate(plan, template, upperIsMade);
    const suffix = isNew ? ", made for it" : "";
    const reason = `started from the ${template.record.kind} template ${template.key}${suffix}`;
    return { kind: "started", started, reason };
  } catch (error) {
    if (!(error instanceof TemplateFailedError)) throw error;
    const wasThere = await source.drop(template, error.message);
    // It was made a moment ago, and the next one would be no better; unless someone else had taken it away.
    if (isNew && wasThere && error.isLasting) await source.giveUp(template, error.message);
    return { kind: "failed", reason: `the template did not work: ${error.message}` };
  }
}

/** The template that a sandbox would be started from; one that does not work is dropped. */
export async function obtainTemplate(plan: StartPlan, source: TemplateSource): Promise<Obtained> {
  const { runtimeLog, signal, operation } = plan.context;
  try {
    const obtained = await source.obtain();
    if (obtained.kind === "failed") {
      const { from, reason } = obtained;
      if (from === null) runtimeLog.write("warn", `no template is made: ${reason}`);
      else await source.drop(from, reason);
    }
    return obtained;
  } catch (error) {
    signal.throwIfAborted();
    if (isOfTheSandbox(error)) throw error;
    // Out of time: what can be done without templates cannot be done any more either.
    operation.throwIfOver();
    // A disk that is full, or cannot be written, a QEMU that refuses: what can be done without templates is done.
    const reason = error instanceof Error ? error.message : String(error);
    runtimeLog.write("warn", `no template is used: ${reason}`);
    return { kind: "failed", reason, from: null };
  }
}

/** What would be so without templates too. */
function isOfTheSandbox(error: unknown): boolean {
  return (
    error instanceof BootStartError ||
    error instanceof InvalidConfigError ||
    error instanceof AcceleratorFailedError
  );
}
