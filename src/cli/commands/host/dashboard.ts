import { defineCommand, value } from "../../grammar/command.ts";
import { onInterruption, untilExit } from "../../output/interrupt.ts";
import { err, out } from "../../output/streams.ts";
import { wholeNumber } from "../../values/simple.ts";

export const dashboard = defineCommand({
  name: "dashboard",
  summary: "Serve a page that shows and steers sandboxes, on this computer",
  details:
    "Prints the page's address, and serves it on 127.0.0.1 until it is interrupted. The address has a token, another one each time: whoever has it can do everything that you can do with msb. What was created or started in the page goes on after it.",
  examples: ["msb dashboard", "msb dashboard --port 8420"],
  options: {
    port: value({
      placeholder: "PORT",
      description: "The port of 127.0.0.1 to listen on (any that is free)",
      parse: wholeNumber(0, 65_535),
    }),
  },
  run: async ({ options }) => {
    const { serveDashboard } = await import("../../../dashboard/dashboard.ts");
    const running = await serveDashboard(options.port ?? 0);
    using _interruption = onInterruption(async () => {
      await running[Symbol.asyncDispose]();
    });
    out(`${running.url}\n`);
    err("Open this address in a browser on this computer. Ctrl-C ends the dashboard.\n");
    return await untilExit();
  },
});
