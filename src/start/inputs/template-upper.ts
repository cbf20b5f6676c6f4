import { rename, rm } from "node:fs/promises";
import { unpackExtents } from "../../host/files/extents.ts";
import type { Template } from "../../store/templates/templates.ts";
import type { PreparedRoot } from "../contract/handover.ts";

/**
 * Makes a sandbox's upper disk the one that its image template was saved with.
 *
 * @throws IoError
 */
export async function copyTemplateUpper(root: PreparedRoot, { paths }: Template): Promise<void> {
  const upperPath = root.template?.upperPath ?? null;
  if (upperPath === null) return;
  // Aside first: a disk that was cut short by a kill must not be taken for the sandbox's own.
  const aside = `${upperPath}.new`;
  await rm(aside, { force: true });
  await unpackExtents(paths.upper, aside);
  await rename(aside, upperPath);
}
