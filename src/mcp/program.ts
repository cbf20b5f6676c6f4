import { mcpSettings } from "./mcp-settings.ts";
import { makeServer } from "./serve/make-server.ts";
import { serveHttp } from "./serve/serve-http.ts";
import { serveOnStdio } from "./serve/serve-stdio.ts";
import { toolsOf } from "./tools/tool-list.ts";
import { Workbench } from "./workbench.ts";

export interface McpOptions {
  /** Version of this package, which clients are told. */
  readonly version: string;
  /** A port of 127.0.0.1 to serve HTTP at, 0 for a free one; null for stdio. */
  readonly http: number | null;
  /** Told what a person should know, a line each. Never printed on stdout, which is the protocol's. */
  readonly tell: (line: string) => void;
}

/** A server that runs. */
export interface McpRun {
  /** Resolves when the client has gone. */
  readonly ended: Promise<void>;
  /** Ends it, with all that ends with it. */
  close(): Promise<void>;
}

/**
 * Serves MCP until the client goes, or until it is closed.
 *
 * @throws InvalidConfigError for its environment; IoError for a port that is taken
 */
export async function runMcp({ version, http, tell }: McpOptions): Promise<McpRun> {
  const settings = mcpSettings();
  const tools = toolsOf(settings.tools);
  const bench = new Workbench(settings);
  const factory = (): ReturnType<typeof makeServer> => makeServer(bench, tools, version);
  const door = http === null ? serveOnStdio(factory, tell) : await serveHttp(factory, http, tell);
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> =>
    (closing ??= (async () => {
      await door.close();
      await bench[Symbol.asyncDispose]();
    })());
  return { ended: door.ended.then(close), close };
}
