import { defineCommand, flag } from "../../grammar/command.ts";
import { latency } from "../../output/format.ts";
import { report } from "../../output/report.ts";
import { err, out } from "../../output/streams.ts";
import { labelOption, sandboxNames, select } from "../../selection.ts";

export const ping = defineCommand({
  name: "ping",
  summary: "Ask sandboxes for an answer and measure how long it takes",
  details: "An answer means that the machine runs and its agent works. It does not count as activity.",
  examples: ["msb ping demo", "msb ping --touch demo"],
  operands: [sandboxNames],
  options: {
    touch: flag({ description: "Count it as activity: the idle timeout starts anew" }),
    label: labelOption,
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands }) => {
    const names = await select(operands, options.label);
    const { Sandbox } = await import("../../../api/index.ts");
    let code = 0;
    for (const name of names) {
      try {
        const handle = await Sandbox.get(name);
        const { latencyMs } = await handle.ping();
        if (options.touch === true) await handle.touch();
        if (options.quiet !== true) out(`Reachable ${name} (${latency(latencyMs)})\n`);
      } catch (error) {
        err(report(error, process.stderr));
        code = 1;
      }
    }
    return code;
  },
});
