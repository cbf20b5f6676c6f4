import {
  McpServer,
  type CallToolResult,
  type ServerContext,
  type StandardSchemaWithJSON,
} from "@modelcontextprotocol/server";
import { resultOfFailure, resultOfOutcome } from "../call/outcome.ts";
import { failureOf } from "../call/tool-failure.ts";
import type { Effect, Tool } from "../call/tool.ts";
import { addResources } from "./resources.ts";
import type { Workbench } from "../workbench.ts";

const instructions =
  "Runs code in sandboxes: virtual machines of their own, from container images, on the user's computer. " +
  "sandbox_run is for one command; sandbox_create, sandbox_exec and sandbox_shell for several. " +
  "Every result is JSON: ok with data, or an error with code, message and hint. Sandboxes that are not detached end with this connection.";

const annotations: Readonly<Record<Effect, object>> = {
  reads: { readOnlyHint: true },
  changes: { destructiveHint: false },
  destroys: { destructiveHint: true },
};

/** A server for one connection; what lasts longer is the workbench's. */
export function makeServer(bench: Workbench, tools: readonly Tool[], version: string): McpServer {
  const server = new McpServer({ name: "microsandbox", title: "microsandbox", version }, { instructions });
  const names = tools.map(({ name }) => name);
  for (const tool of tools) {
    const { name, description, effect } = tool;
    const config = { description, annotations: annotations[effect], inputSchema: schemaOf(tool, names) };
    server.registerTool(name, config, async (input, context) => await called(bench, tool, input, context));
  }
  addResources(server, bench);
  return server;
}

async function called(
  bench: Workbench,
  tool: Tool,
  input: unknown,
  context: ServerContext,
): Promise<CallToolResult> {
  const { signal } = context.mcpReq;
  // A sandbox goes on telling what happens to it after the call that has made it.
  const over = new AbortController();
  const progress = progressOf(context, over.signal);
  try {
    return resultOfOutcome(await tool.run(input, { bench, signal, progress }), bench.secrets);
  } catch (error) {
    return resultOfFailure(failureOf(error, signal.aborted), bench.secrets);
  } finally {
    over.abort();
  }
}

/** ms between two notes, but for the first one. */
const noteMs = 100;

function progressOf({ mcpReq }: ServerContext, over: AbortSignal): (message: string) => void {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return () => undefined;
  let progress = 0;
  let last = -Infinity;
  return (message) => {
    const now = performance.now();
    if (over.aborted || now - last < noteMs) return;
    last = now;
    progress += 1;
    mcpReq
      .notify({ method: "notifications/progress", params: { progressToken, progress, message } })
      // Nobody listens any more.
      .catch(() => undefined);
  };
}

/** The tool's schema for whoever lists it. The tool checks its input itself, and refuses it in the form of all failures. */
function schemaOf(tool: Tool, names: readonly string[]): StandardSchemaWithJSON {
  const schema = (): Record<string, unknown> => tool.inputSchema(names);
  return {
    "~standard": {
      version: 1,
      vendor: "microsandbox",
      validate: (value) => ({ value }),
      jsonSchema: { input: schema, output: schema },
    },
  };
}
