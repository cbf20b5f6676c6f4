import { askedSecrets } from "../../ask-secrets.ts";
import { forEachName } from "../../bulk.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { isTerminal } from "../../../config/enums.ts";
import { CheckpointNotFoundError } from "../../../errors/index.ts";

export const rollback = defineCommand({
  name: "rollback",
  summary: "Have a sandbox go back to a checkpoint, memory and disk together",
  details:
    "To the newest one, where none is named. What the sandbox has done since is lost; what ran then runs again. One that does not run is started.",
  examples: ["msb rollback demo", "msb rollback demo before-upgrade"],
  operands: [
    { name: "NAME", required: true, completes: "sandbox" },
    { name: "CHECKPOINT", required: false },
  ],
  options: {
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [name = "", checkpoint], logLevel }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    return await forEachName([name], {
      ...{ quiet: options.quiet ?? false, logLevel, doing: "Rolling back", done: "Rolled back" },
      act: async (_name, progress) => {
        const handle = await Sandbox.get(name);
        const to = checkpoint ?? (await handle.checkpoints()).at(-1)?.id;
        if (to === undefined)
          throw new CheckpointNotFoundError(`sandbox ${name} has no checkpoints`, {
            hint: `Make one while it runs: msb checkpoint create ${name}`,
          });
        const secrets = isTerminal(handle.status) ? await askedSecrets(handle, progress) : undefined;
        await handle.rollback(to, secrets === undefined ? {} : { secrets });
      },
    });
  },
});
