import type { StoredTemplate } from "../../../api/setup/msb-templates.ts";
import { defineCommand } from "../../grammar/command.ts";
import { bytes, fieldLines, json, tableTime } from "../../output/format.ts";
import { out } from "../../output/streams.ts";
import type { Styled } from "../../output/style.ts";
import { formatOption } from "../sandbox/list.ts";
import { templateJson } from "./template-list.ts";

export const templateInspect = defineCommand({
  name: "inspect",
  parent: "template",
  summary: "Show everything known about a template",
  examples: ["msb template inspect 3f9a", "msb template inspect 3f9a --format json"],
  operands: [{ name: "KEY", required: true, completes: "template" }],
  options: { format: formatOption },
  run: async ({ options, operands: [start = ""] }) => {
    const { find } = await import("../../../api/setup/msb-templates.ts");
    const template = await find(start);
    out(options.format === "json" ? json(templateJson(template)) : toText(template));
    return 0;
  },
});

function toText({ key, status, reason, sizeBytes, lastUsedAt, shape }: StoredTemplate): Styled {
  return fieldLines([
    ["Key", key],
    ["Status", reason === "" ? status : `${status}: ${reason}`],
    ["Kind", shape?.kind ?? "-"],
    ["Image", shape?.image ?? "-"],
    ["Root disk", shape?.rootDisk ?? "-"],
    ["CPUs", shape === null ? "-" : String(shape.cpus)],
    ["Memory", shape === null ? "-" : `${String(shape.memoryMib)} MiB`],
    ["Accelerator", shape?.accelerator ?? "-"],
    ["QEMU", shape?.qemuVersion ?? "-"],
    ["Kernel", shape?.kernel ?? "-"],
    ["Agent", shape?.agentVersion ?? "-"],
    ["Size", bytes(sizeBytes)],
    ["Created", tableTime(shape?.createdAt ?? null)],
    ["Last used", tableTime(lastUsedAt)],
  ]);
}
