import type { RootfsSource } from "../rootfs-source.ts";
import type { VolumeMount } from "./volume-mount.ts";

/**
 * Whether what the guest writes is to be found afterwards somewhere else than in the sandbox: then its end must be an orderly one, or what is
 * still in its memory is lost.
 */
export function writesToHost({
  image,
  mounts,
}: {
  readonly image: RootfsSource;
  readonly mounts: readonly VolumeMount[];
}): boolean {
  return image.kind !== "oci" || mounts.some(({ kind, readonly }) => kind !== "tmpfs" && !readonly);
}
