import { open } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { keyed } from "../../config/keys/keyed.ts";
import { JsonError, SnapshotIntegrityError, UnsupportedOperationError } from "../../errors/index.ts";
import { smallSha256 } from "../../host/digest.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import {
  devicesName,
  digestSchema,
  integritySchema,
  memoryName,
  memoryPartSchema,
  refuseLaterConfig,
  type MemoryPart,
} from "./memory-part.ts";

export const descriptorName = "snapshot.json";
/** Raised when what is written changes its meaning. */
const schemaVersion = 1;
const maximumBytes = 1024 * 1024;
const bytesPerMib = 1024 * 1024;
/** Of the file systems on disks. */
const blockBytes = 4096;
/** As large as a root disk can be: 16 TiB. */
const maximumUpperBytes = 16 * 2 ** 40;

/** One name in the snapshot's own directory: a descriptor leads nowhere else. */
const fileName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/));

/** What of a sandbox a snapshot can have. */
export const SnapshotScopes = ["disk", "full"] as const;

const descriptorSchema = v.object({
  artifact: v.literal("snapshot"),
  schema: v.literal(schemaVersion),
  /** Makes two snapshots two, whatever else is the same. */
  id: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/)),
  /** `disk`: nothing of the sandbox's memory. `full`: that too, so that others go on where it was. */
  scope: v.picklist(SnapshotScopes),
  state: v.object({
    kind: v.literal("file"),
    format: v.literal("raw"),
    fstype: v.literal("ext4"),
    upper: v.object({
      file: fileName,
      size_bytes: v.pipe(
        v.number(),
        v.safeInteger(),
        v.minValue(blockBytes),
        v.maxValue(maximumUpperBytes),
        v.multipleOf(blockBytes),
      ),
      integrity: integritySchema,
    }),
  }),
  /** There exactly if the scope is `full`. */
  memory: v.optional(v.nullable(memoryPartSchema), null),
  /** What the disk lies over; the digest is null for `localhost/base`, which comes with this package. */
  image: v.object({
    ref: v.string(),
    manifest_digest: v.nullable(v.pipe(v.string(), v.regex(/^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/))),
  }),
  /** The digest of the snapshot that its sandbox was made from. */
  parent: v.nullable(digestSchema),
  created_at: v.pipe(v.string(), v.isoTimestamp()),
  labels: keyed(v.string()),
  source_sandbox: v.nullable(v.string()),
  /** Those that it is one of; null, or not there: those of its sandbox. */
  group: v.optional(v.nullable(v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/))), null),
  /** What other programs have to say, by their names. Passed on as it is. */
  extensions: keyed(v.unknown()),
  /** What whoever uses it must know besides this format. */
  requires: v.array(v.string()),
});

/** What a snapshot says of itself. It never changes: its digest is what the snapshot is known by. */
export type SnapshotDescriptor = Readonly<v.InferOutput<typeof descriptorSchema>>;

/** The group that a snapshot is one of; null: nobody knows of which sandbox it is. */
export function groupOf({ group, source_sandbox: source }: SnapshotDescriptor): string | null {
  return group ?? source;
}

/** @param memory null: only the disk */
export function newDescriptor(
  fields: Omit<SnapshotDescriptor, "artifact" | "schema" | "scope" | "extensions" | "requires" | "memory">,
  memory: Omit<MemoryPart, "checksum"> | null = null,
): SnapshotDescriptor {
  const { group, ...others } = fields;
  const descriptor: Omit<SnapshotDescriptor, "memory" | "group"> = {
    artifact: "snapshot",
    schema: schemaVersion,
    scope: memory === null ? "disk" : "full",
    ...others,
    ...(group === null ? {} : { group }),
    extensions: {},
    requires: [],
  };
  // One without memory is as versions wrote it that knew no others, and so is one without a group.
  if (memory === null) return descriptor as SnapshotDescriptor;
  const checksum = checksumOf({ ...descriptor, memory });
  return { ...descriptor, memory: { ...memory, checksum } } as SnapshotDescriptor;
}

/** Of a description, whatever its checksum is. */
function checksumOf(descriptor: object): string {
  // As it is written: JSON has no infinity, and leaves out what is undefined.
  const written = JSON.parse(JSON.stringify(descriptor)) as { readonly memory: object };
  const memory = { ...written.memory, checksum: undefined };
  return `sha256:${smallSha256(canonicalJson(JSON.parse(JSON.stringify({ ...written, memory }))))}`;
}

export function descriptorText(descriptor: SnapshotDescriptor): string {
  return `${JSON.stringify(descriptor, null, 2)}\n`;
}

export interface ReadDescriptor {
  readonly descriptor: SnapshotDescriptor;
  /** `sha256:…` of all that is written there, in the canonical form. */
  readonly digest: string;
  /** As it is written. */
  readonly text: string;
}

/**
 * @param directory of the snapshot
 * @returns null when it has no descriptor: it is no snapshot
 * @throws as {@link parseDescriptor}; IoError
 */
export async function readDescriptor(directory: string): Promise<ReadDescriptor | null> {
  const path = join(directory, descriptorName);
  let text: string;
  try {
    await using file = await open(path, "r");
    if ((await file.stat()).size > maximumBytes) throw damaged(path, "it is too long");
    text = await file.readFile("utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return null;
    throw ioError(`read ${path}`, error);
  }
  return parseDescriptor(text, path);
}

/**
 * @param what the text is, for errors
 * @throws JsonError when it is not what it should be; UnsupportedOperationError when it asks for what this version does not know
 */
export function parseDescriptor(text: string, what: string): ReadDescriptor {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch (error) {
    throw damaged(what, "it is no JSON", error);
  }
  refuseForeign(stored, what);
  const parsed = v.safeParse(descriptorSchema, stored);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw damaged(what, `${v.getDotPath(issue) ?? "it"}: ${issue.message}`);
  }
  checkMemory(parsed.output, stored as object, what);
  return { descriptor: parsed.output, digest: `sha256:${smallSha256(canonicalJson(stored))}`, text };
}

/** @throws JsonError for parts that contradict each other; SnapshotIntegrityError when it is not as it was written */
function checkMemory({ scope, memory, state }: SnapshotDescriptor, stored: object, what: string): void {
  if ((memory !== null) !== (scope === "full")) throw damaged(what, "its scope and its memory contradict");
  if (memory === null) return;
  const { upper } = state;
  if (upper.file === memoryName || upper.file === devicesName) throw damaged(what, "two files have one name");
  if (memory.memory.size_bytes !== memory.config.memoryMib * bytesPerMib)
    throw damaged(what, `${memory.memory.size_bytes} bytes are no memory of ${memory.config.memoryMib} MiB`);
  if (memory.checksum === checksumOf(stored)) return;
  throw new SnapshotIntegrityError(`${what} is not as it was written`, {
    hint: "It was changed or damaged: copy the snapshot again from where it came, or remove it.",
  });
}

/** A later version may have written it. */
function refuseForeign(stored: unknown, what: string): void {
  const { artifact, schema, scope, state, memory, requires } = Object(stored) as Readonly<
    Record<string, unknown>
  >;
  if (artifact !== "snapshot") return;
  const { kind } = Object(state) as { readonly kind?: unknown };
  const later = (text: string): UnsupportedOperationError =>
    new UnsupportedOperationError(`${what} ${text}, which this version does not know`, {
      hint: "Another version made it: use that one, or remove it with force.",
    });
  if (typeof schema === "number" && schema > schemaVersion) throw later(`has the format ${schema}`);
  if (Array.isArray(requires) && requires.length > 0) throw later(`requires ${JSON.stringify(requires[0])}`);
  if (typeof scope === "string" && !SnapshotScopes.some((known) => known === scope))
    throw later(`is of the scope ${JSON.stringify(scope)}`);
  if (typeof kind === "string" && kind !== "file")
    throw later(`has a state of the kind ${JSON.stringify(kind)}`);
  refuseLaterConfig(memory);
}

/** JSON without spaces, the keys of each object in the order of their UTF-16 units (as RFC 8785, of which this needs no more). */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonicalJson(each)}`).join(",")}}`;
}

function damaged(what: string, why: string, cause?: unknown): JsonError {
  return new JsonError(`${what} is no descriptor of a snapshot: ${why}`, {
    cause,
    hint: "Restore the file, or remove the snapshot with force.",
  });
}
