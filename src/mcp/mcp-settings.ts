import { homedir } from "node:os";
import { resolve } from "node:path";
import { InvalidConfigError } from "../errors/index.ts";

/** What the server's environment says. */
export interface McpSettings {
  /** Groups of tools that are offered; null: all. */
  readonly tools: readonly string[] | null;
  /** Directories of the host that tools may name, as they were given; absolute. */
  readonly hostPaths: readonly string[];
  /** Whether operations that reach beyond sandboxes and those directories are allowed. */
  readonly dangerous: boolean;
  /** Bytes of one field of a result. */
  readonly maxOutputBytes: number;
  /** How long a command may run when the call does not say, ms. */
  readonly defaultTimeoutMs: number;
  /** After how long without a call a command that was started, and kept output, are given up, ms. */
  readonly sessionTtlMs: number;
}

const prefix = "MICROSANDBOX_MCP_";

/**
 * Reads `MICROSANDBOX_MCP_*`. Without a list of directories it is the working directory, unless that is `/` or the user's home, which
 * is where desktop programs start servers: then it is none.
 *
 * @throws InvalidConfigError for a value that is none
 */
export function mcpSettings(
  environment: NodeJS.ProcessEnv = process.env,
  workingDirectory: string = process.cwd(),
): McpSettings {
  const said = (name: string): string | null => {
    const value = environment[`${prefix}${name}`];
    return value === undefined || value === "" ? null : value;
  };
  const groups = said("TOOLS");
  return {
    tools: groups === null ? null : groups.split(",").map((group) => group.trim()),
    hostPaths: hostPaths(said("HOST_PATHS"), said("HOST_PATH_POLICY"), workingDirectory),
    dangerous: flag("ENABLE_DANGEROUS", said("ENABLE_DANGEROUS")),
    maxOutputBytes: whole("MAX_OUTPUT_BYTES", said("MAX_OUTPUT_BYTES"), 1024, 16 << 20, 1 << 20),
    defaultTimeoutMs: whole("DEFAULT_TIMEOUT_MS", said("DEFAULT_TIMEOUT_MS"), 1, longestMs, defaultTimeoutMs),
    sessionTtlMs: whole("SESSION_TTL_MS", said("SESSION_TTL_MS"), 1, longestMs, defaultTtlMs),
  };
}

const longestMs = 24 * 60 * 60 * 1000;
const defaultTimeoutMs = 120_000;
const defaultTtlMs = 900_000;

function hostPaths(list: string | null, policy: string | null, workingDirectory: string): readonly string[] {
  if (policy !== null && policy !== "allowlist" && policy !== "unrestricted") {
    throw new InvalidConfigError(`${prefix}HOST_PATH_POLICY is ${JSON.stringify(policy)}`, {
      hint: "Use allowlist or unrestricted.",
    });
  }
  if (policy === "unrestricted") return ["/"];
  if (list === null)
    return workingDirectory === "/" || workingDirectory === homedir() ? [] : [workingDirectory];
  return list
    .split(":")
    .filter((path) => path !== "")
    .map((path) => resolve(workingDirectory, path));
}

function flag(name: string, value: string | null): boolean {
  if (value === null || value === "0" || value === "false") return false;
  if (value === "1" || value === "true") return true;
  throw new InvalidConfigError(`${prefix}${name} is ${JSON.stringify(value)}`, { hint: "Use 0 or 1." });
}

function whole(name: string, value: string | null, least: number, most: number, otherwise: number): number {
  if (value === null) return otherwise;
  const number = /^\d+$/.test(value) ? Number(value) : NaN;
  if (number >= least && number <= most) return number;
  throw new InvalidConfigError(`${prefix}${name} is ${JSON.stringify(value)}`, {
    hint: `Use a whole number from ${least} to ${most}.`,
  });
}
