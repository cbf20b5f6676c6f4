import { createHash } from "node:crypto";
import { join } from "node:path";

/** Where the parts of one layer are: what a guest has written over a directory of the host's. */
export interface LayerPaths {
  readonly directory: string;
  /** Holds what the guest has made or changed, each under its path. Only the file server writes here. */
  readonly files: string;
  /** What is not whole yet. */
  readonly work: string;
  /** What was deleted, and what the host's files were; see `LayerRecords`. */
  readonly journal: string;
  /** Held by who applies changes, or drops them. */
  readonly lock: string;
}

/**
 * @param sandbox the sandbox's own directory
 * @param guestPath where the layer is mounted
 */
export function layerPaths(sandbox: string, guestPath: string): LayerPaths {
  // A guest's path may be longer than a name is.
  const name = createHash("sha256").update(guestPath).digest("hex").slice(0, 32);
  return layerAt(join(sandbox, "layers", name));
}

export function layerAt(directory: string): LayerPaths {
  return {
    directory,
    files: join(directory, "files"),
    work: join(directory, "work"),
    journal: join(directory, "journal"),
    lock: join(directory, "lock"),
  };
}
