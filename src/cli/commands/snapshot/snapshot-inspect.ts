import type { SnapshotMemory } from "../../../api/index.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { fieldLines, json, tableTime } from "../../output/format.ts";
import { out } from "../../output/streams.ts";
import { formatOption } from "../sandbox/list.ts";
import { sizeText, snapshotJson } from "./snapshot-list.ts";

export const snapshotInspect = defineCommand({
  name: "inspect",
  parent: "snapshot",
  summary: "Show everything known about a snapshot",
  details:
    "SNAPSHOT is a name, a path with a slash, a digest, an id, GROUP:NAME, or a group: the newest of it then.",
  examples: ["msb snapshot inspect ready", "msb snapshot inspect ./ready --verify --format json"],
  operands: [{ name: "SNAPSHOT", required: true, completes: "snapshot" }],
  options: {
    format: formatOption,
    verify: flag({ description: "Read the disk too, and compare its digest" }),
  },
  run: async ({ options, operands: [reference = ""] }) => {
    const { Snapshot } = await import("../../../api/index.ts");
    const handle = await Snapshot.get(reference);
    const snapshot = await handle.open();
    const report = options.verify === true ? await snapshot.verify() : null;
    const { state, memory, labels, sourceSandbox, imageManifestDigest } = snapshot;
    const integrity = state.kind === "file" ? state.upper.integrity : null;
    if (options.format === "json") {
      out(
        json({
          ...snapshotJson(handle),
          image_manifest_digest: imageManifestDigest === "" ? null : imageManifestDigest,
          source_sandbox: sourceSandbox,
          labels: Object.fromEntries(labels),
          integrity,
          memory:
            memory === null
              ? null
              : {
                  size_bytes: Number(memory.sizeBytes),
                  cpus: memory.cpus,
                  qemu_version: memory.qemuVersion,
                  accelerator: memory.accelerator,
                  kernel_release: memory.kernelRelease,
                  processor: memory.processor,
                  secrets: memory.secrets,
                },
          ...(report === null ? {} : { verified: report.upper.kind === "verified" }),
        }),
      );
      return 0;
    }
    const verified = report?.upper.kind === "verified" ? ", verified" : "";
    out(
      fieldLines([
        ["Name", handle.name ?? "-"],
        ["Digest", snapshot.digest],
        ["Path", snapshot.path],
        ["Image", snapshot.imageRef],
        ["Image digest", imageManifestDigest === "" ? "-" : imageManifestDigest],
        ["Sandbox", sourceSandbox ?? "-"],
        ["Group", snapshot.group ?? "-"],
        ["Parent", snapshot.parent ?? "-"],
        ["Scope", snapshot.scope],
        ["Disk", `${sizeText(snapshot.sizeBytes)}, ${snapshot.format}, ${snapshot.fstype}`],
        ...memoryLines(memory),
        [
          "Integrity",
          integrity === null ? "not recorded" : `${integrity.algorithm} ${integrity.digest}${verified}`,
        ],
        ["Labels", labels.map(([key, text]) => (text === "" ? key : `${key}=${text}`))],
        ["Created", tableTime(handle.createdAt)],
      ]),
    );
    return 0;
  },
});

function memoryLines(memory: SnapshotMemory | null): [string, string | string[]][] {
  if (memory === null) return [];
  const { sizeBytes, cpus, qemuVersion, accelerator, kernelRelease, processor, secrets } = memory;
  const on = processor === null ? accelerator : `${accelerator} on ${processor}`;
  return [
    ["Memory", `${sizeText(sizeBytes)}, ${cpus} ${cpus === 1 ? "CPU" : "CPUs"}`],
    ["Goes on with", `QEMU ${qemuVersion}, ${on}; kernel ${kernelRelease}`],
    ...(secrets.length === 0 ? [] : [["Secrets", [...secrets]] satisfies [string, string[]]]),
  ];
}
