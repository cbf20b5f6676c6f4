import { stat } from "node:fs/promises";
import { PatchFailedError } from "../../errors/index.ts";
import type { Patch } from "./patch.ts";

/**
 * Looks at the files of the host that patches copy, before anything is made.
 *
 * @throws PatchFailedError when one is missing, or is not what its patch copies
 */
export async function checkPatchSources(patches: readonly Patch[]): Promise<void> {
  for (const patch of patches) {
    if (patch.kind === "copyFile" || patch.kind === "copyDir") await checkSource(patch);
  }
}

async function checkSource(patch: Extract<Patch, { readonly src: string }>): Promise<void> {
  const { kind, src, dst } = patch;
  const fail = (what: string, hint: string, cause?: unknown): PatchFailedError =>
    new PatchFailedError(
      `cannot copy ${src} to ${dst}: ${what}`,
      { kind, path: dst, errno: null },
      { hint, cause },
    );
  let found;
  try {
    found = await stat(src);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw fail(reason, "Name a file of this host that can be read.", error);
  }
  if (kind === "copyFile" && !found.isFile())
    throw fail("it is not a regular file", "A directory is copied by copyDir (--copy-dir).");
  if (kind === "copyDir" && !found.isDirectory())
    throw fail("it is not a directory", "A file is copied by copyFile (--copy-file).");
}
