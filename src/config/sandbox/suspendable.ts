import { InvalidConfigError } from "../../errors/index.ts";
import type { VolumeMount } from "../mounts/volume-mount.ts";
import type { SandboxConfig } from "./sandbox-config.ts";

/** Where files of the host, or of a program, are in the guest; null: nowhere. A named volume may be a disk: whoever looks knows. */
export function filesOf(
  image: SandboxConfig["image"],
  mounts: readonly VolumeMount[],
  isDirectory: (mount: VolumeMount & { readonly kind: "named" }) => boolean = () => false,
): string | null {
  if (image.kind === "bind") return "/";
  const found = mounts.find(
    (mount) =>
      mount.kind === "bind" || mount.kind === "provider" || (mount.kind === "named" && isDirectory(mount)),
  );
  return found?.guest ?? null;
}

/** Why a sandbox can never be suspended: files that a guest has open there cannot be opened again as they were. null: it can. */
export function whyUnsuspendable(ephemeral: boolean, files: string | null): string | null {
  if (ephemeral) return "it is ephemeral, and removed when its machine ends";
  if (files === "/") return "its root is a directory of the host";
  return files === null ? null : `files of the host are mounted at ${files}`;
}

/** @throws InvalidConfigError for a sandbox that is to be suspended with the host, and never can be */
export function checkHostShutdown(
  { onHostShutdown, ephemeral }: Pick<SandboxConfig, "onHostShutdown" | "ephemeral">,
  files: string | null,
): void {
  const why = onHostShutdown === "suspend" ? whyUnsuspendable(ephemeral, files) : null;
  if (why === null) return;
  throw new InvalidConfigError(`the sandbox cannot be suspended when the host shuts down: ${why}`, {
    hint: ephemeral
      ? "Leave onHostShutdown out, or let it be kept (msb run keeps one that has a --name)."
      : "Leave onHostShutdown out, or copy the files in, or mount a disk instead.",
  });
}
