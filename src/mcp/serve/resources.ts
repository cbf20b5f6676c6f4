import {
  ResourceNotFoundError,
  ResourceTemplate,
  type McpServer,
  type ReadResourceResult,
} from "@modelcontextprotocol/server";
import { json } from "../call/outcome.ts";
import { redacted } from "../call/redact.ts";
import { textAt } from "../state/kept-outputs.ts";
import type { Workbench } from "../workbench.ts";
import { listOf, type Listed } from "../tools/listings.ts";

const jsonType = "application/json";

const resources: readonly (readonly [name: Listed, description: string])[] = [
  ["runtime", "Whether sandboxes can run here, and what is missing."],
  ["sandboxes", "All sandboxes."],
  ["volumes", "All named volumes."],
  ["images", "The images that are stored here."],
  ["snapshots", "All snapshots."],
  ["schemas/sandbox-create", "JSON Schema of what sandbox_create takes."],
  ["policy", "What tools of this server may do: directories of the host, limits."],
];

/** What there is to read beside the tools. */
export function addResources(server: McpServer, bench: Workbench): void {
  for (const [name, description] of resources) {
    const uri = `microsandbox://${name}`;
    server.registerResource(
      name,
      uri,
      { description, mimeType: jsonType },
      async (_uri, { mcpReq: { signal } }) => {
        const text = bench.secrets.scrub(json(redacted(await listOf(name, bench, signal))));
        return { contents: [{ uri, mimeType: jsonType, text }] };
      },
    );
  }
  const template = new ResourceTemplate("microsandbox://outputs/{id}/{offset}", { list: undefined });
  const metadata = { description: "What was too long for a result, from a byte on.", mimeType: "text/plain" };
  server.registerResource("outputs", template, metadata, (uri, { id, offset }) =>
    readOutput(bench, uri.href, String(id), Number(offset)),
  );
}

function readOutput(bench: Workbench, uri: string, id: string, offset: number): ReadResourceResult {
  const output = bench.outputs.get(id);
  if (output === undefined || !Number.isSafeInteger(offset) || offset < 0)
    throw new ResourceNotFoundError(uri);
  const { text } = textAt(output.bytes, offset, bench.settings.maxOutputBytes);
  return { contents: [{ uri, mimeType: "text/plain", text: bench.secrets.scrub(text) }] };
}
