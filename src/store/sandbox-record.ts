import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { InvalidConfigError, JsonError } from "../errors/index.ts";
import { defaultRootDisk, rootDiskSchema } from "../config/root-disk.ts";
import { errorCode, ioError } from "../host/system-error.ts";

/** JSON has no infinity: null means no limit. */
const limit = v.pipe(
  v.nullable(v.number()),
  v.transform((value) => value ?? Number.POSITIVE_INFINITY),
);

const pair = v.tuple([v.string(), v.string()]);
const imageSchema = v.variant("kind", [
  v.object({ kind: v.literal("oci"), reference: v.string() }),
  v.object({ kind: v.literal("bind"), path: v.string() }),
  v.object({
    kind: v.literal("disk"),
    path: v.string(),
    format: v.picklist(["qcow2", "raw", "vmdk"]),
    fstype: v.optional(v.string()),
  }),
]);

/** How a sandbox was asked to be, with every default filled in. It does not change while the sandbox exists. */
const configSchema = v.object({
  image: imageSchema,
  /** Of the image's manifest, fixed when the sandbox was made; null for `localhost/base` and what is no image. */
  imageDigest: v.optional(v.nullable(v.string()), null),
  /** Of no meaning for a root that the guest writes itself: a directory or a disk of the user's. */
  rootDisk: v.optional(rootDiskSchema, () => defaultRootDisk),
  cpus: v.number(),
  memoryMib: v.number(),
  logLevel: v.nullable(v.picklist(["trace", "debug", "info", "warn", "error"])),
  quietLogs: v.boolean(),
  workdir: v.nullable(v.string()),
  shell: v.string(),
  hostname: v.string(),
  user: v.nullable(v.string()),
  entrypoint: v.nullable(v.array(v.string())),
  cmd: v.nullable(v.array(v.string())),
  /** As it was asked for, or the image's STOPSIGNAL as it is written there; null = SIGTERM. */
  stopSignal: v.optional(v.nullable(v.string()), null),
  env: v.array(pair),
  scripts: v.array(pair),
  labels: v.record(v.string(), v.string()),
  rlimits: v.array(v.object({ resource: v.string(), soft: limit, hard: limit })),
  pullPolicy: v.picklist(["always", "if-missing", "never"]),
  maxDurationSecs: v.nullable(v.number()),
  idleTimeoutSecs: v.nullable(v.number()),
  ephemeral: v.boolean(),
  disableNetwork: v.boolean(),
  metricsSampleIntervalMs: v.number(),
  thp: v.picklist(["always", "madvise", "never"]),
  /** The user's own guest kernel; null = the one that comes with this package. */
  kernelPath: v.nullable(v.string()),
});

export type StoredConfig = v.InferOutput<typeof configSchema>;

const recordSchema = v.object({
  format: v.literal(1),
  id: v.string(),
  name: v.string(),
  createdAt: v.string(),
  config: configSchema,
});

/** The content of a sandbox's `config.json`. */
export type SandboxRecord = v.InferOutput<typeof recordSchema>;

/** @throws when the text is not what it should be */
export function parseStoredConfig(json: string): StoredConfig {
  return v.parse(configSchema, JSON.parse(json));
}

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

/** @throws JsonError when the file is not what it should be, IoError; null when there is none */
export async function readRecord(path: string): Promise<ReadRecord | null> {
  let json: string;
  try {
    json = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return null;
    throw ioError(`read ${path}`, error);
  }
  try {
    return { record: v.parse(recordSchema, JSON.parse(json)), json };
  } catch (error) {
    throw new JsonError(`${path} is damaged`, {
      cause: error,
      hint: "Remove the sandbox (msb rm -f NAME) or restore the file.",
    });
  }
}
