import { definePruneCommand } from "../../prune-command.ts";

export const imagePrune = definePruneCommand({
  parent: "image",
  summary: "Remove all images that no sandbox uses",
  examples: ["msb image prune", "msb image prune -y --format json"],
  asks: true,
  doing: "Removing unused images",
  prune: async () => {
    const { Image } = await import("../../../api/index.ts");
    const report = await Image.prune();
    return {
      count: report.imageRefsRemoved,
      bytes: report.bytesReclaimed,
      report: {
        image_refs_removed: report.imageRefsRemoved,
        manifests_removed: report.manifestsRemoved,
        layers_removed: report.layersRemoved,
        fsmeta_removed: report.fsmetaRemoved,
        vmdk_removed: report.vmdkRemoved,
        bytes_reclaimed: report.bytesReclaimed,
      },
    };
  },
});
