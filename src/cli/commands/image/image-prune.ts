import { confirm } from "../../ask.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { bytes, json } from "../../output/format.ts";
import { Progress } from "../../output/progress.ts";
import { out } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { formatOption } from "../sandbox/list.ts";

export const imagePrune = defineCommand({
  name: "prune",
  parent: "image",
  summary: "Remove all images that no sandbox uses",
  examples: ["msb image prune", "msb image prune -y --format json"],
  options: {
    yes: flag({ short: "y", description: "Do not ask" }),
    format: formatOption,
    quiet: flag({ short: "q", description: "Print nothing but errors", conflicts: ["format"] }),
  },
  run: async ({ options, logLevel }) => {
    if (options.yes !== true) {
      if (!process.stdin.isTTY || !process.stderr.isTTY) {
        throw new UsageError("there is nobody to ask.", "Say --yes to remove without being asked");
      }
      if (!(await confirm("Remove all images that no sandbox uses?"))) return 1;
    }
    const { Image } = await import("../../../api/index.ts");
    const progress = new Progress({ quiet: options.quiet ?? options.format === "json", logLevel });
    await progress.start("Removing unused images");
    try {
      const report = await Image.prune();
      progress.clear();
      if (options.format === "json") {
        out(
          json({
            image_refs_removed: report.imageRefsRemoved,
            manifests_removed: report.manifestsRemoved,
            layers_removed: report.layersRemoved,
            fsmeta_removed: report.fsmetaRemoved,
            vmdk_removed: report.vmdkRemoved,
            bytes_reclaimed: report.bytesReclaimed,
          }),
        );
      } else {
        const count = report.imageRefsRemoved;
        const space = report.bytesReclaimed === null ? "" : `, ${bytes(report.bytesReclaimed)}`;
        progress.done("Removed", `${String(count)} ${count === 1 ? "image" : "images"}${space}`);
      }
      return 0;
    } finally {
      progress.clear();
    }
  },
});
