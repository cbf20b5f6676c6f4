import { hasLabel } from "../config/labels.ts";
import { repeated, type Operand } from "./grammar/command.ts";
import { err } from "./output/streams.ts";
import { UsageError } from "./output/usage-error.ts";
import { parseLabel, type Pair } from "./values/pairs.ts";

export const sandboxNames: Operand = { name: "NAME", required: false, repeated: true, completes: "sandbox" };

export const labelOption = repeated({
  placeholder: "KEY[=VALUE]",
  description: "Also every sandbox with this label; several must all match. Repeatable",
  parse: parseLabel,
});

/**
 * The sandboxes that a command is for: those named and those that have all the labels, each once, in this order.
 *
 * @throws UsageError when neither names nor labels are given
 */
export async function select(names: readonly string[], labels: readonly Pair[]): Promise<string[]> {
  if (names.length === 0 && labels.length === 0) {
    throw new UsageError(
      "no sandbox is named.",
      "Give names, or --label to select by label; msb ls shows what there is",
    );
  }
  const selected = new Set(names);
  if (labels.length > 0) {
    const { Sandbox } = await import("../api/index.ts");
    const matching = filterByLabels(await Sandbox.list(), labels);
    for (const handle of matching) selected.add(handle.name);
    if (selected.size === 0) {
      const { warningLine } = await import("./output/blocks.ts");
      err(warningLine("no sandbox has these labels", process.stderr));
    }
  }
  return [...selected];
}

interface Labelled {
  config(): { readonly labels: Readonly<Record<string, string>> };
}

/** Those of `sandboxes` that have all of the labels; all when there are none. */
export function filterByLabels<T extends Labelled>(sandboxes: readonly T[], labels: readonly Pair[]): T[] {
  if (labels.length === 0) return [...sandboxes];
  return sandboxes.filter((sandbox) => {
    const own = sandbox.config().labels;
    return labels.every(([key, value]) => hasLabel(own, key, value));
  });
}
