import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { errorCode, ioError } from "../../host/system-error.ts";
import type { FoundSnapshot } from "../snapshots/snapshots.ts";
import { DiskTally, type DiskUsage } from "./disk-tally.ts";

/** What the files of a snapshot are for. */
export type SnapshotPart = "disk" | "memory" | "other";

/** What a snapshot takes on the disk, in all and by part. */
export interface SnapshotUsage extends DiskUsage {
  readonly parts: Readonly<Record<SnapshotPart, DiskUsage>>;
}

/** Of a guest that was captured with its memory: that, and the state of its devices. */
const memoryNames: ReadonlySet<string> = new Set(["memory", "devices"]);

/** Nothing when it was removed meanwhile. @throws IoError; the reason of the signal */
export async function snapshotUsage(
  { directory, descriptor }: FoundSnapshot,
  signal: AbortSignal,
): Promise<SnapshotUsage> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw ioError(`list ${directory}`, error);
    names = [];
  }
  const tally = new DiskTally<SnapshotPart>();
  for (const name of names) {
    signal.throwIfAborted();
    const isDisk = name === descriptor.state.upper.file;
    const part = isDisk ? "disk" : memoryNames.has(name) ? "memory" : "other";
    await tally.add(part, join(directory, name));
  }
  const parts = { disk: tally.of("disk"), memory: tally.of("memory"), other: tally.of("other") };
  return { ...tally.all(), parts };
}
