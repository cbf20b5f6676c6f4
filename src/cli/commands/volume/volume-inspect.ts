import { defineCommand } from "../../grammar/command.ts";
import { bytes, fieldLines, json, tableTime } from "../../output/format.ts";
import { out } from "../../output/streams.ts";
import { formatOption } from "../sandbox/list.ts";
import { limitOf, volumeJson } from "./volume-list.ts";

export const volumeInspect = defineCommand({
  name: "inspect",
  parent: "volume",
  summary: "Show everything known about a volume",
  examples: ["msb volume inspect cache", "msb volume inspect cache --format json"],
  operands: [{ name: "NAME", required: true, completes: "volume" }],
  options: { format: formatOption },
  run: async ({ options, operands: [name = ""] }) => {
    const { Volume } = await import("../../../api/index.ts");
    const volume = await Volume.get(name);
    if (options.format === "json") {
      out(json({ ...volumeJson(volume), path: volume.path }));
      return 0;
    }
    out(
      fieldLines([
        ["Name", volume.name],
        ["Kind", volume.kind === "disk" ? "disk, raw, ext4" : volume.kind],
        ["Path", volume.path],
        ["Size", bytes(volume.usedBytes)],
        ["Limit", limitOf(volume)],
        ["Labels", volume.labels.map(([key, text]) => (text === "" ? key : `${key}=${text}`))],
        ["Created", tableTime(volume.createdAt)],
      ]),
    );
    return 0;
  },
});
