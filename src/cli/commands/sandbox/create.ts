import { MicrosandboxError } from "../../../errors/index.ts";
import { defineCommand } from "../../grammar/command.ts";
import { configure, creationOptions, generatedName, imageDetails } from "../../create-options.ts";
import { askForVariables } from "../../ask-secrets.ts";
import { discard } from "../../remove-ended.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { out } from "../../output/streams.ts";

export const create = defineCommand({
  name: "create",
  summary: "Create a sandbox and leave it running",
  details: `${imageDetails} The name is printed when it was generated.`,
  examples: ["msb create -n demo", "msb create -n demo -c 2 -m 1G -e TOKEN", "msb exec demo -- uname -a"],
  operands: [{ name: "IMAGE", required: false }],
  options: creationOptions,
  run: async ({ options, operands, logLevel }) => {
    const name = options.name ?? generatedName();
    const { Sandbox } = await import("../../../api/index.ts");
    const progress = new Progress({ quiet: options.quiet ?? false, logLevel });
    const builder = configure(Sandbox.builder(name), operands[0], options, logLevel, progress);
    await askForVariables(builder.build());
    await progress.start(`Creating ${name}`);
    // An interrupted creation leaves nothing behind. Before its first stage, a sandbox of this name is another one.
    using _interruption = onInterruption(() => (progress.sawStage ? discard(name) : undefined));
    try {
      await builder.createDetached();
    } catch (error) {
      if (error instanceof MicrosandboxError) progress.failed("Created", name);
      else progress.clear();
      throw error;
    }
    progress.done("Created", name);
    if (options.name === undefined) out(`${name}\n`);
    return 0;
  },
});
