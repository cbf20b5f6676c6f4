import type { VolumeMount } from "../../config/mounts/volume-mount.ts";
import { UnsupportedOperationError } from "../../errors/index.ts";

/** What whoever wants to mount a directory of the host is told, before anything is made. */
export function noSharedDirectories({ guest, kind }: VolumeMount): UnsupportedOperationError {
  return new UnsupportedOperationError(
    `this version of microsandbox cannot mount a directory of the host yet (${kind} at ${guest})`,
    { hint: "Use a disk: a named volume with kind disk, or a disk image." },
  );
}
