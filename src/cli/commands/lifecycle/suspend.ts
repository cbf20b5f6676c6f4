import { defineBulkCommand } from "../../bulk-command.ts";

export const suspend = defineBulkCommand({
  name: "suspend",
  summary: "Write the memory of running sandboxes to the disk and end their machines",
  details: "msb start goes on where they were, programs included. Connections to the outside are gone then.",
  examples: ["msb suspend demo"],
  options: {},
  doing: "Suspending",
  done: "Suspended",
  act: async (sandboxes, name) => {
    await (await sandboxes.get(name)).suspend();
  },
});
