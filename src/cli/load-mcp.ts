import type { McpOptions, McpRun } from "../mcp/program.ts";

/** In a file of its own, beside which the bundle of the server is found. */
export async function loadMcp(options: McpOptions): Promise<McpRun> {
  const { runMcp } = await import("../mcp/program.ts");
  return await runMcp(options);
}
