import * as v from "valibot";
import { Sandbox, SandboxStatuses, type SandboxHandle } from "../../api/index.ts";
import { ToolError } from "../call/tool-failure.ts";
import { optionalText, textRecord, texts } from "./fields.ts";

/** Which sandboxes are meant: those that match all that is said. */
export const selectorFields = {
  name: optionalText("Of one sandbox."),
  names: texts("Of several."),
  labels: textRecord("Only sandboxes with all of these labels."),
  status: v.optional(v.pipe(v.picklist(SandboxStatuses), v.description("Only sandboxes with this status."))),
};

export type Selector = v.InferOutput<v.StrictObjectSchema<typeof selectorFields, undefined>>;

/**
 * Those that are selected, newest first.
 *
 * @throws SandboxNotFoundError for a name that nobody has
 */
export async function selected(selector: Selector, signal: AbortSignal): Promise<readonly SandboxHandle[]> {
  const { name, names = [], labels = {}, status } = selector;
  const named = [...(name === undefined ? [] : [name]), ...names];
  const found =
    named.length > 0
      ? await Promise.all([...new Set(named)].map((one) => Sandbox.get(one, { signal })))
      : await Sandbox.list({ signal });
  return found.filter((handle) => {
    const own = handle.config().labels;
    const hasAll = Object.entries(labels).every(([key, value]) => own[key] === value);
    return hasAll && (status === undefined || handle.status === status);
  });
}

/** The same for what changes them: something has to be said. @throws ToolError */
export async function selectedToChange(
  selector: Selector,
  signal: AbortSignal,
): Promise<readonly SandboxHandle[]> {
  const { name, names = [], labels = {}, status } = selector;
  if (name === undefined && names.length === 0 && Object.keys(labels).length === 0 && status === undefined) {
    throw new ToolError("invalid_input", "no sandbox is selected", "Give name, names, labels or status.");
  }
  return await selected(selector, signal);
}
