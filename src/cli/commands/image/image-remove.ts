import { removeEach } from "../../bulk.ts";
import { defineCommand, flag } from "../../grammar/command.ts";

export const imageRemove = defineCommand({
  name: "remove",
  parent: "image",
  aliases: ["rm"],
  summary: "Remove stored images that no sandbox uses",
  examples: ["msb image rm alpine", "msb image rm -f alpine python:3.12"],
  operands: [{ name: "REFERENCE", required: true, repeated: true, completes: "image" }],
  options: {
    force: flag({
      short: "f",
      description: "Also when a sandbox uses it: it keeps its files, the name goes",
    }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands, logLevel }) => {
    const { Image } = await import("../../../api/index.ts");
    return await removeEach(operands, { quiet: options.quiet ?? false, logLevel }, (reference) =>
      Image.remove(reference, { force: options.force ?? false }),
    );
  },
});
