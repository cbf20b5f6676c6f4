import { MicrosandboxError } from "../../../errors/index.ts";
import { askForVariables } from "../../ask-secrets.ts";
import { configure, creationOptions, generatedName } from "../../create-options.ts";
import { defineCommand, value } from "../../grammar/command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { UsageError } from "../../output/usage-error.ts";
import { filled } from "../../values/simple.ts";
import { parseSizeMib } from "../../values/size.ts";

const { name: _name, replace, replaceWithTimeout: _timeout, ...options } = creationOptions;

export const poolCreate = defineCommand({
  name: "create",
  parent: "pool",
  summary: "Keep sandboxes ready that are started ahead, for msb run --pool",
  details:
    "All of them are copies of one sandbox that is started once, and warmed with --warm; they stand still, and take no processor time, until they are taken. A pool that exists already stays, where it was made in the same way.",
  examples: [
    "msb pool create workers --size 4",
    "msb pool create py --image python:3.12 --size 2 --warm 'python3 -c pass'",
    "msb run --pool py -- python3 -c 'print(1)'",
  ],
  operands: [{ name: "NAME", required: true }],
  options: {
    image: value({
      placeholder: "IMAGE",
      description: "What their root is made from (localhost/base)",
      completes: ["image", ""],
      parse: filled("an image"),
    }),
    size: value({ placeholder: "N", description: "So many are kept ready (1)", parse: wholeNumber }),
    warm: value({
      placeholder: "SCRIPT",
      description: "What the shell does before they are copied",
      parse: filled("a script"),
    }),
    maxMemory: value({
      placeholder: "SIZE",
      description: "What those that are ready may have as memory, all together",
      parse: parseSizeMib,
    }),
    ...options,
  },
  run: async ({ options: given, operands, logLevel }) => {
    const [name = ""] = operands;
    const { Sandbox } = await import("../../../api/index.ts");
    const progress = new Progress({ quiet: given.quiet ?? false, logLevel });
    const creation = { ...given, name: undefined, replace: undefined, replaceWithTimeout: undefined };
    const builder = configure(Sandbox.builder(generatedName()), given.image, creation, logLevel, progress);
    await askForVariables(builder.build());
    const interruption = new AbortController();
    using _interruption = onInterruption(() => {
      interruption.abort(new Error("it was interrupted"));
    });
    await progress.start(`Creating ${name}`);
    try {
      const { onNotice, onPullProgress } = progress.observer;
      await Sandbox.pool({
        ...{ name, config: builder, size: given.size ?? 1, warm: given.warm, maxMemory: given.maxMemory },
        ...{ onNotice, onPullProgress, signal: interruption.signal },
      });
    } catch (error) {
      if (error instanceof MicrosandboxError) progress.failed("Created", name);
      else progress.clear();
      throw error;
    }
    progress.done("Created", name);
    return 0;
  },
});

function wholeNumber(text: string): number {
  if (/^[1-9][0-9]{0,3}$/.test(text)) return Number(text);
  throw new UsageError(`"${text}" is no number of sandboxes.`, "Give a whole number, such as --size 2");
}
