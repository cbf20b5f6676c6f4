import { forEachName } from "../../bulk.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { labelOption, sandboxNames, select } from "../../selection.ts";

export const touch = defineCommand({
  name: "touch",
  summary: "Start the idle timeout of running sandboxes anew",
  examples: ["msb touch demo"],
  operands: [sandboxNames],
  options: {
    label: labelOption,
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands, logLevel }) => {
    const names = await select(operands, options.label);
    const { Sandbox } = await import("../../../api/index.ts");
    return forEachName(names, {
      quiet: options.quiet ?? false,
      logLevel,
      doing: "Touching",
      done: "Touched",
      act: async (name) => {
        await (await Sandbox.get(name)).touch();
      },
    });
  },
});
