import { diskSizeOf, enlargeDisk, makeBlankDisk, unpackAside } from "../../store/blank-disk.ts";
import type { Template } from "../../store/templates/templates.ts";
import type { PreparedRoot } from "../contract/handover.ts";

const bytesPerMib = 1024 * 1024;

/**
 * Makes the disk that a sandbox writes to, unless it is there: it is kept from one run to the next. One that is smaller than
 * wanted becomes larger, one that is larger stays as it is.
 *
 * @param sizeMib at least 16
 * @throws InvalidConfigError when the size is too small; IoError
 */
export async function prepareUpper(path: string, sizeMib: number): Promise<void> {
  const bytes = sizeMib * bytesPerMib;
  const existing = await diskSizeOf(path);
  if (existing === null) await makeBlankDisk(path, sizeMib);
  else if (existing < bytes) await enlargeDisk(path, bytes);
}

/**
 * Makes a sandbox's upper disk the one that its image template was saved with.
 *
 * @throws IoError
 */
export async function copyTemplateUpper(root: PreparedRoot, { paths }: Template): Promise<void> {
  const upperPath = root.template?.upperPath ?? null;
  if (upperPath !== null) await unpackAside(paths.upper, upperPath);
}
