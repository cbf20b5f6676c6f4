import { isUnpatched, type SandboxPaths } from "../store/sandboxes.ts";
import type { SandboxRecord } from "../store/sandbox-record.ts";
import { scriptsFit } from "./boot-messages.ts";

type Config = SandboxRecord["config"];

/** What is put into a guest's root before it boots, on streams, because no message could hold it. */
export interface GuestFill {
  /** In the order in which they are applied. */
  readonly patches: Config["patches"];
  readonly scripts: Config["scripts"];
  /** The root is a directory of the host's. */
  readonly inPlace: boolean;
}

/** @returns null when a sandbox needs nothing of that now, as most do */
export async function fillOf(record: SandboxRecord, paths: SandboxPaths): Promise<GuestFill | null> {
  const { patches, scripts, image } = record.config;
  const isPending = await isUnpatched(paths, record);
  const areLong = !scriptsFit(scripts);
  if (!isPending && !areLong) return null;
  return {
    patches: isPending ? patches : [],
    scripts: areLong ? scripts : [],
    inPlace: image.kind === "bind",
  };
}
