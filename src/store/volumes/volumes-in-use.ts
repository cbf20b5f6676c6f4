import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { IoError, MicrosandboxError } from "../../errors/index.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import type { Home } from "../home.ts";
import { readRecord } from "../sandbox-record.ts";
import { listSandboxes, sandboxPaths } from "../sandboxes.ts";

/**
 * The names of the volumes that some sandbox has, running or not. Others are removed with their data, so a sandbox that cannot be read
 * is no sandbox that has none.
 *
 * @throws IoError when it cannot be told for one of them
 */
export async function volumesInUse(home: Home): Promise<ReadonlySet<string>> {
  // Removes what ephemeral ones have left whose supervisor was killed.
  await listSandboxes(home);
  let names: string[];
  try {
    names = await readdir(home.sandboxes);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return new Set();
    throw ioError(`list ${home.sandboxes}`, error);
  }
  const used = new Set<string>();
  // One at a time: the descriptors that this takes must not grow with their number.
  for (const name of names) {
    if (name.startsWith(".")) continue;
    for (const volume of await volumesOf(home, name)) used.add(volume);
  }
  return used;
}

async function volumesOf(home: Home, name: string): Promise<string[]> {
  try {
    const found = await readRecord(sandboxPaths(home, name).config);
    if (found !== null)
      return found.record.config.mounts.flatMap((mount) => (mount.kind === "named" ? [mount.name] : []));
    if (!(await isDirectory(join(home.sandboxes, name)))) return [];
  } catch (error) {
    throw unknown(name, error instanceof Error ? error.message : String(error), error);
  }
  throw unknown(name, "it has no config.json", undefined);
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

function unknown(sandbox: string, why: string, cause: unknown): IoError {
  const hint = cause instanceof MicrosandboxError ? cause.hint : "";
  return new IoError(`cannot tell which volumes the sandbox ${sandbox} has: ${why}`, {
    cause,
    hint: hint === "" ? `Restore it, or remove it ("msb rm -f ${sandbox}").` : hint,
  });
}
