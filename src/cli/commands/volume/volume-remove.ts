import { removeEach } from "../../bulk.ts";
import { defineCommand, flag } from "../../grammar/command.ts";

export const volumeRemove = defineCommand({
  name: "remove",
  parent: "volume",
  aliases: ["rm"],
  summary: "Remove volumes that no running sandbox uses, with their data",
  examples: ["msb volume rm cache", "msb volume rm -q cache data"],
  operands: [{ name: "NAME", required: true, repeated: true, completes: "volume" }],
  options: { quiet: flag({ short: "q", description: "Print nothing but errors" }) },
  run: async ({ options, operands, logLevel }) => {
    const { Volume } = await import("../../../api/index.ts");
    return await removeEach(operands, { quiet: options.quiet ?? false, logLevel }, (name) =>
      Volume.remove(name),
    );
  },
});
