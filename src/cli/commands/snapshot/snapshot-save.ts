import { defineCommand, flag } from "../../grammar/command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";

export const snapshotSave = defineCommand({
  name: "save",
  parent: "snapshot",
  summary: "Write a snapshot to one file",
  examples: ["msb snapshot save ready ready.tar.zst", "msb snapshot save ready ready.tar.zst --with-image"],
  operands: [
    { name: "SNAPSHOT", required: true, completes: "snapshot" },
    { name: "FILE", required: true },
  ],
  options: {
    withParents: flag({ description: "With the snapshots that it goes back to" }),
    withImage: flag({ description: "With its image, for a computer that cannot fetch it" }),
    plainTar: flag({ description: "Not compressed" }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [snapshot = "", file = ""], logLevel }) => {
    const { quiet = false, withParents = false, withImage = false, plainTar = false } = options;
    const { Snapshot } = await import("../../../api/index.ts");
    const progress = new Progress({ quiet, logLevel });
    const abort = new AbortController();
    using _interruption = onInterruption(() => {
      abort.abort();
    });
    using _spinner = progress;
    await progress.start(`Saving ${snapshot}`);
    await Snapshot.save(snapshot, file, { withParents, withImage, plainTar, signal: abort.signal });
    progress.done("Saved", file);
    return 0;
  },
});
