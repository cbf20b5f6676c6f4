import { confirm } from "../../ask.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { bytes, json } from "../../output/format.ts";
import { Progress } from "../../output/progress.ts";
import { out } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { formatOption } from "../sandbox/list.ts";

export const volumePrune = defineCommand({
  name: "prune",
  parent: "volume",
  summary: "Remove all volumes that no sandbox has, with their data",
  examples: ["msb volume prune", "msb volume prune -y --format json"],
  options: {
    yes: flag({ short: "y", description: "Do not ask" }),
    format: formatOption,
    quiet: flag({ short: "q", description: "Print nothing but errors", conflicts: ["format"] }),
  },
  run: async ({ options, logLevel }) => {
    if (options.yes !== true) {
      if (!process.stdin.isTTY || !process.stderr.isTTY)
        throw new UsageError("there is nobody to ask.", "Say --yes to remove without being asked");
      if (!(await confirm("Remove all volumes that no sandbox has, with their data?"))) return 1;
    }
    const { Volume } = await import("../../../api/index.ts");
    const progress = new Progress({ quiet: options.quiet ?? options.format === "json", logLevel });
    await progress.start("Removing unused volumes");
    try {
      const { volumesRemoved, bytesReclaimed } = await Volume.prune();
      progress.clear();
      if (options.format === "json") {
        out(json({ volumes_removed: volumesRemoved, bytes_reclaimed: bytesReclaimed }));
      } else {
        const count = volumesRemoved.length;
        const what = `${String(count)} ${count === 1 ? "volume" : "volumes"}`;
        progress.done("Removed", `${what}, ${bytes(bytesReclaimed)}`);
      }
      return 0;
    } finally {
      progress.clear();
    }
  },
});
