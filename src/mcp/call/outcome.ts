import type { CallToolResult } from "@modelcontextprotocol/server";
import type { KnownSecrets } from "./redact.ts";
import { redacted } from "./redact.ts";
import type { ToolFailure } from "./tool-failure.ts";

/** A field of the result that is not all of it. */
export interface Truncation {
  readonly field: string;
  readonly returnedBytes: number;
  /** Of the whole; null where that is not known. */
  readonly totalBytes: number | null;
  /** How to get the rest. */
  readonly rest: string;
}

/** What a tool has done. */
export interface Outcome {
  readonly data: unknown;
  readonly warnings?: readonly string[];
  readonly truncated?: readonly Truncation[];
}

/** One text item with JSON. */
export function resultOfOutcome(outcome: Outcome, secrets: KnownSecrets): CallToolResult {
  const { data, warnings = [], truncated = [] } = outcome;
  const told = {
    ok: true,
    data,
    ...(warnings.length === 0 ? {} : { warnings }),
    ...(truncated.length === 0 ? {} : { truncated }),
  };
  return { content: [{ type: "text", text: secrets.scrub(json(told)) }] };
}

/** The same of a failure. */
export function resultOfFailure(failure: ToolFailure, secrets: KnownSecrets): CallToolResult {
  const told = { ok: false, error: { ...failure, details: redacted(failure.details) } };
  return { content: [{ type: "text", text: secrets.scrub(json(told)) }], isError: true };
}

/** As people read it; sizes that are too large for a number are text, bytes are base64. */
export function json(value: unknown): string {
  return JSON.stringify(value, plain, 2);
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value.toString();
  // What Buffer makes of itself before it gets here.
  const bytes = value as { readonly type?: unknown; readonly data?: unknown } | null;
  if (typeof bytes === "object" && bytes?.type === "Buffer" && Array.isArray(bytes.data))
    return Buffer.from(bytes.data as number[]).toString("base64");
  return value;
}
