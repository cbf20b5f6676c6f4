import { resolve } from "node:path";
import type { RootfsSource, SandboxConfig, SandboxStatus } from "../../api/index.ts";

/** An image as users write it: a reference or a path. */
export function describeImage(image: string | RootfsSource): string {
  if (typeof image === "string") return image;
  return image.kind === "oci" ? image.reference : image.path;
}

/** Whether the image of a sandbox is the one that a user writes as `text`. */
export function isImage(image: RootfsSource, text: string): boolean {
  return text === describeImage(image) || (image.kind !== "oci" && resolve(text) === image.path);
}

/** What the sandbox's own command is: its entrypoint, then its command. `-` without either. */
export function describeCommand(config: SandboxConfig): string {
  const words = [...(config.entrypoint ?? []), ...(config.cmd ?? [])];
  return words.length === 0 ? "-" : words.map(quoteWord).join(" ");
}

/** A word as a POSIX shell reads it back. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Whether a sandbox with this status has no machine: there is something to start and nothing to talk to. */
export function isDown(status: SandboxStatus): boolean {
  return status === "created" || status === "stopped" || status === "crashed";
}
