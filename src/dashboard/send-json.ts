import type { ServerResponse } from "node:http";
import { safeHeaders } from "./safe-headers.ts";

/** Answers a request. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { ...safeHeaders, "Content-Type": "application/json" });
  response.end(JSON.stringify(value));
}
