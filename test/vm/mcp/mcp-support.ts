import assert from "node:assert/strict";
import { Client, type CallToolRequestOptions } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { msbProgram } from "../cli/cli-support.ts";

/** Either era of the protocol. */
export type Era = "legacy" | "2026-07-28";

/** A tool's answer. */
export interface Told {
  readonly ok: boolean;
  readonly data: Readonly<Record<string, unknown>>;
  readonly warnings?: readonly string[];
  readonly truncated?: readonly { field: string; returnedBytes: number; totalBytes: number; rest: string }[];
  readonly error: {
    code: string;
    message: string;
    hint?: string;
    details?: Readonly<Record<string, unknown>>;
    retryable?: boolean;
  };
}

/** The official client, with an `msb mcp` that it has started. */
export class McpClient implements AsyncDisposable {
  readonly client: Client;
  readonly transport: StdioClientTransport;
  /** What was on stdout and is no protocol, among others. */
  readonly faults: Error[] = [];

  private constructor(client: Client, transport: StdioClientTransport) {
    this.client = client;
    this.transport = transport;
    client.onerror = (error) => this.faults.push(error);
  }

  static async start(
    era: Era,
    environment: Readonly<Record<string, string>>,
    cwd: string,
  ): Promise<McpClient> {
    const inherited = Object.entries(process.env).flatMap(([key, value]) =>
      value === undefined || key === "NODE_TEST_CONTEXT" ? [] : [[key, value] as const],
    );
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [msbProgram, "mcp"],
      env: { ...Object.fromEntries(inherited), ...environment },
      stderr: "inherit",
      cwd,
    });
    const mode = era === "legacy" ? era : { pin: era };
    const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
    const made = new McpClient(client, transport);
    await client.connect(transport, { timeout: 120_000 });
    return made;
  }

  /** Calls a tool, and checks that its answer has the form of all. */
  async call(
    name: string,
    input: Readonly<Record<string, unknown>>,
    options: CallToolRequestOptions = {},
  ): Promise<Told> {
    const { content, isError } = await this.client.callTool(
      { name, arguments: input },
      { timeout: 250_000, ...options },
    );
    assert.equal(content.length, 1);
    const [item] = content;
    assert.ok(item?.type === "text");
    const told = JSON.parse(item.text) as Told;
    assert.equal(told.ok, isError !== true, item.text);
    return told;
  }

  /** The same for what is expected to succeed. @returns its data */
  async data(
    name: string,
    input: Readonly<Record<string, unknown>>,
    options: CallToolRequestOptions = {},
  ): Promise<Told["data"]> {
    const told = await this.call(name, input, options);
    assert.ok(told.ok, JSON.stringify(told.error));
    return told.data;
  }

  /** The same for what is expected to fail. */
  async failure(name: string, input: Readonly<Record<string, unknown>>): Promise<Told["error"]> {
    const told = await this.call(name, input);
    assert.ok(!told.ok, JSON.stringify(told.data));
    return told.error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }
}
