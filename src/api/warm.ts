import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { RuntimeError } from "../errors/index.ts";
import { decodeFailure } from "../protocol/failure.ts";
import { decodeMessage } from "../protocol/messages.generated.ts";
import { supervisorProgram } from "../store/index.ts";
import { prepareCreation } from "./create.ts";
import { supervisorEnvironment } from "./launch.ts";
import { resolveRoot } from "./root.ts";
import { SandboxDraft } from "./sandbox-draft.ts";

/** `ready`: it was there already. null: none can be made on this host, or templates are turned off. */
export type WarmOutcome = "ready" | "made" | null;

/**
 * Makes the template that a sandbox of this image with the default settings starts from, so that the first one need not boot.
 *
 * @param onNotice told what the user should know, such as an accelerator that does not work here
 * @throws as the creation of such a sandbox
 */
export async function warmImage(
  reference: string,
  onNotice: (message: string) => void,
  signal?: AbortSignal,
): Promise<WarmOutcome> {
  const draft = new SandboxDraft("template");
  draft.image(reference);
  const config = draft.finish();
  const creation = await prepareCreation({ ...config, replace: true, pullPolicy: "never" }, []);
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
  const said = JSON.parse(answer) as { outcome?: WarmOutcome; failure?: string; notices: string[] };
  said.notices.forEach(onNotice);
  if (said.failure === undefined) return said.outcome ?? null;
  const failure = decodeMessage(Buffer.from(said.failure, "base64"), "supervisor→client");
  if (failure.type === "Failure") throw decodeFailure(failure);
  throw new RuntimeError("the process that makes templates answered with something else");
}
