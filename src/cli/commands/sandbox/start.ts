import { defineBulkCommand } from "../../bulk-command.ts";

export const start = defineBulkCommand({
  name: "start",
  summary: "Start stopped sandboxes",
  details: "They run until they are stopped, independent of this command.",
  examples: ["msb start demo", "msb start --label stage=test"],
  options: {},
  doing: "Starting",
  done: "Started",
  act: async (sandboxes, name, _options, progress) => {
    await sandboxes.startDetached(name, progress.observer);
  },
});
