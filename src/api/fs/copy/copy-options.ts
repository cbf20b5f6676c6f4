import type { WaitOptions } from "../../../host/operation.ts";

/** How far a copy has come. */
export interface FsCopyProgress {
  /** Files, directories and links. */
  readonly entries: number;
  /** Of content; holes take no time and are not counted. */
  readonly bytes: number;
}

export interface FsCopyOptions extends WaitOptions {
  /** Copy what symbolic links lead to instead of the links. The path that is named is followed in any case. */
  readonly followSymlinks?: boolean | undefined;
  /**
   * Keep owners; of a single file also the mode and the time. On the host only root can do that, and setuid, setgid and sticky bits
   * are never set there.
   */
  readonly archive?: boolean | undefined;
  /** Told now and then how far the copy has come, and once at the end. */
  readonly onProgress?: ((progress: FsCopyProgress) => void) | undefined;
}

/** For the check of a call's options. */
export const copyOptions = { followSymlinks: "boolean", archive: "boolean", onProgress: "function" } as const;
