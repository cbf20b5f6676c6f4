import { confirm } from "../../ask.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { completionLine } from "../../output/blocks.ts";
import { err } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { changes } from "./apply.ts";
import { layerOperands, layerPlaces } from "./layer-places.ts";

export const discard = defineCommand({
  name: "discard",
  summary: "Drop what a stopped sandbox has changed in directories that are mounted with overlay",
  details: `Without PATH, all that msb diff shows. The sandbox must be stopped; when it starts, it sees this computer's files again.`,
  examples: ["msb discard demo", "msb discard demo:/work src/main.ts"],
  operands: layerOperands,
  options: {
    yes: flag({ short: "y", description: "Do not ask" }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [operand = "", ...named] }) => {
    const { sandbox, places } = await layerPlaces(operand, named);
    for (const { guest, paths } of places) {
      if (options.yes !== true) {
        if (!process.stdin.isTTY || !process.stderr.isTTY)
          throw new UsageError("there is nobody to ask.", "Say --yes to drop them without being asked");
        if (!(await confirm(`Drop ${paths === undefined ? "all" : "these"} changes of ${guest}?`))) return 1;
      }
      const begun = performance.now();
      const count = await sandbox.discardChanges(guest, paths === undefined ? {} : { paths });
      const target = `${changes(count)} of ${guest}`;
      const durationMs = performance.now() - begun;
      if (options.quiet !== true)
        err(completionLine({ ok: true, verb: "Discarded", target, durationMs }, process.stderr));
    }
    return 0;
  },
});
