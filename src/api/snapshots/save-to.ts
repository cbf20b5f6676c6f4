import { checkFlag } from "../../config/checks.ts";
import { checkString } from "../../config/guest-text.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome } from "../../store/home.ts";

/** What goes into an archive; by default the snapshot and nothing else. */
export interface SaveOpts {
  /** The snapshots that it goes back to, too. */
  readonly withParents?: boolean;
  /**
   * Of those that it goes back to only what came after this one: a name, a path or a digest. Whoever loads the archive has that one, or
   * does without.
   */
  readonly since?: string;
  /** The image that the disk lies over, so that a sandbox can be made without a registry. */
  readonly withImage?: boolean;
  /** Not compressed. */
  readonly plainTar?: boolean;
}

/** The older name of {@link SaveOpts}. */
export type ExportOpts = SaveOpts;

/** Its keys. */
export const saveOptions = {
  withParents: "boolean",
  since: "any",
  withImage: "boolean",
  plainTar: "boolean",
} as const;

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
    const { withParents = false, since, withImage = false, plainTar = false } = options;
    const choice = {
      withParents: checkFlag("withParents", withParents),
      since: since === undefined ? null : checkString("since", since),
      withImage: checkFlag("withImage", withImage),
      plainTar: checkFlag("plainTar", plainTar),
    };
    await saveArchive(locateHome(), snapshot, path, { ...choice, embedIntegrity }, signal);
  };
  await Operation.run(`save snapshot ${snapshot}`, options, work, saveOptions);
}
