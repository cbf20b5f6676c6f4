import { defineCommand, flag, value } from "../../grammar/command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { filled } from "../../values/simple.ts";

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
    since: value({
      placeholder: "SNAPSHOT",
      description: "Of those only what came after this one",
      parse: filled("a snapshot"),
      completes: ["snapshot", ""],
    }),
    withImage: flag({ description: "With its image, for a computer that cannot fetch it" }),
    plainTar: flag({ description: "Not compressed" }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [snapshot = "", file = ""], logLevel }) => {
    const { quiet = false, withParents = false, since, withImage = false, plainTar = false } = options;
    const { Snapshot } = await import("../../../api/index.ts");
    const progress = new Progress({ quiet, logLevel });
    const abort = new AbortController();
    using _interruption = onInterruption(() => {
      abort.abort();
    });
    using _spinner = progress;
    await progress.start(`Saving ${snapshot}`);
    const { signal } = abort;
    await Snapshot.save(snapshot, file, {
      ...{ withParents, withImage, plainTar, signal },
      ...(since === undefined ? {} : { since }),
    });
    progress.done("Saved", file);
    return 0;
  },
});
