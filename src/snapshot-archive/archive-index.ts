import * as v from "valibot";
import { SnapshotIntegrityError, UnsupportedOperationError } from "../errors/index.ts";

/** The first file of an archive: what is in it, in the order in which it comes. */
export const indexName = "snapshots.json";
/** Raised when what is written changes its meaning. */
const schemaVersion = 1;
/** A chain of parents as long as this is no chain. */
export const maximumSnapshots = 1000;
export const maximumIndexBytes = 1024 * 1024;

const digestSchema = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/));

const integritySchema = v.nullable(v.object({ algorithm: v.string(), digest: digestSchema }));

const indexSchema = v.object({
  artifact: v.literal("snapshot-archive"),
  schema: v.literal(schemaVersion),
  /** The one that was asked for, then its parents. */
  snapshots: v.pipe(
    v.array(
      v.object({
        name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/)),
        /** Of its description. */
        digest: digestSchema,
        /** Of its disk, computed when the archive was made; null: nobody has looked. */
        integrity: integritySchema,
        /** Of its memory and of the state of devices, if it has them. */
        guest: v.optional(v.object({ memory: integritySchema, devices: integritySchema })),
      }),
    ),
    v.minLength(1),
    v.maxLength(maximumSnapshots),
  ),
  /** Images that follow, each an OCI image layout. */
  images: v.pipe(
    v.array(v.object({ ref: v.string(), manifest_digest: v.string() })),
    v.maxLength(maximumSnapshots),
  ),
});

export type ArchiveIndex = Readonly<v.InferOutput<typeof indexSchema>>;

export function newIndex(fields: Pick<ArchiveIndex, "snapshots" | "images">): ArchiveIndex {
  return { artifact: "snapshot-archive", schema: schemaVersion, ...fields };
}

/** Where the files of a snapshot are in an archive. */
export function descriptorEntry(position: number): string {
  return `snapshots/${position}/snapshot.json`;
}

export function upperEntry(position: number): string {
  return `snapshots/${position}/upper.ext4`;
}

export function memoryEntry(position: number): string {
  return `snapshots/${position}/memory`;
}

export function devicesEntry(position: number): string {
  return `snapshots/${position}/devices`;
}

export function imageEntry(position: number): string {
  return `images/${position}.tar`;
}

/** @throws SnapshotIntegrityError when it is none; UnsupportedOperationError when a later version wrote it */
export function parseIndex(text: string): ArchiveIndex {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch (error) {
    throw notOurs(`its ${indexName} is no JSON`, error);
  }
  const { schema } = Object(stored) as { readonly schema?: unknown };
  if (typeof schema === "number" && schema > schemaVersion) {
    throw new UnsupportedOperationError(
      `the archive has the format ${schema}, which this version does not know`,
      {
        hint: "A later version made it: use that one.",
      },
    );
  }
  const parsed = v.safeParse(indexSchema, stored);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw notOurs(`${v.getDotPath(issue) ?? indexName}: ${issue.message}`);
}

/** The archive is not what it should be. @param why with the archive as what it is said of */
export function notOurs(why: string, cause?: unknown): SnapshotIntegrityError {
  return new SnapshotIntegrityError(`the archive is damaged, or holds no snapshots: ${why}`, {
    cause,
    hint: "Archives of snapshots are made by msb snapshot save. Save it again, or copy it again.",
  });
}
