import { basename, join } from "node:path";
import { checkSnapshotName } from "../../config/sandbox-name.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { copySparse } from "../../host/files/copy-sparse.ts";
import type { Home } from "../home.ts";
import { descriptorName } from "./descriptor.ts";
import { devicesName, memoryName } from "./memory-part.ts";
import { findSnapshot, whileThere, type FoundSnapshot } from "./snapshots.ts";
import { stageSnapshot } from "./staging.ts";

/**
 * Copies a snapshot to another place: it is the same one there, with the same digest. Blocks are shared where the file system can.
 *
 * @param directory of the copy: absolute
 * @param force whether a snapshot that is there is replaced
 * @throws InvalidConfigError for a name that no snapshot can have; SnapshotAlreadyExistsError; SnapshotNotFoundError when it was removed
 *   meanwhile; IoError; the signal's reason. Nothing is left then
 */
export async function copySnapshot(
  home: Home,
  snapshot: FoundSnapshot,
  directory: string,
  force: boolean,
  signal: AbortSignal,
): Promise<FoundSnapshot> {
  checkSnapshotName(basename(directory));
  const { upper, guest, descriptor, text } = snapshot;
  const files = [[upper, descriptor.state.upper.file]] as [from: string, name: string][];
  if (guest !== null) files.push([guest.memory, memoryName], [guest.devices, devicesName]);
  await stageSnapshot(directory, force, (staging) =>
    whileThere(snapshot, async () => {
      for (const [from, name] of files) await copySparse(from, join(staging, name), signal);
      await writeFileAtomically(join(staging, descriptorName), text);
      signal.throwIfAborted();
    }),
  );
  return await findSnapshot(home, directory);
}
