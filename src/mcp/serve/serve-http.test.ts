import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { mcpSettings } from "../mcp-settings.ts";
import { tools } from "../tools/tool-list.ts";
import { Workbench } from "../workbench.ts";
import { makeServer } from "./make-server.ts";
import { serveHttp } from "./serve-http.ts";
import type { Door } from "./serve-stdio.ts";

const lines: string[] = [];
const bench = new Workbench(mcpSettings({}));
let door: Door;
let url: URL;
let token: string;

before(async () => {
  door = await serveHttp(
    () => makeServer(bench, tools, "1.2.3"),
    0,
    (line) => lines.push(line),
  );
  url = new URL(/http:\S+/.exec(lines[0] ?? "")?.[0] ?? "");
  token = /Bearer (\S+)/.exec(lines[1] ?? "")?.[1] ?? "";
});
after(async () => {
  await door.close();
  await door.ended;
  await bench[Symbol.asyncDispose]();
});

/** @returns the status that a request gets */
async function status(
  headers: Readonly<Record<string, string>>,
  path = "/mcp",
  method = "POST",
): Promise<number> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });
  return await new Promise((resolve, reject) => {
    const asked = request(
      {
        host: "127.0.0.1",
        port: url.port,
        path,
        method,
        headers: {
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          ...headers,
        },
      },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    asked.on("error", reject);
    asked.end(method === "POST" ? body : undefined);
  });
}

describe("MCP over HTTP", () => {
  test("is at 127.0.0.1 alone, with a token that is long and random", () => {
    assert.equal(url.hostname, "127.0.0.1");
    assert.equal(Buffer.from(token, "base64url").length, 32);
  });

  test("nobody gets in without the token", async () => {
    const authorization = `Bearer ${token}`;
    assert.equal(await status({ authorization }), 200);
    assert.equal(await status({}), 401);
    assert.equal(await status({ authorization: `Bearer ${token}x` }), 401);
    assert.equal(await status({ authorization: "Bearer " }), 401);
    assert.equal(await status({ authorization: `Basic ${token}` }), 401);
    assert.equal(await status({}, "/mcp", "GET"), 401);
    assert.equal(await status({}, "/elsewhere"), 401);
    assert.equal(await status({ authorization }, "/elsewhere"), 404);
  });

  test("pages of other origins, and names that lead here by DNS, are refused even with it", async () => {
    const authorization = `Bearer ${token}`;
    assert.equal(await status({ authorization, origin: "https://evil.example" }), 403);
    assert.equal(await status({ authorization, origin: "null" }), 403);
    assert.equal(await status({ authorization, origin: `http://127.0.0.1:${url.port}` }), 200);
    assert.equal(await status({ authorization, host: `evil.example:${url.port}` }), 403);
    assert.equal(await status({ authorization, host: "127.0.0.1.evil.example" }), 403);
    assert.equal(await status({ authorization, host: `localhost:${url.port}` }), 200);
  });

  for (const mode of ["legacy", { pin: "2026-07-28" }] as const) {
    test(`the official client finds the tools and calls one: ${JSON.stringify(mode)}`, async () => {
      const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
      const requestInit = { headers: { authorization: `Bearer ${token}` } };
      await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
      try {
        assert.equal(client.getServerVersion()?.version, "1.2.3");
        assert.equal((await client.listTools()).tools.length, tools.length);
        const { content, isError } = await client.callTool({ name: "sandbox_exec", arguments: {} });
        assert.equal(isError, true);
        const [item] = content;
        assert.match(item?.type === "text" ? item.text : "", /"code": "invalid_input"/);
        const { resources } = await client.listResources();
        assert.equal(resources.length, 7);
      } finally {
        await client.close();
      }
    });
  }

  test("a token of the environment is taken, but for a short one", async () => {
    process.env["MICROSANDBOX_MCP_TOKEN"] = "short";
    await assert.rejects(
      serveHttp(
        () => makeServer(bench, tools, "1"),
        0,
        () => undefined,
      ),
      /MICROSANDBOX_MCP_TOKEN/,
    );
    process.env["MICROSANDBOX_MCP_TOKEN"] = "0123456789abcdef";
    const told: string[] = [];
    const other = await serveHttp(
      () => makeServer(bench, tools, "1"),
      0,
      (line) => told.push(line),
    );
    delete process.env["MICROSANDBOX_MCP_TOKEN"];
    await other.close();
    assert.match(told[1] ?? "", /Bearer 0123456789abcdef$/);
  });

  test("a port that is taken is told", async () => {
    await assert.rejects(
      serveHttp(
        () => makeServer(bench, tools, "1"),
        Number(url.port),
        () => undefined,
      ),
      /EADDRINUSE|in use/,
    );
  });
});
