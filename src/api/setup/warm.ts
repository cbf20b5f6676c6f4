import { ProtocolError, UnsupportedOperationError } from "../../errors/index.ts";
import type { WarmOutcome } from "../../protocol/generated/messages.ts";
import { whyNoTemplates } from "../../store/templates/template-settings.ts";
import { prepareCreation } from "../sandbox/create.ts";
import { resolveRoot } from "../sandbox/create-root.ts";
import { nothingBeside } from "../../config/sandbox/beside-config.ts";
import { SandboxDraft } from "../../config/sandbox/sandbox-draft.ts";
import { askAboutHost } from "./host-request.ts";

/**
 * Makes the template that a sandbox of this image with the default settings starts from, so that the first one need not boot.
 *
 * @returns `ready` when it was there already
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
  const creation = await prepareCreation({ ...config, replace: true, pullPolicy: "never" }, nothingBeside);
  const barred = whyNoTemplates(process.env, creation.settings, creation.stored.memoryMib);
  if (barred !== null) throw new UnsupportedOperationError(barred.why, { hint: barred.hint });
  const { stored } = await resolveRoot(creation, { signal });
  const request = { type: "Warm", config: JSON.stringify(stored) } as const;
  const answer = await askAboutHost(creation.home, request, { onNotice, signal });
  if (answer.type === "Warmed") return answer.outcome;
  throw new ProtocolError(`a request for a template was answered with ${answer.type}`);
}
