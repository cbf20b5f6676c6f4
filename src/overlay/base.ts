import type { BigIntStats } from "node:fs";

/**
 * What a file of the host's was at a moment, in one line: `f:INODE:SIZE:MTIME:CTIME:MODE` of a file, `l:…` of a symbolic link, `o:…` of
 * anything else, times in ns; `d:MODE` of a directory, which is what is in it. The device is left out: its number may change with
 * each start of the host.
 */
export type Base = string;

/** Nobody knows what the guest saw there. It is what no file ever is. */
export const unknownBase: Base = "?";

export function baseOf(stat: BigIntStats): Base {
  const mode = (stat.mode & 0o7777n).toString(8);
  if (stat.isDirectory()) return `d:${mode}`;
  const kind = stat.isFile() ? "f" : stat.isSymbolicLink() ? "l" : "o";
  return `${kind}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}:${mode}`;
}

/** Tells one state of a file in the layer from all others. */
export function markOf(stat: BigIntStats): string {
  return stat.isDirectory() ? "d" : `${stat.ino}:${stat.size}:${stat.ctimeNs}`;
}
