import { mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve } from "node:path";
import * as v from "valibot";
import { JsonError } from "../errors/index.ts";
import { syncPath, writeFileAtomically } from "../host/files/atomic-file.ts";
import { errorCode, ioError } from "../host/system-error.ts";
import { jobRecordSchema } from "./jobs/job-record.ts";
import { removeLeftover, type Discard } from "./leftovers.ts";

const openStreamSchema = v.object({
  id: v.number(),
  service: v.string(),
  opener: v.boolean(),
  credit: v.number(),
  window: v.number(),
  ended: v.boolean(),
  stopped: v.boolean(),
  peerEnded: v.boolean(),
  peerStopped: v.boolean(),
});

const commandSchema = v.object({
  /** The number of its stream between supervisor and agent. */
  stream: v.number(),
  /** Of its session, as in exec.log. */
  session: v.number(),
  tty: v.boolean(),
  /** Its process has ended; others hold its outputs. */
  hasExited: v.boolean(),
  /** What was known of it as a job; null: it is none. */
  job: v.optional(v.nullable(jobRecordSchema), null),
});

/** What is written of a suspended guest, or of the copy of one. */
export const suspensionSchema = v.object({
  format: v.literal(1),
  /** The name of the sandbox that it is a copy of; null: it is the sandbox's own guest. */
  source: v.nullable(v.string()),
  /** The checkpoint of the sandbox's own that this is; null: it is none. */
  checkpoint: v.optional(v.nullable(v.string()), null),
  /** The signal that programs of a copy get which have a handler for it; null: none. */
  notify: v.nullable(v.string()),
  /** Of everything that memory and devices depend on: the key of the machine template that this would be. */
  machineKey: v.string(),
  /** The same for people. */
  description: v.object({
    qemuVersion: v.string(),
    accelerator: v.string(),
    kernelRelease: v.string(),
    /** Of the guest's kernel and agent; null: written by a version that did not say. */
    kernel: v.optional(v.nullable(v.string()), null),
    /** The host's, where the guest sees it; null: it does not, or as above. */
    processor: v.optional(v.nullable(v.object({ model: v.string(), identity: v.string() })), null),
  }),
  /** As the agent said when it started. */
  agentVersion: v.string(),
  /** Of the certificate that the guest is shown servers' certificates of, as SHA-256; null: it is shown none. */
  authority: v.nullable(v.string()),
  /** Of the host's time-stamp counter as the guest was told, kHz; null when it was not. */
  tscKhz: v.nullable(v.number()),
  /** The disks that the guest writes to, as they were: its memory knows what is on them. One that is the sandbox's own is named from its directory. */
  disks: v.array(v.object({ path: v.string(), size: v.string(), mtimeNs: v.string(), inode: v.string() })),
  /** What the agent had open. */
  open: v.object({ streams: v.array(openStreamSchema), next: v.number(), highest: v.number() }),
  commands: v.array(commandSchema),
});

/** A guest that was suspended: what has to be known to go on with its memory. */
export type SuspensionRecord = v.InferOutput<typeof suspensionSchema>;
export type SuspendedCommand = v.InferOutput<typeof commandSchema>;

export type SuspendedDisk = SuspensionRecord["disks"][number];

/** A disk as it is now. @param sandbox its directory, from which the path may be given @throws IoError */
export async function diskAsItIs(sandbox: string, path: string): Promise<SuspendedDisk> {
  const absolute = resolve(sandbox, path);
  const own = relative(sandbox, absolute);
  const isOwn = !isAbsolute(own) && !own.startsWith("..");
  try {
    const { size, mtimeNs, ino } = await stat(absolute, { bigint: true });
    return {
      path: isOwn ? own : absolute,
      size: String(size),
      mtimeNs: String(mtimeNs),
      inode: String(ino),
    };
  } catch (error) {
    throw ioError(`look at ${path}`, error);
  }
}

/** Where a suspended guest is, in its sandbox's directory. */
export interface SuspensionPaths {
  readonly directory: string;
  readonly memory: string;
  readonly state: string;
  readonly record: string;
}

const name = "suspended";
const stagingName = ".suspended-new";
const usedName = ".suspended-used";

/** Whether that is what is, or was to be, the memory of a suspended guest in its sandbox's directory. */
export function isSuspensionName(entry: string): boolean {
  return [name, stagingName, usedName].includes(entry);
}

/** Where the parts are of a guest that was captured into a directory. */
export function pathsOfCapture(directory: string): SuspensionPaths {
  return {
    directory,
    memory: join(directory, "memory"),
    state: join(directory, "state"),
    record: join(directory, "suspended.json"),
  };
}

/** @param sandbox its directory */
export function suspensionPaths(sandbox: string): SuspensionPaths {
  return pathsOfCapture(join(sandbox, name));
}

/** An empty place for a guest that is being suspended. @throws IoError */
export async function stageSuspension(sandbox: string): Promise<SuspensionPaths> {
  const staging = pathsOfCapture(join(sandbox, stagingName));
  try {
    await rm(staging.directory, { recursive: true, force: true });
    await mkdir(staging.directory, { mode: 0o700 });
  } catch (error) {
    throw ioError(`make ${staging.directory}`, error);
  }
  return staging;
}

/** Says what a guest is whose other parts are there. @throws IoError */
export async function writeSuspension(paths: SuspensionPaths, record: SuspensionRecord): Promise<void> {
  await writeFileAtomically(paths.record, `${JSON.stringify(record)}\n`);
}

/** What is staged is the suspended guest from now on. @throws IoError */
export async function commitSuspension(sandbox: string, record: SuspensionRecord): Promise<void> {
  const staging = pathsOfCapture(join(sandbox, stagingName));
  await writeSuspension(staging, record);
  try {
    await rename(staging.directory, join(sandbox, name));
    await syncPath(sandbox);
  } catch (error) {
    throw ioError(`suspend the sandbox in ${sandbox}`, error);
  }
}

/** Of a sandbox. @returns null when there is none. @throws JsonError, IoError */
export async function readSuspension(sandbox: string): Promise<SuspensionRecord | null> {
  return await readCapture(suspensionPaths(sandbox));
}

/** @returns null when there is none. @throws JsonError, IoError */
export async function readCapture({ record }: SuspensionPaths): Promise<SuspensionRecord | null> {
  let text: string;
  try {
    text = await readFile(record, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw ioError(`read ${record}`, error);
  }
  try {
    return v.parse(suspensionSchema, JSON.parse(text));
  } catch (error) {
    throw new JsonError(`${record} is damaged`, {
      cause: error,
      hint: "Start the sandbox without the memory that it was suspended with (msb start --fresh).",
    });
  }
}

/**
 * Its guest is about to go on: from its next breath on its disks are others than those that this memory knows, so nobody may go on with it
 * again.
 *
 * @throws IoError
 */
export async function useUpSuspension(sandbox: string): Promise<void> {
  const used = join(sandbox, usedName);
  try {
    await rm(used, { recursive: true, force: true });
    await rename(join(sandbox, name), used);
    await syncPath(sandbox);
  } catch (error) {
    throw ioError(`go on with the suspended guest in ${sandbox}`, error);
  }
}

/**
 * Removes what is left of suspended guests that went on, of such as were not suspended to the end, and, with `fresh`, of this one. Whoever
 * calls this owns the sandbox.
 */
export async function removeSuspensions(
  sandbox: string,
  { fresh, discard = removeLeftover }: { readonly fresh: boolean; readonly discard?: Discard },
): Promise<void> {
  for (const each of [stagingName, usedName, ...(fresh ? [name] : [])]) await discard(join(sandbox, each));
}
