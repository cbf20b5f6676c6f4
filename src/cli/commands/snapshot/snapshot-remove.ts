import { removeEach } from "../../bulk.ts";
import { defineCommand, flag } from "../../grammar/command.ts";

export const snapshotRemove = defineCommand({
  name: "remove",
  parent: "snapshot",
  aliases: ["rm"],
  summary: "Remove snapshots; sandboxes that were made from them stay",
  examples: ["msb snapshot rm ready", "msb snapshot rm -f base"],
  operands: [{ name: "SNAPSHOT", required: true, repeated: true, completes: "snapshot" }],
  options: {
    force: flag({
      short: "f",
      description: "Also parents of other snapshots, which stay usable, and damaged ones",
    }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands, logLevel }) => {
    const { Snapshot } = await import("../../../api/index.ts");
    return await removeEach(operands, { quiet: options.quiet ?? false, logLevel }, (reference) =>
      Snapshot.remove(reference, { force: options.force ?? false }),
    );
  },
});
