import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { keyed } from "../../config/keys/keyed.ts";
import { VolumeKinds } from "../../config/volumes/volume-config.ts";
import { JsonError, UnsupportedOperationError } from "../../errors/index.ts";
import { errorCode, ioError } from "../../host/system-error.ts";

/** Raised when what is stored changes its meaning. */
const recordFormat = 1;

const recordSchema = v.object({
  format: v.literal(recordFormat),
  id: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/)),
  name: v.string(),
  createdAt: v.string(),
  kind: v.picklist(VolumeKinds),
  quotaMib: v.nullable(v.number()),
  capacityMib: v.nullable(v.number()),
  labels: keyed(v.string()),
});

/** What is known about a volume. It does not change while the volume exists. */
export type VolumeRecord = Readonly<v.InferOutput<typeof recordSchema>>;

export function newVolumeRecord(fields: Omit<VolumeRecord, "format">): VolumeRecord {
  return { format: recordFormat, ...fields };
}

/**
 * @returns null when there is none
 * @throws JsonError when it is not what it should be; UnsupportedOperationError when a later version wrote it; IoError
 */
export async function readVolumeRecord(path: string, name: string): Promise<VolumeRecord | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return null;
    throw ioError(`read ${path}`, error);
  }
  let stored: unknown;
  try {
    stored = JSON.parse(text);
    const record = v.parse(recordSchema, stored);
    if (record.name === name) return record;
  } catch (error) {
    const format = (Object(stored) as { readonly format?: unknown }).format;
    if (typeof format === "number" && format > recordFormat) {
      throw new UnsupportedOperationError(
        `the volume ${name} has a record of the format ${format}, which this version does not know`,
        { hint: "A later version made it: use that one." },
      );
    }
    throw damaged(path, error);
  }
  throw damaged(path, undefined);
}

function damaged(path: string, cause: unknown): JsonError {
  return new JsonError(`${path} is damaged`, { cause, hint: "Restore the file." });
}
