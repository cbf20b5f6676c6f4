import { statSync } from "node:fs";
import { Patch, type PatchConfig } from "../../api/index.ts";
import { UsageError } from "../output/usage-error.ts";
import { expanded } from "./mount.ts";

/** What these options say replaces what is there, as `cp` does: a file goes into a directory, and no directory is replaced. */
const asCp = { replace: true, keepDirectories: true } as const;

/** `SRC:DST`: a file or directory of the host, and where it goes in the guest. @throws UsageError */
export function parseCopy(text: string): PatchConfig {
  const [src, dst] = sides(text);
  let isDirectory;
  try {
    isDirectory = statSync(src).isDirectory();
  } catch (error) {
    throw new UsageError(`cannot copy ${src}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return isDirectory ? Patch.copyDir(src, dst, asCp) : Patch.copyFile(src, dst, asCp);
}

/** The same for a file alone. @throws UsageError */
export function parseCopyFile(text: string): PatchConfig {
  const [src, dst] = sides(text);
  return Patch.copyFile(src, dst, asCp);
}

/** The same for a directory alone. @throws UsageError */
export function parseCopyDir(text: string): PatchConfig {
  const [src, dst] = sides(text);
  return Patch.copyDir(src, dst, asCp);
}

/** A path to remove. Who knows docker's `--rm` gives it none. @throws UsageError */
export function parseRemoval(path: string): string {
  if (path.startsWith("/")) return path;
  throw new UsageError(
    `"${path}" is no path in the guest, which --rm removes.`,
    "docker's --rm is not needed: a sandbox without a name goes when its command has ended",
  );
}

/** A path of the guest is absolute, so a name of the host may have colons in it. */
function sides(text: string): readonly [src: string, dst: string] {
  const colon = text.lastIndexOf(":/");
  if (colon >= 1) return [expanded(text.slice(0, colon)), text.slice(colon + 1)];
  throw new UsageError(`"${text}" does not say what is copied where.`, "Write SRC:/path/in/the/guest");
}
