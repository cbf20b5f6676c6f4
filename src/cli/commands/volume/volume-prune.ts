import { definePruneCommand } from "../../prune-command.ts";

export const volumePrune = definePruneCommand({
  parent: "volume",
  summary: "Remove all volumes that no sandbox has, with their data",
  examples: ["msb volume prune", "msb volume prune -y --format json"],
  asks: true,
  doing: "Removing unused volumes",
  prune: async () => {
    const { Volume } = await import("../../../api/index.ts");
    const { volumesRemoved, bytesReclaimed } = await Volume.prune();
    return {
      count: volumesRemoved.length,
      bytes: bytesReclaimed,
      report: { volumes_removed: volumesRemoved, bytes_reclaimed: bytesReclaimed },
    };
  },
});
