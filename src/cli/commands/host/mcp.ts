import { defineCommand, value } from "../../grammar/command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { err } from "../../output/streams.ts";
import { wholeNumber } from "../../values/simple.ts";
import { packageVersion } from "../../version.ts";

export const mcp = defineCommand({
  name: "mcp",
  summary: "Serve the Model Context Protocol, for agents that are to use sandboxes",
  details:
    "Speaks it on standard input and output, which is how Claude, Cursor and VS Code start it, until they close it: sandboxes that were not made to stay end then. With --http it is served at 127.0.0.1 instead, until Ctrl-C; what clients need for it, a random token too, is printed on stderr. The directories of this computer that it may use, and its limits, are in the environment: MICROSANDBOX_MCP_HOST_PATHS and others, which the documentation lists.",
  examples: ["msb mcp", "MICROSANDBOX_MCP_HOST_PATHS=$PWD msb mcp", "msb mcp --http 8931"],
  options: {
    http: value({
      placeholder: "PORT",
      description: "Serve HTTP at this port of 127.0.0.1, or at a free one (0), instead of stdio",
      parse: wholeNumber(0, 65_535),
    }),
  },
  run: async ({ options }) => {
    const { runMcp } = await import("../../../mcp/program.ts");
    const run = await runMcp({
      version: packageVersion(),
      http: options.http ?? null,
      tell: (line) => {
        err(`${line}\n`);
      },
    });
    using _closing = onInterruption(() => run.close());
    await run.ended;
    await run.close();
    return 0;
  },
});
