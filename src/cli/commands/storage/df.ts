import type { SandboxStorageUsage, StorageKind, StorageUsage } from "../../../api/index.ts";
import { defineCommand } from "../../grammar/command.ts";
import { bytes, json } from "../../output/format.ts";
import { out } from "../../output/streams.ts";
import { table } from "../../output/table.ts";
import { formatOption } from "../sandbox/list.ts";

const kindNames: Readonly<Record<StorageKind, string>> = {
  images: "images",
  templates: "templates",
  snapshots: "snapshots",
  volumes: "volumes",
  pools: "pools",
  sandboxes: "sandboxes",
  forkMemory: "fork memory",
  other: "other",
};

interface Measured extends SandboxStorageUsage {
  readonly name: string;
}

export const df = defineCommand({
  name: "df",
  summary: "Show what everything takes on the disk",
  details:
    "RECLAIMABLE is what msb prune would remove. ACTIVE are images that a sandbox or a snapshot needs, templates used in the last seven days, sandboxes that run, pools with one that is ready, volumes that a sandbox has, snapshots that one began with. With names: what these sandboxes take. OWN is free when they are removed, SHARED is not.",
  examples: ["msb df", "msb df --format json", "msb df demo"],
  operands: [{ name: "NAME", required: false, repeated: true, completes: "sandbox" }],
  options: { format: formatOption },
  run: async ({ options: { format }, operands: names }) => {
    if (names.length > 0) {
      const measured = await measure(names);
      if (format === "json") out(json(measured.map(sandboxJson)));
      else out(sandboxTable(measured));
      return 0;
    }
    const { Storage } = await import("../../../api/index.ts");
    const usage = await Storage.usage();
    if (format === "json") out(json(usageJson(usage)));
    else out(usageTable(usage));
    return 0;
  },
});

async function measure(names: readonly string[]): Promise<Measured[]> {
  const { Sandbox } = await import("../../../api/index.ts");
  const measured: Measured[] = [];
  for (const name of new Set(names))
    measured.push({ name, ...(await (await Sandbox.get(name)).storageUsage()) });
  return measured;
}

function usageTable({ kinds, totalBytes, reclaimableBytes }: StorageUsage): ReturnType<typeof table> {
  const number = (count: number | null): string => (count === null ? "-" : String(count));
  const rows = Object.entries(kinds).map(
    ([kind, { count, active, bytes: size, reclaimableBytes: freed }]) => [
      kindNames[kind as StorageKind],
      number(count),
      number(active),
      bytes(size),
      freed === null ? "unknown" : share(freed, size),
    ],
  );
  const total = ["total", "", "", bytes(totalBytes), share(reclaimableBytes, totalBytes)];
  return table(["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"], [...rows, total]);
}

/** `1.5 GiB (54%)`. */
function share(part: number, whole: number): string {
  return part === 0
    ? bytes(0)
    : `${bytes(part)} (${String(Math.round((100 * part) / Math.max(part, whole)))}%)`;
}

function usageJson({ path, kinds, totalBytes, reclaimableBytes }: StorageUsage): object {
  const kindJson = Object.entries(kinds).map(([kind, usage]) => [
    kind === "forkMemory" ? "fork_memory" : kind,
    {
      total: usage.count,
      active: usage.active,
      size_bytes: usage.bytes,
      reclaimable_bytes: usage.reclaimableBytes,
    },
  ]);
  const kindsByName = Object.fromEntries(kindJson) as object;
  return { path, kinds: kindsByName, total_bytes: totalBytes, reclaimable_bytes: reclaimableBytes };
}

function sandboxTable(sandboxes: readonly Measured[]): ReturnType<typeof table> {
  const rows = sandboxes.map(({ name, ownBytes, sharedBytes, parts }) => [
    name,
    bytes(ownBytes),
    bytes(sharedBytes),
    ...[parts.disk, parts.memory, parts.checkpoints, parts.logs, parts.other].map((part) =>
      bytes(part.ownBytes + part.sharedBytes),
    ),
  ]);
  return table(["NAME", "OWN", "SHARED", "DISK", "MEMORY", "CHECKPOINTS", "LOGS", "OTHER"], rows);
}

function sandboxJson({ name, ownBytes, sharedBytes, parts }: Measured): object {
  const partJson = Object.entries(parts).map(([part, usage]) => [
    part,
    { own_bytes: usage.ownBytes, shared_bytes: usage.sharedBytes },
  ]);
  return {
    name,
    own_bytes: ownBytes,
    shared_bytes: sharedBytes,
    parts: Object.fromEntries(partJson) as object,
  };
}
