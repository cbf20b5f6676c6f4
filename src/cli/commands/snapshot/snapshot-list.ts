import type { SnapshotHandle } from "../../../api/index.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { bytes, json, jsonTime, tableTime } from "../../output/format.ts";
import { err, out } from "../../output/streams.ts";
import { table } from "../../output/table.ts";
import { formatOption } from "../sandbox/list.ts";

export const snapshotList = defineCommand({
  name: "list",
  parent: "snapshot",
  aliases: ["ls"],
  summary: "List the snapshots, newest first",
  examples: ["msb snapshot ls", "msb snapshot ls -q", "msb snapshot ls --format json"],
  options: {
    format: formatOption,
    quiet: flag({ short: "q", description: "Print only names, one a line", conflicts: ["format"] }),
  },
  run: async ({ options }) => {
    const { Snapshot } = await import("../../../api/index.ts");
    const snapshots = await Snapshot.list();
    if (options.format === "json") out(json(snapshots.map(snapshotJson)));
    else if (snapshots.length === 0) err("No snapshots indexed.\n");
    else if (options.quiet === true) out(snapshots.map(({ name, path }) => `${name ?? path}\n`).join(""));
    else {
      const rows = snapshots.map(({ name, path, digest, scope, imageRef, sizeBytes, createdAt }) => [
        name ?? path,
        shortDigest(digest),
        scope,
        imageRef,
        sizeText(sizeBytes),
        tableTime(createdAt),
      ]);
      out(table(["NAME", "DIGEST", "SCOPE", "IMAGE", "SIZE", "CREATED"], rows));
    }
    return 0;
  },
});

/** Of a disk. */
export function sizeText(sizeBytes: bigint | null): string {
  return sizeBytes === null ? "-" : bytes(Number(sizeBytes));
}

function shortDigest(digest: string): string {
  return digest.slice(0, "sha256:".length + 12);
}

/** A snapshot as JSON output has it. */
export function snapshotJson(snapshot: SnapshotHandle): Record<string, unknown> {
  return {
    name: snapshot.name,
    digest: snapshot.digest,
    group: snapshot.group,
    parent: snapshot.parentDigest,
    image: snapshot.imageRef,
    scope: snapshot.scope,
    format: snapshot.format,
    fstype: snapshot.fstype,
    size_bytes: snapshot.sizeBytes === null ? null : Number(snapshot.sizeBytes),
    created_at: jsonTime(snapshot.createdAt),
    path: snapshot.path,
  };
}
