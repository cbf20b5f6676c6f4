import { defineCommand, flag } from "../../grammar/command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { out } from "../../output/streams.ts";

export const snapshotLoad = defineCommand({
  name: "load",
  parent: "snapshot",
  summary: "Take a snapshot in from a file of msb snapshot save, and print its digest and path",
  details:
    "DIR is where its directory is made, by its name: that of the snapshots in MSB_HOME when it is not given. Nothing is replaced.",
  examples: ["msb snapshot load ready.tar.zst", "msb snapshot load ready.tar.zst /mnt/snapshots"],
  operands: [
    { name: "FILE", required: true },
    { name: "DIR", required: false },
  ],
  options: { quiet: flag({ short: "q", description: "Print nothing but errors" }) },
  run: async ({ options, operands: [file = "", directory], logLevel }) => {
    const { Snapshot } = await import("../../../api/index.ts");
    const progress = new Progress({ quiet: options.quiet ?? false, logLevel });
    const abort = new AbortController();
    using _interruption = onInterruption(() => {
      abort.abort();
    });
    using _spinner = progress;
    await progress.start(`Loading ${file}`);
    const { digest, path } = await Snapshot.load(file, directory, { signal: abort.signal });
    progress.done("Loaded", file);
    if (options.quiet !== true) out(`${digest}\n${path}\n`);
    return 0;
  },
});
