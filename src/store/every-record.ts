import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { IoError, MicrosandboxError } from "../errors/index.ts";
import { errorCode, ioError } from "../host/system-error.ts";
import type { Home } from "./home.ts";
import { readRecord, type SandboxRecord } from "./sandbox-record.ts";
import { findSandbox, sandboxPaths } from "./sandboxes.ts";

/**
 * The records of all sandboxes, running or not, for whoever removes what none of them has: a sandbox that cannot be read is no sandbox
 * that has nothing. Those that a killed supervisor or a creation that failed has left are removed.
 *
 * @param things what is looked for in them, such as "volumes"
 * @throws IoError when one of them cannot be read
 */
export async function* everyRecord(home: Home, things: string): AsyncGenerator<SandboxRecord> {
  let names: string[];
  try {
    names = await readdir(home.sandboxes);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw ioError(`list ${home.sandboxes}`, error);
  }
  // One at a time: the descriptors that this takes must not grow with their number.
  for (const name of names) {
    if (name.startsWith(".")) continue;
    const record = await recordOf(home, name, things);
    if (record !== null) yield record;
  }
}

/** @returns null when there is no such sandbox any more */
async function recordOf(home: Home, name: string, things: string): Promise<SandboxRecord | null> {
  try {
    let found = await readRecord(sandboxPaths(home, name).config);
    if (found !== null && mayBeLeft(found.record)) {
      await findSandbox(home, name).catch(() => undefined);
      found = await readRecord(sandboxPaths(home, name).config);
    }
    if (found !== null) return found.record;
    if (!(await isDirectory(join(home.sandboxes, name)))) return null;
  } catch (error) {
    throw unknown(name, things, error instanceof Error ? error.message : String(error), error);
  }
  throw unknown(name, things, "it has no config.json", undefined);
}

/** Whether who finds it may find that it is over and to be removed. */
function mayBeLeft({ config }: SandboxRecord): boolean {
  return config.ephemeral || config.patches.length > 0;
}

/** Whether it is there still: a sandbox that was removed meanwhile is not. */
async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw ioError(`look at ${path}`, error);
  }
}

function unknown(sandbox: string, things: string, why: string, cause: unknown): IoError {
  const hint = cause instanceof MicrosandboxError ? cause.hint : "";
  return new IoError(`cannot tell which ${things} the sandbox ${sandbox} has: ${why}`, {
    cause,
    hint: hint === "" ? `Restore it, or remove it ("msb rm -f ${sandbox}").` : hint,
  });
}
