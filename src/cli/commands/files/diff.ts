import { defineCommand } from "../../grammar/command.ts";
import { json } from "../../output/format.ts";
import { oneLine } from "../../output/sanitize.ts";
import { out } from "../../output/streams.ts";
import { formatOption } from "../sandbox/list.ts";
import { layerPlaces } from "./layer-places.ts";

const letters = { added: "A", changed: "C", deleted: "D" } as const;

export const diff = defineCommand({
  name: "diff",
  summary: "Show what a sandbox has changed in directories that are mounted with overlay",
  details: `Prints a line for each: A for added, C for changed, D for deleted, and (conflict) where this computer's file has changed, too. The sandbox may run or not.`,
  examples: ["msb diff demo", "msb diff demo:/work/src", "msb diff demo --format json"],
  operands: [{ name: "NAME[:/PATH]", required: true, completes: "sandbox" }],
  options: { format: formatOption },
  run: async ({ options, operands: [operand = ""] }) => {
    const { sandbox, places } = await layerPlaces(operand, []);
    const found: object[] = [];
    for (const { guest } of places) {
      for await (const change of sandbox.changes(guest)) {
        const path = change.path === "" ? guest : `${guest}/${change.path}`;
        const { kind, type, size, mode, conflicts, isUtf8, pathBytes } = change;
        if (options.format === "json") {
          const bytes = isUtf8 ? {} : { path_base64: Buffer.from(pathBytes).toString("base64") };
          found.push({ path, ...bytes, kind, type, size, mode, conflicts });
        } else out(`${letters[kind]} ${oneLine(path)}${conflicts ? " (conflict)" : ""}\n`);
      }
    }
    if (options.format === "json") out(json(found));
    return 0;
  },
});
