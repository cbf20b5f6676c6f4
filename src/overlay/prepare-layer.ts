import { mkdir, open } from "node:fs/promises";
import { IoError, MicrosandboxError, UnsupportedOperationError } from "../errors/index.ts";
import { extendedAttributes } from "../host/files/extended-attributes.ts";
import { tryLockFile } from "../host/locks/lock.ts";
import { errorCode, ioError } from "../host/system-error.ts";
import { readRecords } from "./journal.ts";
import type { LayerPaths } from "./layer-paths.ts";
import { settleLayer } from "./settle-layer.ts";

const probe = "user.msb.probe";

/**
 * Makes a layer's directory, before its sandbox starts, if it is not there. What was applied to the host while the sandbox ran leaves
 * the layer now.
 *
 * @param host the directory that it is over
 * @throws UnsupportedOperationError where the layer's file system keeps no extended attributes; IoError
 */
export async function prepareLayer(layer: LayerPaths, host: string): Promise<void> {
  try {
    await mkdir(layer.files, { recursive: true, mode: 0o700 });
    await requireAttributes(layer.files);
    const records = await readRecords(layer);
    if (records.root.children === null) return;
    const lock = await tryLockFile(layer.lock);
    // Somebody applies changes at this moment: they leave the layer the next time.
    if (lock === null) return;
    await using _ = lock;
    await settleLayer(layer, host);
  } catch (error) {
    if (error instanceof MicrosandboxError) throw error;
    throw ioError(`prepare the layer ${layer.directory}`, error);
  }
}

/** @throws UnsupportedOperationError */
async function requireAttributes(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    extendedAttributes().setAttrSync(handle.fd, probe, Buffer.from("1"));
    extendedAttributes().removeAttrSync(handle.fd, probe);
  } catch (error) {
    if (errorCode(error) === undefined) throw new IoError(String(error), { cause: error });
    throw new UnsupportedOperationError(
      `overlay() needs extended attributes of users, and the file system of ${directory} keeps none`,
      { cause: error, hint: "Set MSB_HOME to a directory on ext4, XFS, Btrfs or another one that does." },
    );
  } finally {
    await handle.close();
  }
}
