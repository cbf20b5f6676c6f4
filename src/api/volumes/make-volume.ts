import type { VolumeConfig } from "../../config/volumes/volume-config.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome, prepareHome } from "../../store/home.ts";
import { createVolume } from "../../store/volumes/volumes.ts";
import { Volume } from "./volume.ts";

/** @throws VolumeAlreadyExistsError, IoError, OperationTimeoutError; nothing is made then */
export async function makeVolume(config: VolumeConfig, options: WaitOptions): Promise<Volume> {
  const home = locateHome();
  return await Operation.run(`create volume ${config.name}`, options, async (operation) => {
    await operation.wait(prepareHome(home));
    return new Volume(await createVolume(home, config));
  });
}
