import { readdir } from "node:fs/promises";
import { posix } from "node:path";

/** A shell must not wait longer for a sandbox, ms. */
const askMs = 2000;
/** More than anybody chooses from. */
const mostNames = 500;
/**
 * A name that a shell takes for itself: some insert a candidate as it is, and what is called `$(reboot)` in a guest would be run by
 * whoever completes it.
 */
const plainName = /^[\p{L}\p{N}._+,@%=-]+$/u;

/**
 * What a side of a copy can be that begins like this: the sandboxes, and files of this computer; after `NAME:`, files of that
 * sandbox. Directories end with a slash. Nothing where it cannot be found out.
 */
export async function sideNames(typed: string): Promise<string[]> {
  const colon = typed.indexOf(":");
  try {
    if (colon > 0 && !/^[./]/.test(typed))
      return await inSandbox(typed.slice(0, colon), typed.slice(colon + 1));
    return [...(await sandboxes(typed)), ...(await onHost(typed))];
  } catch {
    return [];
  }
}

async function sandboxes(typed: string): Promise<string[]> {
  if (/^[./]/.test(typed)) return [];
  const { Sandbox } = await import("../../../api/index.ts");
  return (await Sandbox.list()).filter(({ status }) => status === "running").map(({ name }) => `${name}:`);
}

async function inSandbox(name: string, path: string): Promise<string[]> {
  if (path === "") return [`${name}:/`];
  const { Sandbox } = await import("../../../api/index.ts");
  const signal = AbortSignal.timeout(askMs);
  await using sandbox = await (await Sandbox.get(name, { signal })).connect({ signal });
  const directory = path.slice(0, path.lastIndexOf("/") + 1);
  const entries = await sandbox.fs().list(directory, { signal });
  return named(
    entries.filter(({ isUtf8 }) => isUtf8).map((entry) => ({ ...entry, name: posix.basename(entry.path) })),
    `${name}:${directory}`,
    path.slice(directory.length),
  );
}

async function onHost(typed: string): Promise<string[]> {
  const directory = typed.slice(0, typed.lastIndexOf("/") + 1);
  const found = await readdir(directory === "" ? "." : directory, { withFileTypes: true });
  const entries = found.map((entry) => ({
    name: entry.name,
    kind: entry.isDirectory() ? "directory" : "other",
  }));
  return named(entries, directory, typed.slice(directory.length));
}

/** @param typed the beginning of a name; hidden ones are for who has begun with the dot */
function named(
  entries: readonly { readonly name: string; readonly kind: string }[],
  prefix: string,
  typed: string,
): string[] {
  return entries
    .filter(({ name }) => name.startsWith(typed) && plainName.test(name))
    .filter(({ name }) => !name.startsWith(".") || typed.startsWith("."))
    .slice(0, mostNames)
    .map(({ name, kind }) => `${prefix}${name}${kind === "directory" ? "/" : ""}`);
}
