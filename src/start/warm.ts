import { mkdir } from "node:fs/promises";
import { Operation } from "../host/operation.ts";
import { newRecord } from "../store/sandbox-record.ts";
import { newSandboxId, pathsIn } from "../store/sandboxes.ts";
import { stageTemplate } from "../store/templates/template-staging.ts";
import type { Home } from "../store/home.ts";
import type { StoredConfig } from "../config/sandbox/stored-config.ts";
import type { BackgroundJob, ConsoleLog, StartContext, StartLog, StartPlan } from "./common/context.ts";
import { bootToHello } from "./common/boot.ts";
import { bootDeadlineMs } from "./common/start-errors.ts";
import { withAccelerator } from "./common/with-accelerator.ts";
import { makeUpper } from "./inputs/root.ts";
import { originOf } from "./inputs/template-key.ts";
import { obtainTemplate } from "./routes/restored.ts";
import { keep } from "./templates/template-restore.ts";
import { TemplateSource } from "./templates/template-source.ts";

/** `ready`: the template was there already. */
export type WarmOutcome =
  | { readonly kind: "ready" }
  | { readonly kind: "made" }
  | {
      readonly kind: "unavailable";
      /** Why none can be made, one clause. */
      readonly reason: string;
    };

/** Who makes a template, and where it is told. */
export interface WarmRequest {
  readonly home: Home;
  /** Of the sandboxes that are to start from it. */
  readonly config: StoredConfig;
  /** Told what the user should know, such as an accelerator that does not work. */
  readonly notice: (message: string) => void;
  /** Opens the logs of what is booted, in a directory that goes when it is done. */
  readonly openLogs: (paths: {
    readonly runtimeLog: string;
    readonly kernelLog: string;
  }) => Promise<WarmLogs>;
  readonly signal: AbortSignal;
}

export interface WarmLogs extends AsyncDisposable {
  readonly runtimeLog: StartLog;
  readonly kernelLog: ConsoleLog;
}

/**
 * Makes the template that a sandbox of a configuration would start from, unless it is there.
 *
 * @returns with the template checked in, whole and on the disk
 * @throws as the start of such a sandbox
 */
export async function warm({ home, config, notice, openLogs, signal }: WarmRequest): Promise<WarmOutcome> {
  // What the guest writes goes to a place that is cleared away however this process ends.
  await using staged = await stageTemplate(home);
  const paths = pathsIn(staged.directory);
  await mkdir(paths.logs, { mode: 0o700 });
  await using logs = await openLogs(paths);
  const jobs: BackgroundJob[] = [];
  const createdAt = new Date().toISOString();
  const timeoutMs = bootDeadlineMs();
  const outcome = await Operation.run("make a template", { signal, timeoutMs }, async (operation) => {
    const context: StartContext = {
      home,
      record: newRecord({ id: newSandboxId(), name: "template", createdAt, config }),
      paths,
      runtimeLog: logs.runtimeLog,
      kernelLog: logs.kernelLog,
      signal,
      operation,
      progress: (stage) => operation.log(stage),
      notice,
      background: (job) => jobs.push(job),
      fill: null,
      programFiles: noProgramFiles,
      agentLost: () => undefined,
    };
    return await withAccelerator(context, null, warmTemplate);
  });
  for (const job of jobs) await job(signal);
  return outcome;
}

/** A template has no mounts. */
const noProgramFiles: StartContext["programFiles"] = {
  open: () => {
    throw new Error("a template has no program");
  },
  served: () => undefined,
};

async function warmTemplate(plan: StartPlan): Promise<WarmOutcome> {
  const { templates, trial, root, context } = plan;
  if (templates.kind === "barred") return { kind: "unavailable", reason: templates.reason };
  if (trial.probe !== null) {
    // With a template there, nothing would boot, and the hardware would stay on trial.
    await makeUpper(root);
    await using tried = (await bootToHello(plan)).machine;
    tried.kill();
  }
  const source = new TemplateSource(plan, templates.limitBytes);
  const obtained = await obtainTemplate(plan, source);
  if (obtained.kind !== "template") return { kind: "unavailable", reason: obtained.reason };
  // An image template is of use without the machine's, which others are made from.
  for (const template of await source.existing()) keep(context, originOf(template), 0);
  return { kind: obtained.isNew ? "made" : "ready" };
}
