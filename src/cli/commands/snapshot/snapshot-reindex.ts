import { defineCommand } from "../../grammar/command.ts";
import { out } from "../../output/streams.ts";

export const snapshotReindex = defineCommand({
  name: "reindex",
  parent: "snapshot",
  summary: "Count the snapshots of a directory, and clear away what killed commands have left",
  details: "There is no index that could be out of date: a snapshot's directory is all there is of it.",
  examples: ["msb snapshot reindex", "msb snapshot reindex /mnt/snapshots"],
  operands: [{ name: "DIR", required: false }],
  options: {},
  run: async ({ operands: [directory] }) => {
    const { Snapshot } = await import("../../../api/index.ts");
    out(`${await Snapshot.reindex(directory)}\n`);
    return 0;
  },
});
