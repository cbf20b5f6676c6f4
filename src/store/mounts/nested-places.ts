import { lstat } from "node:fs/promises";
import { join } from "node:path";
import type { VolumeMount } from "../../config/mounts/volume-mount.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import { errorCode } from "../../host/system-error.ts";

/** What is mounted of the host's files. */
export interface SharedPlace {
  /** In the guest, in one spelling. */
  readonly guest: string;
  /** Null for a volume that is made for it, and so is empty. */
  readonly host: string | null;
  readonly isFile: boolean;
  readonly readOnly: boolean;
}

/**
 * Looks whether the place of each mount can be had where that is within files of the host's. The guest makes places that are missing,
 * which it cannot do in what is read-only; and there is no place below a file.
 *
 * @throws InvalidConfigError
 */
export async function checkNestedPlaces(
  mounts: readonly VolumeMount[],
  shared: readonly SharedPlace[],
): Promise<void> {
  for (const { guest } of mounts) {
    const enclosing = mounts
      .filter((other) => guest.startsWith(`${other.guest}/`))
      .reduce<VolumeMount | null>(
        (nearest, other) => (nearest === null || other.guest.length > nearest.guest.length ? other : nearest),
        null,
      );
    const around = shared.find((place) => place.guest === enclosing?.guest);
    const isFile = shared.some((place) => place.guest === guest && place.isFile);
    if (around !== undefined) await checkPlace(guest, isFile, around);
  }
}

async function checkPlace(guest: string, isFile: boolean, around: SharedPlace): Promise<void> {
  const refused = (why: string, hint: string): InvalidConfigError =>
    new InvalidConfigError(`nothing can be mounted at ${guest}: ${why}`, { hint });
  const within = `what is mounted at ${around.guest}`;
  if (around.isFile) throw refused(`${within} is a file`, "Choose another place.");
  const parts = guest.slice(around.guest.length + 1).split("/");
  let path = around.host;
  for (const [index, part] of parts.entries()) {
    path = path === null ? null : join(path, part);
    const found = path === null ? null : await kindAt(path);
    // The guest follows links by its own root, which is not known here.
    if (found === "link" || found === "unknown") return;
    if (found === null) {
      if (!around.readOnly) return;
      throw refused(
        `there is no such place in ${within}, which is read-only`,
        path === null
          ? "Choose a place that is not within it."
          : `Make ${join(around.host ?? "", ...parts)} first.`,
      );
    }
    const wanted = isFile && index === parts.length - 1 ? "file" : "directory";
    if (found !== wanted) throw refused(`${String(path)} is no ${wanted}`, "Choose another place.");
  }
}

async function kindAt(path: string): Promise<"directory" | "file" | "other" | "link" | "unknown" | null> {
  try {
    const found = await lstat(path);
    if (found.isSymbolicLink()) return "link";
    if (found.isDirectory()) return "directory";
    return found.isFile() ? "file" : "other";
  } catch (error) {
    return errorCode(error) === "ENOENT" ? null : "unknown";
  }
}
