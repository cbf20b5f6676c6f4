import { defineCommand, flag } from "../../grammar/command.ts";
import { bytes, json } from "../../output/format.ts";
import { Progress } from "../../output/progress.ts";
import { out } from "../../output/streams.ts";
import { formatOption } from "../sandbox/list.ts";

export const templatePrune = defineCommand({
  name: "prune",
  parent: "template",
  summary: "Remove all templates",
  details:
    "They are a cache: the next sandbox of a shape boots, and makes its template again. Sandboxes that run do not notice.",
  examples: ["msb template prune", "msb template prune --format json"],
  options: {
    format: formatOption,
    quiet: flag({ short: "q", description: "Print nothing but errors", conflicts: ["format"] }),
  },
  run: async ({ options, logLevel }) => {
    const { prune } = await import("../../../api/setup/msb-templates.ts");
    const progress = new Progress({ quiet: options.quiet ?? options.format === "json", logLevel });
    await progress.start("Removing templates");
    try {
      const removed = await prune();
      progress.clear();
      if (options.format === "json") {
        out(json({ templates_removed: removed.templates, bytes_reclaimed: removed.bytes }));
      } else {
        const count = removed.templates;
        progress.done(
          "Removed",
          `${String(count)} ${count === 1 ? "template" : "templates"}, ${bytes(removed.bytes)}`,
        );
      }
      return 0;
    } finally {
      progress.clear();
    }
  },
});
