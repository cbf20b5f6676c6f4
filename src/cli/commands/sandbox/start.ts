import { forEachName } from "../../bulk.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { labelOption, sandboxNames, select } from "../../selection.ts";

export const start = defineCommand({
  name: "start",
  summary: "Start stopped sandboxes",
  details: "They run until they are stopped, independent of this command.",
  examples: ["msb start demo", "msb start --label stage=test"],
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
      doing: "Starting",
      done: "Started",
      act: async (name, progress) => {
        await Sandbox.startDetached(name, progress.observer);
      },
    });
  },
});
