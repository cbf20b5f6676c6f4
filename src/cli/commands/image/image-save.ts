import { defineCommand, flag, value } from "../../grammar/command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { UsageError } from "../../output/usage-error.ts";
import { filled, oneOf } from "../../values/simple.ts";

const formats = ["docker", "oci"] as const;

export const imageSave = defineCommand({
  name: "save",
  parent: "image",
  summary: "Write stored images into one archive",
  details: "The archive goes to stdout without --output. docker, podman and skopeo read it, and msb load.",
  examples: ["msb save alpine -o alpine.tar", "msb save app | docker load"],
  operands: [{ name: "REFERENCE", required: true, repeated: true, completes: "image" }],
  options: {
    format: value({
      placeholder: "FORMAT",
      description: `Kind of the archive: ${formats.join(", ")} (docker)`,
      parse: oneOf(formats),
      choices: formats,
    }),
    output: value({
      short: "o",
      placeholder: "FILE",
      description: "The archive (stdout)",
      parse: filled("a file"),
    }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands, logLevel }) => {
    if (options.output === undefined && process.stdout.isTTY) {
      throw new UsageError(
        "an archive is nothing for a terminal.",
        "Name a file with --output, or send stdout to one",
      );
    }
    const { save } = await import("../../../api/images/msb-images.ts");
    const progress = new Progress({ quiet: options.quiet ?? false, logLevel });
    const abort = new AbortController();
    using _interruption = onInterruption(() => {
      abort.abort();
    });
    using _spinner = progress;
    await progress.start(`Saving ${operands.join(" ")}`);
    await save(operands, options.output ?? process.stdout, options.format ?? "docker", abort.signal);
    if (options.output !== undefined) progress.done("Saved", options.output);
    return 0;
  },
});
