import { checkFlag } from "../../config/checks.ts";
import { checkString } from "../../config/guest-text.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome } from "../../store/home.ts";

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
