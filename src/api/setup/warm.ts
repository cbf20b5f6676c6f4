import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { RuntimeError, UnsupportedOperationError } from "../../errors/index.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import { decodeMessage } from "../../protocol/generated/messages.ts";
import { supervisorProgram } from "../../host/package-files.ts";
import { whyNoTemplates } from "../../store/templates/template-settings.ts";
import { prepareCreation } from "../sandbox/create.ts";
import { supervisorEnvironment } from "../sandbox/launch.ts";
import { resolveRoot } from "../sandbox/create-root.ts";
import { SandboxDraft } from "../../config/sandbox/sandbox-draft.ts";

/** `ready`: it was there already. */
export type WarmOutcome = "ready" | "made";

/**
 * Makes the template that a sandbox of this image with the default settings starts from, so that the first one need not boot.
 *
 * @param onNotice told what the user should know, such as an accelerator that does not work here
 * @throws UnsupportedOperationError when templates are turned off or none can be made on this host; else as the creation of
 *   such a sandbox
 */
export async function warmImage(
  reference: string,
  onNotice: (message: string) => void,
  signal?: AbortSignal,
): Promise<WarmOutcome> {
  const draft = new SandboxDraft("template");
  draft.set("image", reference);
  const config = draft.finish();
  const creation = await prepareCreation({ ...config, replace: true, pullPolicy: "never" }, []);
  const barred = whyNoTemplates(process.env, creation.settings, creation.stored.memoryMib);
  if (barred !== null) throw new UnsupportedOperationError(barred.why, { hint: barred.hint });
  const { stored } = await resolveRoot(creation, { signal });
  const child = spawn(process.execPath, [supervisorProgram(), "--warm"], {
    env: supervisorEnvironment(creation.home),
    stdio: ["pipe", "pipe", "inherit"],
    signal,
  });
  const failed = new Promise<never>((_, reject) => child.once("error", reject));
  child.stdin.on("error", () => undefined);
  child.stdin.end(JSON.stringify(stored));
  const answer = await Promise.race([text(child.stdout), failed]);
  if (answer === "") throw new RuntimeError("the process that makes templates ended without a word");
  const said = JSON.parse(answer) as { outcome?: WarmOutcome | null; failure?: string; notices: string[] };
  said.notices.forEach(onNotice);
  if (said.failure === undefined) {
    if (said.outcome === "ready" || said.outcome === "made") return said.outcome;
    throw new UnsupportedOperationError("no template can be made on this host", {
      hint: 'Sandboxes boot instead. "msb template list" and "msb doctor" tell why.',
    });
  }
  const failure = decodeMessage(Buffer.from(said.failure, "base64"), "supervisor→client");
  if (failure.type === "Failure") throw decodeFailure(failure);
  throw new RuntimeError("the process that makes templates answered with something else");
}
