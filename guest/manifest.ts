/** `guest.json`: what the files of a guest were made from, so that nothing is made twice and anyone can check. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { GuestPackages } from "./packages.ts";

export const MANIFEST = "guest.json";
export const guestFiles = [
  "vmlinux",
  "initramfs.cpio",
  "agent.cpio",
  "agent",
  "base.erofs",
  "upper.extents",
  "upper-small.extents",
] as const;
export type GuestFile = (typeof guestFiles)[number];

export interface Manifest {
  readonly version: 1;
  readonly architecture: string;
  /** As `uname -r` says it in the guest. */
  readonly kernelRelease: string;
  readonly kernelPackageVersion: string;
  readonly agentVersion: string;
  /** Of everything that went in; the same inputs are not built twice. */
  readonly inputs: string;
  readonly packages: GuestPackages;
  readonly files: Readonly<Record<GuestFile, { readonly sha256: string; readonly bytes: number }>>;
}

/** The manifest of a finished guest; undefined when there is none or a file of it is missing. */
export async function readManifest(directory: string): Promise<Manifest | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(directory, MANIFEST), "utf8")) as Manifest;
    for (const name of guestFiles) {
      const { size } = await stat(join(directory, name));
      if (size !== manifest.files[name].bytes) return undefined;
    }
    return manifest;
  } catch {
    return undefined;
  }
}
