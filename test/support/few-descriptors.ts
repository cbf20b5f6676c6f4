import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

/** What a process may have open in {@link withFewDescriptors}. */
const descriptors = 128;

/** Makes a tree that is several times deeper than that, with one file, at its bottom. @returns the file's path in it */
export function deepTree(root: string): string {
  const way = Array.from({ length: 4 * descriptors }, () => "d").join("/");
  mkdirSync(join(root, way), { recursive: true });
  writeFileSync(join(root, way, "bottom"), "reached");
  return `${way}/bottom`;
}

/**
 * Runs a program that may have few files open.
 *
 * @param code of a module, which has its arguments in `process.argv` from the second on
 * @returns what it printed
 */
export async function withFewDescriptors(code: string, ...args: readonly string[]): Promise<string> {
  const command = `ulimit -n ${descriptors} && exec "$@"`;
  const node = [process.execPath, "--input-type=module", "-e", code, "-", ...args];
  const { stdout } = await promisify(execFile)("sh", ["-c", command, "sh", ...node]);
  return stdout;
}
