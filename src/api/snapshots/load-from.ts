import { resolve } from "node:path";
import { checkString } from "../../config/guest-text.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome, prepareHome } from "../../store/home.ts";
import { SnapshotHandle } from "./snapshot-handle.ts";

/** @param verify whether the disks are hashed and compared */
export async function loadFrom(
  archive: string,
  destination: string | undefined,
  verify: boolean,
  options: WaitOptions,
): Promise<SnapshotHandle> {
  const path = checkString("the archive's path", archive);
  const directory = destination === undefined ? null : resolve(checkString("the directory", destination));
  const { loadArchive } = await import("../../snapshot-archive/load-archive.ts");
  const { nameIn } = await import("../../store/snapshots/snapshots.ts");
  const home = locateHome();
  return await Operation.run(`load snapshots from ${path}`, options, async (operation) => {
    await operation.wait(prepareHome(home));
    const found = await loadArchive(home, path, directory, { verify }, operation.signal);
    return new SnapshotHandle(found, nameIn(home, found.directory));
  });
}
