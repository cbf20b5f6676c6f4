import { defineBulkCommand } from "../../bulk-command.ts";

export const resume = defineBulkCommand({
  name: "resume",
  summary: "Let paused sandboxes go on",
  examples: ["msb resume demo"],
  options: {},
  doing: "Resuming",
  done: "Resumed",
  act: async (sandboxes, name) => {
    await (await sandboxes.get(name)).resume();
  },
});
