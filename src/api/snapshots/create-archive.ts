import { join } from "node:path";
import { checkString } from "../../config/guest-text.ts";
import type { SnapshotConfig } from "../../config/snapshots/snapshot-config.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { randomHex } from "../../host/system/entropy.ts";
import { locateHome } from "../../store/home.ts";
import { makeSnapshot } from "./make-snapshot.ts";
import { saveOptions, saveTo, type SaveOpts } from "./save-to.ts";

/** Takes a snapshot that is in the archive and nowhere else. @throws as `SnapshotBuilder.createArchive` */
export async function createArchive(
  config: SnapshotConfig,
  output: string,
  options: SaveOpts & WaitOptions,
): Promise<void> {
  const path = checkString("the archive's path", output);
  if (config.destDir !== null)
    throw new InvalidConfigError("a snapshot that goes into an archive has no directory", {
      hint: "Leave out path() and destDir(): the archive is where createArchive() is told.",
    });
  const { withStaging } = await import("../../store/snapshots/staging.ts");
  const { signal: _signal, timeoutMs: _timeoutMs, ...saving } = options;
  const work = async ({ signal }: Operation): Promise<void> => {
    await withStaging(join(locateHome().snapshots, `archive-${randomHex(8)}`), async (staging) => {
      const snapshot = await makeSnapshot({ ...config, destDir: staging }, null, { signal });
      await saveTo(snapshot.path, path, config.recordIntegrity, { ...saving, signal });
    });
  };
  await Operation.run(`archive snapshot ${config.name}`, options, work, saveOptions);
}
