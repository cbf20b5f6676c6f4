import { ChangesConflictError, PartialCopyError } from "../../../errors/index.ts";
import { confirm } from "../../ask.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { completionLine, errorBlock } from "../../output/blocks.ts";
import { bytes } from "../../output/format.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { oneLine } from "../../output/sanitize.ts";
import { err } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { layerOperands, layerPlaces, type LayerPlace } from "./layer-places.ts";

export const apply = defineCommand({
  name: "apply",
  summary: "Write what a sandbox has changed to directories that are mounted with overlay",
  details: `Without PATH, all that msb diff shows. Where a file of this computer has changed, too, nothing is written and the exit code is 1: name the others. Each file is written whole or not at all. The sandbox may run or not.`,
  examples: ["msb apply demo", "msb apply demo:/work src/main.ts", "msb apply demo /work/src --dry-run"],
  operands: layerOperands,
  options: {
    dryRun: flag({ description: "Say what would be done, and do nothing" }),
    yes: flag({ short: "y", description: "Do not ask" }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [operand = "", ...named] }) => {
    const { sandbox, places } = await layerPlaces(operand, named);
    const abort = new AbortController();
    const { signal } = abort;
    const tried = async (place: LayerPlace, dryRun: boolean): Promise<number | null> => {
      const begun = performance.now();
      const paths = place.paths === undefined ? {} : { paths: place.paths };
      try {
        const { entries, bytes: size } = await sandbox.applyChanges(place.guest, {
          ...paths,
          dryRun,
          signal,
        });
        const verb = options.dryRun === true ? "Would apply" : "Applied";
        const target = `${place.guest} → ${place.host}, ${changes(entries)}, ${bytes(size)}`;
        const isSaid = options.quiet !== true && (!dryRun || options.dryRun === true);
        const durationMs = performance.now() - begun;
        if (isSaid) err(completionLine({ ok: true, verb, target, durationMs }, process.stderr));
        return entries;
      } catch (error) {
        if (!(error instanceof ChangesConflictError || error instanceof PartialCopyError)) throw error;
        err(errorBlock({ text: oneLine(error.message), hints: [error.hint] }, process.stderr));
        for (const line of detailsOf(error, place)) err(`${oneLine(line)}\n`);
        return null;
      }
    };
    for (const place of places) {
      const entries = await tried(place, true);
      if (entries === null) return 1;
      if (options.dryRun === true || entries === 0) continue;
      if (options.yes !== true) {
        if (!process.stdin.isTTY || !process.stderr.isTTY)
          throw new UsageError("there is nobody to ask.", "Say --yes to write without being asked");
        if (!(await confirm(`Write ${changes(entries)} of ${place.guest} to ${place.host}?`))) return 1;
      }
      const writing = tried(place, false);
      // The file that is under way is given up before msb ends.
      using _interruption = onInterruption(async () => {
        abort.abort();
        await writing.catch(() => undefined);
      });
      if ((await writing) === null) return 1;
    }
    return 0;
  },
});

export function changes(count: number): string {
  return `${String(count)} ${count === 1 ? "change" : "changes"}`;
}

function detailsOf(error: ChangesConflictError | PartialCopyError, { guest }: LayerPlace): string[] {
  if (error instanceof PartialCopyError)
    return error.refused.map(({ path, message }) => `refused ${path}: ${message}`);
  return error.conflicts.map((path) => `conflict ${guest}/${path}`);
}
