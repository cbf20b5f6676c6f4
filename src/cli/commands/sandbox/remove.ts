import { JsonError, SandboxNotFoundError } from "../../../errors/index.ts";
import { forEachName } from "../../bulk.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { killAndRemove } from "../../remove-ended.ts";
import { labelOption, sandboxNames, select } from "../../selection.ts";

export const remove = defineCommand({
  name: "remove",
  aliases: ["rm"],
  summary: "Remove stopped sandboxes with their files and logs",
  examples: ["msb rm demo", "msb rm -f demo other", "msb rm -f --label stage=test"],
  operands: [sandboxNames],
  options: {
    force: flag({ short: "f", description: "Kill a running one first" }),
    label: labelOption,
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands, logLevel }) => {
    const names = await select(operands, options.label);
    const { Sandbox } = await import("../../../api/index.ts");
    return forEachName(names, {
      quiet: options.quiet ?? false,
      logLevel,
      doing: "Removing",
      done: "Removed",
      act: async (name) => {
        if (options.force !== true) {
          await Sandbox.remove(name);
          return;
        }
        try {
          await killAndRemove(await Sandbox.get(name));
        } catch (error) {
          // What is left of a sandbox whose files are damaged or missing cannot be looked at, but it can be removed.
          if (!(error instanceof JsonError || error instanceof SandboxNotFoundError)) throw error;
          await Sandbox.remove(name);
        }
      },
    });
  },
});
