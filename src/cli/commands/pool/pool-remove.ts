import { removeEach } from "../../bulk.ts";
import { defineCommand, flag } from "../../grammar/command.ts";

export const poolRemove = defineCommand({
  name: "remove",
  parent: "pool",
  aliases: ["rm"],
  summary: "Remove pools, and end what is ready in them",
  details: "Sandboxes that were taken from a pool stay.",
  examples: ["msb pool rm workers"],
  operands: [{ name: "NAME", required: true, repeated: true, completes: "pool" }],
  options: { quiet: flag({ short: "q", description: "Print nothing but errors" }) },
  run: async ({ options, operands, logLevel }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    return await removeEach(operands, { quiet: options.quiet ?? false, logLevel }, (name) =>
      Sandbox.removePool(name),
    );
  },
});
