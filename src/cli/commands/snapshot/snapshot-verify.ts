import { forEachName } from "../../bulk.ts";
import { defineCommand, flag } from "../../grammar/command.ts";

export const snapshotVerify = defineCommand({
  name: "verify",
  parent: "snapshot",
  summary: "Read the disks of snapshots, and compare them with what was recorded",
  details:
    "A snapshot has a digest of its disk when it was made with --integrity: without one there is nothing to compare.",
  examples: ["msb snapshot verify ready"],
  operands: [{ name: "SNAPSHOT", required: true, repeated: true, completes: "snapshot" }],
  options: { quiet: flag({ short: "q", description: "Print nothing but errors" }) },
  run: async ({ options, operands, logLevel }) => {
    const { Snapshot } = await import("../../../api/index.ts");
    return forEachName([...new Set(operands)], {
      quiet: options.quiet ?? false,
      logLevel,
      doing: "Verifying",
      done: "Verified",
      act: async (reference, progress) => {
        const { upper } = await (await Snapshot.open(reference)).verify();
        if (upper.kind !== "notRecorded") return undefined;
        progress.observer.onNotice(`${reference} has no digest of its disk: only its size was looked at`);
        return "Not verified";
      },
    });
  },
});
