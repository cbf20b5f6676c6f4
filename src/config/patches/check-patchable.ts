import { InvalidConfigError } from "../../errors/index.ts";
import type { RootDisk } from "../root-disk.ts";
import type { RootfsSource } from "../rootfs-source.ts";
import type { Patch } from "./patch.ts";

/**
 * Refuses patches where they could not be kept: on a disk of the user's, and in memory.
 *
 * @param rootDisk null when it is not known yet
 * @throws InvalidConfigError
 */
export function checkPatchable(
  image: RootfsSource,
  patches: readonly Patch[],
  rootDisk: RootDisk | null,
): void {
  if (patches.length === 0) return;
  if (image.kind === "disk") {
    throw new InvalidConfigError(`patches are not applied to a disk image (${image.path})`, {
      hint: "Leave them out, or use an image or a directory.",
    });
  }
  if (image.kind === "oci" && rootDisk !== null && rootDisk.kind !== "managed") {
    throw new InvalidConfigError(
      `patches are applied once, and a root disk of the kind ${rootDisk.kind} does not keep them`,
      { hint: "Leave them out, or use a managed root disk." },
    );
  }
}
