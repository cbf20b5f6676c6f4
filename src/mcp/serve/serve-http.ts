import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  createMcpHandler,
  hostHeaderValidationResponse,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  originValidationResponse,
  type McpServer,
} from "@modelcontextprotocol/server";
import { InvalidConfigError } from "../../errors/index.ts";
import { ioError } from "../../host/system-error.ts";
import type { Door } from "./serve-stdio.ts";

const path = "/mcp";
const leastToken = 16;

/**
 * Streamable HTTP at 127.0.0.1. Whoever calls has to know the token, and pages of other origins are refused, by whatever name they
 * have found this computer.
 *
 * @throws IoError when the port is taken; InvalidConfigError for a token of the environment that is too short
 */
export async function serveHttp(
  factory: () => McpServer,
  port: number,
  tell: (line: string) => void,
): Promise<Door> {
  const token = tokenOf(process.env["MICROSANDBOX_MCP_TOKEN"]);
  const handler = createMcpHandler(factory, {
    onerror: (error) => {
      tell(`mcp: ${error.message}`);
    },
  });
  const server = createServer((request, response) => {
    void answer(request, response, token, (asked) => handler.fetch(asked)).catch(() => {
      response.destroy();
    });
  });
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  await new Promise<void>((listening, failed) => {
    server.once("error", failed);
    server.listen(port, "127.0.0.1", listening);
  }).catch((error: unknown) => {
    throw ioError(`listen at 127.0.0.1:${port}`, error);
  });
  const address = server.address() as AddressInfo;
  tell(`MCP at http://127.0.0.1:${address.port}${path}`);
  tell(`Authorization: Bearer ${token}`);
  return {
    ended,
    close: async () => {
      await handler.close();
      server.close();
      server.closeAllConnections();
      resolve();
    },
  };
}

function tokenOf(said: string | undefined): string {
  if (said === undefined || said === "") return randomBytes(32).toString("base64url");
  if (/^[\x21-\x7e]+$/.test(said) && said.length >= leastToken) return said;
  throw new InvalidConfigError("MICROSANDBOX_MCP_TOKEN is no token", {
    hint: `Use at least ${leastToken} characters without blanks, or leave it out for a random one.`,
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  token: string,
  handle: (request: Request) => Promise<Response>,
): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => {
    if (!response.writableFinished) gone.abort();
  });
  const asked = webRequest(request, gone.signal);
  const refusal =
    hostHeaderValidationResponse(asked, localhostAllowedHostnames()) ??
    originValidationResponse(asked, localhostAllowedOrigins()) ??
    refusalOf(asked, token);
  const { status, headers, body } = refusal ?? (await handle(asked));
  response.writeHead(status, Object.fromEntries(headers));
  if (body === null) response.end();
  else await pipeline(Readable.fromWeb(body as never), response);
}

function refusalOf(request: Request, token: string): Response | undefined {
  const given = /^Bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
  // Digests are as long as one another, whatever was given.
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  if (!timingSafeEqual(digest(given), digest(token)))
    return new Response("a token is needed\n", { status: 401, headers: { "www-authenticate": "Bearer" } });
  return new URL(request.url).pathname === path ? undefined : new Response("not found\n", { status: 404 });
}

function webRequest(request: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2)
    headers.append(request.rawHeaders[at] ?? "", request.rawHeaders[at + 1] ?? "");
  const { method = "GET" } = request;
  const hasBody = method !== "GET" && method !== "HEAD";
  return new Request(new URL(request.url ?? "/", "http://127.0.0.1"), {
    method,
    headers,
    signal,
    ...(hasBody ? { body: Readable.toWeb(request) as never, duplex: "half" } : {}),
  });
}
