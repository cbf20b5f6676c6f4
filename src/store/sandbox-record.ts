import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { refuseLaterSettings, storedConfigSchema } from "../config/sandbox/stored-config.ts";
import { InvalidConfigError, JsonError } from "../errors/index.ts";
import { errorCode, ioError } from "../host/system-error.ts";

const recordSchema = v.object({
  format: v.literal(1),
  id: v.string(),
  name: v.string(),
  createdAt: v.string(),
  config: storedConfigSchema,
});

/** The content of a sandbox's `config.json`. */
export type SandboxRecord = v.InferOutput<typeof recordSchema>;

export interface ReadRecord {
  readonly record: SandboxRecord;
  readonly json: string;
}

/**
 * Refuses a record that could not be read again.
 *
 * @throws InvalidConfigError that names the field
 */
export function checkRecord(record: SandboxRecord): void {
  const parsed = v.safeParse(recordSchema, JSON.parse(JSON.stringify(record)));
  if (parsed.success) return;
  const [issue] = parsed.issues;
  throw new InvalidConfigError(`${v.getDotPath(issue) ?? "the configuration"}: ${issue.message}`);
}

/**
 * @returns null when there is none
 * @throws JsonError when the file is not what it should be; UnsupportedOperationError when a later version wrote it and it asks
 *   for what this one does not know; IoError
 */
export async function readRecord(path: string): Promise<ReadRecord | null> {
  let json: string;
  try {
    json = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return null;
    throw ioError(`read ${path}`, error);
  }
  let record: SandboxRecord;
  let parsed: { readonly config: object };
  try {
    parsed = JSON.parse(json) as { readonly config: object };
    record = v.parse(recordSchema, parsed);
  } catch (error) {
    throw new JsonError(`${path} is damaged`, {
      cause: error,
      hint: "Remove the sandbox (msb rm -f NAME) or restore the file.",
    });
  }
  refuseLaterSettings(parsed.config);
  return { record, json };
}
