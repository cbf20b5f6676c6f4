import type { McpServer } from "@modelcontextprotocol/server";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";

/** A way in that is open. */
export interface Door {
  /** Resolves when whoever came in has gone. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

/** One client at standard input and output, of either era of the protocol. */
export function serveOnStdio(factory: () => McpServer, tell: (line: string) => void): Door {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  // Whatever else would print there, the protocol is the only one who does.
  console.log = console.info = console.debug = console.error;
  const transport = new StdioServerTransport();
  const handle = serveStdio(factory, {
    transport,
    onerror: (error) => {
      tell(`mcp: ${error.message}`);
    },
  });
  // Set by serveStdio itself; both want to know.
  const closed = transport.onclose;
  transport.onclose = () => {
    closed?.();
    resolve();
  };
  return { ended, close: () => handle.close() };
}
