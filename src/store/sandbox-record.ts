import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { refuseLaterSettings, storedConfigSchema } from "../config/sandbox/stored-config.ts";
import { InvalidConfigError, JsonError, UnsupportedOperationError } from "../errors/index.ts";
import { writeFileAtomically } from "../host/files/atomic-file.ts";
import { errorCode, ioError } from "../host/system-error.ts";

/** Raised when what is stored changes its meaning. */
const recordFormat = 2;

const recordSchema = v.object({
  format: v.literal(recordFormat),
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

/** A record of now. */
export function newRecord(fields: Omit<SandboxRecord, "format">): SandboxRecord {
  return { format: recordFormat, ...fields };
}

/**
 * What an older version wrote, as it is written now.
 *
 * Format 1 stored `disableNetwork` as it was asked for, false by default. No sandbox whose record does not say what `network` it has
 * has one: it was made when there was none, and does not get one by an upgrade of this package.
 *
 * @throws UnsupportedOperationError when a later version wrote it
 */
function upgraded(stored: unknown): unknown {
  if (!isObject(stored)) return stored;
  const { format, config } = stored;
  if (typeof format === "number" && format > recordFormat) {
    throw new UnsupportedOperationError(
      `the sandbox's record has the format ${format}, which this version of microsandbox does not know`,
      { hint: "A later version made it: use that one, or remove the sandbox (msb rm -f NAME)." },
    );
  }
  if (!isObject(config) || (format === recordFormat && "network" in config)) return stored;
  if (format !== 1 && format !== recordFormat) return stored;
  return { ...stored, format: recordFormat, config: { ...config, disableNetwork: true, network: null } };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
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

/** As it is written to disk. */
export function recordText(record: SandboxRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`;
}

/**
 * Writes the record of a sandbox anew, with what is to be so from its next start on. Whoever calls this owns the sandbox.
 *
 * @throws IoError; the old one is there then
 */
export async function saveRecord(path: string, record: SandboxRecord): Promise<void> {
  await writeFileAtomically(path, recordText(record));
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
  let parsed: unknown;
  try {
    parsed = upgraded(JSON.parse(json));
    record = v.parse(recordSchema, parsed);
  } catch (error) {
    if (error instanceof UnsupportedOperationError) throw error;
    throw new JsonError(`${path} is damaged`, {
      cause: error,
      hint: "Remove the sandbox (msb rm -f NAME) or restore the file.",
    });
  }
  refuseLaterSettings((parsed as { readonly config: object }).config);
  return { record, json };
}
