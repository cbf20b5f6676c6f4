import type { SandboxChange } from "../../../api/index.ts";
import { ChangesConflictError, PartialCopyError } from "../../../errors/index.ts";
import { confirm } from "../../ask.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { completionLine, errorBlock } from "../../output/blocks.ts";
import { bytes } from "../../output/format.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { oneLine } from "../../output/sanitize.ts";
import { err } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { AskedChanges } from "./asked-changes.ts";
import { layerOperands, layerPlaces, type LayerPlace } from "./layer-places.ts";

export const apply = defineCommand({
  name: "apply",
  summary: "Write what a sandbox has changed to directories that are mounted with overlay",
  details: `Without PATH, all that msb diff shows. Where a file of this computer has changed, too, nothing is written and the exit code is 1: name the others. Each file is written whole or not at all. The sandbox may run or not. What a running one changes after you were asked is not written, and the exit code is 1: stop or pause it first.`,
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
    const tried = async (place: LayerPlace, dryRun: boolean, asked: AskedChanges): Promise<number | null> => {
      const begun = performance.now();
      const paths = place.paths === undefined ? {} : { paths: place.paths };
      const counts = (change: SandboxChange): boolean => {
        asked.add(change);
        return true;
      };
      // Whoever says beforehand that he need not be asked means all that there is.
      const filter = dryRun || options.yes === true ? counts : (each: SandboxChange) => asked.has(each);
      try {
        const { entries, bytes: size } = await sandbox.applyChanges(place.guest, {
          ...paths,
          filter,
          dryRun,
          signal,
        });
        const verb = options.dryRun === true ? "Would apply" : "Applied";
        const target = `${place.guest} → ${place.host}, ${changes(entries)}, ${bytes(size)}`;
        const isSaid = options.quiet !== true && (!dryRun || options.dryRun === true);
        const durationMs = performance.now() - begun;
        if (isSaid) err(completionLine({ ok: true, verb, target, durationMs }, process.stderr));
        if (asked.leftCount > 0) {
          const text = `not written: ${changes(asked.leftCount)} that the guest has made since you were asked`;
          err(errorBlock({ text, hints: ["Stop or pause the sandbox, and apply again"] }, process.stderr));
          return null;
        }
        return entries;
      } catch (error) {
        if (!(error instanceof ChangesConflictError || error instanceof PartialCopyError)) throw error;
        err(errorBlock({ text: oneLine(error.message), hints: [error.hint] }, process.stderr));
        for (const line of detailsOf(error, place)) err(`${oneLine(line)}\n`);
        return null;
      }
    };
    for (const place of places) {
      const asked = new AskedChanges();
      const entries = await tried(place, true, asked);
      if (entries === null) return 1;
      if (options.dryRun === true || entries === 0) continue;
      if (options.yes !== true) {
        if (!process.stdin.isTTY || !process.stderr.isTTY)
          throw new UsageError("there is nobody to ask.", "Say --yes to write without being asked");
        if (!(await confirm(`Write ${changes(entries)} of ${place.guest} to ${place.host}?`))) return 1;
      }
      const writing = tried(place, false, asked);
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
    return error.refused.map(({ path, message }) => `refused ${guest}/${path}: ${message}`);
  return error.conflicts.map((path) => `conflict ${guest}/${path}`);
}
