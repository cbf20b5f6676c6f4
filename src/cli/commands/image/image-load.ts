import { defineCommand, flag, value } from "../../grammar/command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { UsageError } from "../../output/usage-error.ts";
import { filled } from "../../values/simple.ts";

export const imageLoad = defineCommand({
  name: "load",
  parent: "image",
  summary: "Load images from an archive of docker save or of an OCI image layout",
  details:
    "The archive is a tar file, plain or compressed with gzip or zstd, or the directory of an OCI image layout. " +
    "It is read from stdin without --input.",
  examples: ["msb load -i app.tar", "docker save app | msb load", "msb load -i app.tar.gz -t my/app:1"],
  options: {
    input: value({
      short: "i",
      placeholder: "PATH",
      description: "The archive (stdin)",
      parse: filled("a file"),
    }),
    tag: value({
      short: "t",
      placeholder: "REFERENCE",
      description: "Name of the first image, instead of what the archive calls it",
      parse: filled("a reference"),
    }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, logLevel }) => {
    if (options.input === undefined && process.stdin.isTTY) {
      throw new UsageError("there is no archive to be loaded.", "Name one with --input, or pipe it in");
    }
    const { load } = await import("../../../api/images/msb-images.ts");
    const progress = new Progress({ quiet: options.quiet ?? false, logLevel });
    const abort = new AbortController();
    using _interruption = onInterruption(() => {
      abort.abort();
    });
    using _spinner = progress;
    await progress.start(`Loading ${options.input ?? "images"}`);
    const references = await load(options.input ?? process.stdin, options.tag, abort.signal);
    for (const reference of references) progress.done("Loaded", reference);
    return 0;
  },
});
