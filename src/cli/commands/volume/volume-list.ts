import type { VolumeHandle } from "../../../api/index.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { bytes, json, jsonTime, tableTime } from "../../output/format.ts";
import { err, out } from "../../output/streams.ts";
import { table } from "../../output/table.ts";
import { formatOption } from "../sandbox/list.ts";

export const volumeList = defineCommand({
  name: "list",
  parent: "volume",
  aliases: ["ls"],
  summary: "List the named volumes",
  examples: ["msb volume ls", "msb volume ls -q", "msb volume ls --format json"],
  options: {
    format: formatOption,
    quiet: flag({ short: "q", description: "Print only names, one a line", conflicts: ["format"] }),
  },
  run: async ({ options }) => {
    if (options.quiet === true) {
      // Nothing is measured for it.
      const names = await (await import("../../../api/volumes/volume-names.ts")).volumeNames();
      if (names.length === 0) err("No volumes found.\n");
      out(names.map((name) => `${name}\n`).join(""));
      return 0;
    }
    const { Volume } = await import("../../../api/index.ts");
    const volumes = await Volume.list();
    if (options.format === "json") {
      out(json(volumes.map(volumeJson)));
    } else if (volumes.length === 0) {
      err("No volumes found.\n");
    } else {
      const rows = volumes.map((volume) => [
        volume.name,
        volume.kind,
        bytes(volume.usedBytes),
        tableTime(volume.createdAt),
      ]);
      out(table(["NAME", "KIND", "SIZE", "CREATED"], rows));
    }
    return 0;
  },
});

/** What fits in it: a disk's size, a directory's quota. */
export function limitOf({ capacityBytes, quotaMib }: VolumeHandle): string {
  if (capacityBytes !== null) return bytes(capacityBytes);
  return quotaMib === null ? "-" : bytes(quotaMib * 1024 * 1024);
}

/** A volume as JSON output has it. */
export function volumeJson(volume: VolumeHandle): Record<string, unknown> {
  return {
    name: volume.name,
    kind: volume.kind,
    quota_mib: volume.quotaMib,
    used_bytes: volume.usedBytes,
    capacity_bytes: volume.capacityBytes,
    disk_format: volume.diskFormat,
    disk_fstype: volume.diskFstype,
    labels: Object.fromEntries(volume.labels),
    created_at: jsonTime(volume.createdAt),
  };
}
