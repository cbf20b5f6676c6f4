import { defineCommand, flag } from "../../grammar/command.ts";
import { out } from "../../output/streams.ts";

export const checkpointCreate = defineCommand({
  name: "create",
  parent: "checkpoint",
  summary: "Note a moment of a running sandbox to go back to: its memory and its disk",
  details:
    "The sandbox goes on. Prints the checkpoint's name, which is made for it where none is given. msb rollback goes back.",
  examples: ["msb checkpoint create demo", "msb checkpoint create demo before-upgrade"],
  operands: [
    { name: "NAME", required: true, completes: "sandbox" },
    { name: "CHECKPOINT", required: false },
  ],
  options: {
    flush: flag({ description: "Write what is only in the guest's memory to its disk first" }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [name = "", checkpoint] }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    const handle = await Sandbox.get(name);
    const guestFlush = options.flush === true ? "required" : "auto";
    const { id } = await handle.checkpoint(checkpoint, { guestFlush });
    if (options.quiet !== true) out(`${id}\n`);
    return 0;
  },
});
