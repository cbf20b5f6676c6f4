import { access } from "node:fs/promises";
import { join } from "node:path";
import { ImageError } from "../errors/index.ts";
import { guestDirectory } from "../host/package-files.ts";

/** The image that comes with this package: busybox and a few files, so that a first run needs no registry. */
export const embeddedImage = "localhost/base";

export function isEmbeddedImage(reference: string): boolean {
  return reference === embeddedImage || reference === `${embeddedImage}:latest`;
}

/** A read-only root file system on the host. */
export interface RootFileSystem {
  readonly path: string;
  /** As mount(2) in the guest wants it. */
  readonly fsType: string;
}

/** @throws ImageError when the package was not built */
export async function embeddedRootFileSystem(): Promise<RootFileSystem> {
  const path = join(guestDirectory(), "base.erofs");
  try {
    await access(path);
  } catch (error) {
    throw new ImageError(`the embedded image ${path} cannot be read`, {
      cause: error,
      hint: 'Build it with "npm run build".',
    });
  }
  return { path, fsType: "erofs" };
}
