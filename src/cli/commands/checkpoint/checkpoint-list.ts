import { defineCommand, flag } from "../../grammar/command.ts";
import { bytes, json, jsonTime, tableTime } from "../../output/format.ts";
import { err, out } from "../../output/streams.ts";
import { table } from "../../output/table.ts";
import { formatOption } from "../sandbox/list.ts";

export const checkpointList = defineCommand({
  name: "list",
  parent: "checkpoint",
  aliases: ["ls"],
  summary: "List the checkpoints of a sandbox, oldest first, and what they take on the disk",
  examples: ["msb checkpoint ls demo", "msb checkpoint ls -q demo", "msb checkpoint ls --format json demo"],
  operands: [{ name: "NAME", required: true, completes: "sandbox" }],
  options: {
    format: formatOption,
    quiet: flag({ short: "q", description: "Print only names, one a line", conflicts: ["format"] }),
  },
  run: async ({ options, operands: [name = ""] }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    const checkpoints = await (await Sandbox.get(name)).checkpoints();
    if (options.format === "json") {
      const items = checkpoints.map(({ id, createdAt, memoryBytes, diskBytes }) => ({
        id,
        created_at: jsonTime(createdAt),
        memory_bytes: memoryBytes,
        disk_bytes: diskBytes,
      }));
      out(json(items));
    } else if (options.quiet === true) out(checkpoints.map(({ id }) => `${id}\n`).join(""));
    else if (checkpoints.length === 0) err(`Sandbox ${name} has no checkpoints.\n`);
    else {
      const rows = checkpoints.map(({ id, createdAt, memoryBytes, diskBytes }) => [
        id,
        bytes(memoryBytes),
        bytes(diskBytes),
        tableTime(createdAt),
      ]);
      out(table(["CHECKPOINT", "MEMORY", "DISK", "CREATED"], rows));
    }
    return 0;
  },
});
