import type { StoredTemplate } from "../../../api/setup/msb-templates.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { bytes, json, jsonTime, tableTime } from "../../output/format.ts";
import { err, out } from "../../output/streams.ts";
import { table } from "../../output/table.ts";
import { formatOption } from "../sandbox/list.ts";

export const templateList = defineCommand({
  name: "list",
  parent: "template",
  aliases: ["ls"],
  summary: "List the templates that sandboxes start from, the one used last first",
  examples: ["msb template ls", "msb template ls --format json"],
  options: {
    format: formatOption,
    quiet: flag({ short: "q", description: "Print only keys, one a line", conflicts: ["format"] }),
  },
  run: async ({ options }) => {
    const { list } = await import("../../../api/setup/msb-templates.ts");
    const templates = await list();
    if (options.format === "json") {
      out(json(templates.map(templateJson)));
    } else if (templates.length === 0) {
      err("No templates found.\n");
    } else if (options.quiet === true) {
      out(templates.map(({ key }) => `${key}\n`).join(""));
    } else {
      const rows = templates.map(({ key, status, sizeBytes, lastUsedAt, shape }) => [
        key.slice(0, 12),
        status,
        shape?.kind ?? "-",
        shape?.image ?? "-",
        shape === null ? "-" : String(shape.cpus),
        shape === null ? "-" : `${String(shape.memoryMib)} MiB`,
        bytes(sizeBytes),
        tableTime(lastUsedAt),
      ]);
      out(table(["KEY", "STATUS", "KIND", "IMAGE", "CPUS", "MEMORY", "SIZE", "LAST USED"], rows));
    }
    return 0;
  },
});

/** A template as JSON output has it. */
export function templateJson({
  key,
  status,
  reason,
  sizeBytes,
  lastUsedAt,
  shape,
}: StoredTemplate): Record<string, unknown> {
  return {
    key,
    status,
    reason: reason === "" ? null : reason,
    kind: shape?.kind ?? null,
    image: shape?.image ?? null,
    root_disk: shape?.rootDisk ?? null,
    cpus: shape?.cpus ?? null,
    memory_mib: shape?.memoryMib ?? null,
    accelerator: shape?.accelerator ?? null,
    qemu_version: shape?.qemuVersion ?? null,
    kernel: shape?.kernel ?? null,
    agent_version: shape?.agentVersion ?? null,
    size_bytes: sizeBytes,
    created_at: jsonTime(shape?.createdAt ?? null),
    last_used_at: jsonTime(lastUsedAt),
  };
}
