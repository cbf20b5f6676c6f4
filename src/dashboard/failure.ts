import { InvalidConfigError, MicrosandboxError } from "../errors/index.ts";
import type { Failure } from "./wire.ts";

/** An error as the page is told of it. */
export function failureOf(error: unknown): Failure {
  if (error instanceof MicrosandboxError)
    return { code: error.code, message: error.message, hint: error.hint };
  return { code: "internal", message: error instanceof Error ? error.message : String(error), hint: "" };
}

/** What to answer with. */
export function statusOf(error: unknown): number {
  if (!(error instanceof MicrosandboxError)) return 500;
  if (error instanceof InvalidConfigError) return 400;
  return error.code.endsWith("NotFound") ? 404 : 409;
}
