import { join } from "node:path";
import type { Home } from "../home.ts";

/**
 * Where a volume is: its content is `volumes/NAME`, a directory that is shared with guests, so what is known about it is elsewhere, in
 * `volumes/.records/NAME.json`. There is a volume when there is its record; see `volumes.ts` for what holds between the two.
 */
export interface VolumePaths {
  /** What guests see of a directory; of a disk the directory that holds it. */
  readonly directory: string;
  /** The ext4 image of a volume that is a disk. */
  readonly disk: string;
  /** Locked, shared, by every sandbox that uses the volume. */
  readonly record: string;
}

// A volume's name begins with a letter or a digit, so these can never be one.
export const stagingPrefix = ".new-";
export const removedPrefix = ".removed-";
const recordSuffix = ".json";

export function volumePaths(home: Home, name: string): VolumePaths {
  const directory = join(home.volumes, name);
  return {
    directory,
    disk: join(directory, "disk.raw"),
    record: join(recordsDirectory(home), name + recordSuffix),
  };
}

export function recordsDirectory(home: Home): string {
  return join(home.volumes, ".records");
}

/** Where a volume is put together. */
export function stagingPath(home: Home, id: string): string {
  return join(home.volumes, stagingPrefix + id);
}

/** @returns null for what is no record's file */
export function nameOfRecord(file: string): string | null {
  return file.endsWith(recordSuffix) && !file.startsWith(".") ? file.slice(0, -recordSuffix.length) : null;
}
