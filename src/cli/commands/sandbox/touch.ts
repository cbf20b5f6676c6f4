import { defineBulkCommand } from "../../bulk-command.ts";

export const touch = defineBulkCommand({
  name: "touch",
  summary: "Start the idle timeout of running sandboxes anew",
  examples: ["msb touch demo"],
  options: {},
  doing: "Touching",
  done: "Touched",
  act: async (sandboxes, name) => {
    await (await sandboxes.get(name)).touch();
  },
});
