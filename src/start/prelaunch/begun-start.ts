import { rm } from "node:fs/promises";
import { Machine } from "../../machine/machine.ts";
import { PROTOCOL_VERSION } from "../../protocol/generated/messages.ts";
import { dropTemplate } from "../../store/templates/template-removal.ts";
import { markUsed } from "../../store/templates/templates.ts";
import type { StartContext, StartedMachine } from "../start-context.ts";
import { becomeRestored, linkToRestored, TemplateFailedError } from "../templates/template-restore.ts";

/**
 * Goes on with the QEMU that was started before this process had loaded its program.
 *
 * @returns null when there is none that can be used; `failed` when its template did not work. Nothing is left of it then
 * @throws BootStartError, InvalidConfigError for what would be wrong without a template too; the signal's reason
 */
export async function startBegun(
  context: StartContext,
  deadline: AbortSignal,
): Promise<StartedMachine | "failed" | null> {
  const { home, begun, runtimeLog } = context;
  if (begun === null) return null;
  const { request, spawned, startedAtMs } = begun;
  const { template, upperPath } = request;
  const machine = Machine.adopt(spawned, request.accelerator);
  // What another guest has written to its upper disk is not a beginning.
  const discard = async (): Promise<void> => {
    machine.kill();
    await machine.exited;
    if (upperPath !== null) await rm(upperPath, { force: true });
  };
  if (request.protocolVersion !== PROTOCOL_VERSION) {
    // Another version of this package was installed a moment ago.
    await discard();
    return null;
  }
  context.progress("restore");
  const started = linkToRestored(context, machine, startedAtMs, template);
  try {
    await becomeRestored(
      { context, deadline },
      started,
      started.agent.introduced(template.kind === "machine"),
      template,
    );
    await markUsed(template.directory);
    return started;
  } catch (error) {
    await discard();
    if (!(error instanceof TemplateFailedError)) throw error;
    runtimeLog.write("warn", `dropped the template ${template.key}: ${error.message}`);
    await dropTemplate(home, { key: template.key, inode: BigInt(template.inode) }).catch(() => undefined);
    return "failed";
  }
}
