import { link, mkdir, stat } from "node:fs/promises";
import { RuntimeError } from "../../errors/index.ts";
import { copySparse } from "../../host/files/copy-sparse.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { pathsIn, type SandboxPaths } from "../sandboxes.ts";
import {
  diskAsItIs,
  pathsOfCapture,
  readCapture,
  suspensionPaths,
  writeSuspension,
  type SuspensionRecord,
} from "../suspension.ts";

export interface BeginOptions {
  /** The signal that programs get which have a handler for it; null: none. */
  readonly notify: string | null;
  /** The copy is a checkpoint of this very sandbox, with this name; null: it is of another one. */
  readonly checkpoint?: string | null;
  readonly signal: AbortSignal | undefined;
}

/** The files of a copy of a sandbox, and what is known of its guest. */
export interface CaptureFiles {
  readonly memory: string;
  readonly state: string;
  /** The disk that it wrote to; null: it has none. */
  readonly upper: string | null;
  readonly record: SuspensionRecord;
}

/**
 * Makes a sandbox that is being made one that goes on from a copy of another one.
 *
 * @param directory where the copy is
 * @throws RuntimeError when there is none; JsonError; as {@link beginWith}
 */
export async function beginFrom(
  directory: string,
  sandbox: SandboxPaths,
  options: BeginOptions,
): Promise<void> {
  const copy = pathsOfCapture(directory);
  const record = await readCapture(copy);
  if (record === null) throw new RuntimeError(`there is no copy of a sandbox in ${directory}`);
  const { upper } = pathsIn(directory);
  await beginWith({ ...copy, record, upper: (await exists(upper)) ? upper : null }, sandbox, options);
}

/**
 * The same with the files of a copy. Both have the files of memory and devices then, which nobody writes to; its disk is its own.
 *
 * @throws IoError, or the reason of the signal
 */
export async function beginWith(
  { memory, state, upper, record }: CaptureFiles,
  sandbox: SandboxPaths,
  { notify, checkpoint = null, signal }: BeginOptions,
): Promise<void> {
  const own = suspensionPaths(sandbox.directory);
  try {
    await mkdir(own.directory, { mode: 0o700 });
  } catch (error) {
    throw ioError(`make ${own.directory}`, error);
  }
  await share(memory, own.memory, signal);
  await share(state, own.state, signal);
  if (upper !== null) await copySparse(upper, sandbox.upper, signal);
  const disks = upper === null ? [] : [await diskAsItIs(sandbox.directory, sandbox.upper)];
  const source = checkpoint === null ? record.source : null;
  await writeSuspension(own, { ...record, source, checkpoint, notify, disks });
}

async function share(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const code = errorCode(error);
    // On another file system, or one that has no links, or not so many.
    if (code !== "EXDEV" && code !== "EPERM" && code !== "EMLINK") throw ioError(`link ${from}`, error);
    await copySparse(from, to, signal);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw ioError(`look at ${path}`, error);
  }
}
