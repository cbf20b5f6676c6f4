import { JsonError, SandboxNotFoundError } from "../../../errors/index.ts";
import { defineBulkCommand } from "../../bulk-command.ts";
import { flag } from "../../grammar/command.ts";
import { killAndRemove } from "../../remove-ended.ts";

export const remove = defineBulkCommand({
  name: "remove",
  aliases: ["rm"],
  summary: "Remove stopped sandboxes with their files and logs",
  examples: ["msb rm demo", "msb rm -f demo other", "msb rm -f --label stage=test"],
  options: {
    force: flag({ short: "f", description: "Kill a running one first" }),
  },
  doing: "Removing",
  done: "Removed",
  act: async (sandboxes, name, options) => {
    if (options.force !== true) {
      await sandboxes.remove(name);
      return;
    }
    try {
      await killAndRemove(await sandboxes.get(name));
    } catch (error) {
      // What is left of a sandbox whose files are damaged or missing cannot be looked at, but it can be removed.
      if (!(error instanceof JsonError || error instanceof SandboxNotFoundError)) throw error;
      await sandboxes.remove(name);
    }
  },
});
