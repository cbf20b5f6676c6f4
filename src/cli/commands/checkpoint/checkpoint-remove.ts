import { removeEach } from "../../bulk.ts";
import { defineCommand, flag } from "../../grammar/command.ts";

export const checkpointRemove = defineCommand({
  name: "remove",
  parent: "checkpoint",
  aliases: ["rm"],
  summary: "Remove checkpoints of a sandbox; it stays as it is",
  examples: ["msb checkpoint rm demo before-upgrade"],
  operands: [
    { name: "NAME", required: true, completes: "sandbox" },
    { name: "CHECKPOINT", required: true, repeated: true },
  ],
  options: {
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [name = "", ...checkpoints], logLevel }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    const handle = await Sandbox.get(name);
    return await removeEach(checkpoints, { quiet: options.quiet ?? false, logLevel }, (checkpoint) =>
      handle.removeCheckpoint(checkpoint),
    );
  },
});
