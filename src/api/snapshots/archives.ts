import { resolve } from "node:path";
import { checkFlag } from "../../config/checks.ts";
import { checkString } from "../../config/guest-text.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome, prepareHome } from "../../store/home.ts";
import { SnapshotHandle } from "./snapshot-handle.ts";

/** What goes into an archive; all false by default. */
export interface SaveOpts {
  /** The snapshots that it goes back to, too. */
  readonly withParents?: boolean;
  /** The image that the disk lies over, so that a sandbox can be made without a registry. */
  readonly withImage?: boolean;
  /** Not compressed. */
  readonly plainTar?: boolean;
}

/** The older name of {@link SaveOpts}. */
export type ExportOpts = SaveOpts;

const saveOptions = { withParents: "boolean", withImage: "boolean", plainTar: "boolean" } as const;

/** @param embedIntegrity whether the disks are hashed */
export async function saveTo(
  reference: string,
  output: string,
  embedIntegrity: boolean,
  options: SaveOpts & WaitOptions,
): Promise<void> {
  const snapshot = checkString("the snapshot", reference);
  const path = checkString("the archive's path", output);
  const { saveArchive } = await import("../../snapshot-archive/save-archive.ts");
  const work = async ({ signal }: Operation): Promise<void> => {
    const { withParents = false, withImage = false, plainTar = false } = options;
    const choice = {
      withParents: checkFlag("withParents", withParents),
      withImage: checkFlag("withImage", withImage),
      plainTar: checkFlag("plainTar", plainTar),
    };
    await saveArchive(locateHome(), snapshot, path, { ...choice, embedIntegrity }, signal);
  };
  await Operation.run(`save snapshot ${snapshot}`, options, work, saveOptions);
}

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
