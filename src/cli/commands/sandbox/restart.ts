import { forEachName } from "../../bulk.ts";
import { defineCommand, flag, value } from "../../grammar/command.ts";
import { labelOption, sandboxNames, select } from "../../selection.ts";
import { parseDurationMs } from "../../values/duration.ts";

export const restart = defineCommand({
  name: "restart",
  summary: "Stop sandboxes and start them again",
  details: "Files are kept. A sandbox that does not run is just started.",
  examples: ["msb restart demo", "msb restart -f demo"],
  operands: [sandboxNames],
  options: {
    force: flag({ short: "f", description: "Kill instead of an orderly stop" }),
    timeout: value({
      short: "t",
      placeholder: "SECONDS",
      description: "How long the orderly stop may take (10); 0 kills",
      parse: parseDurationMs,
      conflicts: ["force"],
    }),
    label: labelOption,
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands, logLevel }) => {
    const names = await select(operands, options.label);
    const { Sandbox } = await import("../../../api/index.ts");
    return forEachName(names, {
      quiet: options.quiet ?? false,
      logLevel,
      doing: "Restarting",
      done: "Restarted",
      act: async (name, progress) => {
        const handle = await Sandbox.get(name);
        await handle.restart({
          ...progress.observer,
          detached: true,
          ...(options.force === true ? { force: true } : {}),
          ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
        });
      },
    });
  },
});
