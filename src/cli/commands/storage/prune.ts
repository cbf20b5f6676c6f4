import type { StoragePruneReport } from "../../../api/index.ts";
import { defineCommand, flag, value } from "../../grammar/command.ts";
import { bytes, json } from "../../output/format.ts";
import { Progress } from "../../output/progress.ts";
import { out } from "../../output/streams.ts";
import { agrees } from "../../prune-command.ts";
import { parseDurationMs } from "../../values/duration.ts";
import { formatOption } from "../sandbox/list.ts";

export const prune = defineCommand({
  name: "prune",
  summary: "Remove what nobody needs: unused images and templates, leftovers",
  details:
    "These are images that no sandbox and no snapshot needs, templates that were not used for seven days, and what killed processes have left. Sandboxes, volumes and snapshots stay.",
  examples: ["msb prune --dry-run", "msb prune -f", "msb prune -f --older-than 30d"],
  options: {
    dryRun: flag({ description: "Remove nothing; show what would be" }),
    olderThan: value({
      placeholder: "DURATION",
      description: "Only images and templates that were not used for so long, such as 7d; 0: all templates",
      parse: parseDurationMs,
    }),
    force: flag({ short: "f", description: "Do not ask" }),
    yes: flag({ short: "y", description: "The same" }),
    format: formatOption,
    quiet: flag({ short: "q", description: "Print nothing but errors", conflicts: ["format"] }),
  },
  run: async ({ options, logLevel }) => {
    const { Storage } = await import("../../../api/index.ts");
    const { olderThan, dryRun = false, format, quiet } = options;
    const olderThanSeconds = olderThan === undefined ? undefined : olderThan / 1000;
    if (!dryRun && options.force !== true && options.yes !== true) {
      const plan = await Storage.prune({ dryRun: true, olderThanSeconds });
      if (!(await agrees(`Remove ${whatOf(plan)}`))) return 1;
    }
    using progress = new Progress({ quiet: quiet ?? format === "json", logLevel });
    await progress.start(dryRun ? "Looking for what nobody needs" : "Removing what nobody needs");
    const report = await Storage.prune({ dryRun, olderThanSeconds });
    progress.clear();
    if (format === "json") {
      out(json(reportJson(report)));
      return 0;
    }
    if (dryRun)
      out([...linesOf(report), `Would remove ${whatOf(report)}`].map((line) => `${line}\n`).join(""));
    else progress.done("Removed", whatOf(report));
    return 0;
  },
});

/** A line for each thing. */
function linesOf({ images, templates, leftovers }: StoragePruneReport): string[] {
  return [
    ...images.references.map((reference) => `image ${reference}`),
    ...templates.keys.map((key) => `template ${key.slice(0, 12)}`),
    ...leftovers.paths.map((path) => `leftover ${path}`),
  ];
}

function whatOf({ images, templates, leftovers, bytesReclaimed }: StoragePruneReport): string {
  const counted = (count: number, what: string): string =>
    `${String(count)} ${count === 1 ? what : `${what}s`}`;
  const parts = [
    counted(images.references.length, "image"),
    counted(templates.keys.length, "template"),
    counted(leftovers.paths.length, "leftover"),
  ];
  return `${parts.join(", ")}: ${bytes(bytesReclaimed)}`;
}

function reportJson({ dryRun, images, templates, leftovers, bytesReclaimed }: StoragePruneReport): object {
  return { dry_run: dryRun, images, templates, leftovers, bytes_reclaimed: bytesReclaimed };
}
