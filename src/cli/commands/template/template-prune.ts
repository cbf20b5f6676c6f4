import { definePruneCommand } from "../../prune-command.ts";

export const templatePrune = definePruneCommand({
  parent: "template",
  summary: "Remove all templates",
  details:
    "They are a cache: the next sandbox of a shape boots, and makes its template again. Sandboxes that run do not notice.",
  examples: ["msb template prune", "msb template prune --format json"],
  asks: false,
  doing: "Removing templates",
  prune: async () => {
    const { prune } = await import("../../../api/setup/msb-templates.ts");
    const { templates, bytes } = await prune();
    return {
      count: templates,
      bytes,
      report: { templates_removed: templates, bytes_reclaimed: bytes },
    };
  },
});
