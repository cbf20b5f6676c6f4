import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { BindMount, VolumeMount } from "../../config/mounts/volume-mount.ts";
import { InvalidConfigError, MicrosandboxError } from "../../errors/index.ts";
import { lockFileWhenFree } from "../../host/locks/lock-when-free.ts";
import type { FileLock } from "../../host/locks/lock.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { HeldDirectory } from "../../host/contained/held-directory.ts";
import { layerPaths, type LayerPaths } from "../../overlay/layer-paths.ts";
import { requireServable } from "../../store/mounts/shared-directories.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { guestPath, pathText, type GuestPath } from "../fs/guest-path.ts";

/** The part of a layer that a path of the guest names, with both sides of it held open. */
export class OpenLayer implements AsyncDisposable {
  readonly mount: BindMount;
  readonly paths: LayerPaths;
  /** What was named, below the mount, one character for each byte; empty for all of it. */
  readonly below: string;
  readonly files: HeldDirectory;
  readonly host: HeldDirectory;
  readonly #lock: FileLock | null;

  private constructor(place: Place, files: HeldDirectory, host: HeldDirectory, lock: FileLock | null) {
    ({ mount: this.mount, paths: this.paths, below: this.below } = place);
    this.files = files;
    this.host = host;
    this.#lock = lock;
  }

  /**
   * @param signal given: alone, so that nobody else applies or drops changes meanwhile
   * @returns null when the sandbox has not written anything yet
   * @throws InvalidConfigError for a path in no overlay mount, and for a directory that has gone; IoError; the signal's reason
   */
  static async open(
    control: SandboxControl,
    path: GuestPath,
    signal: AbortSignal | null,
  ): Promise<OpenLayer | null> {
    const { paths: sandbox } = await control.find();
    const place = placeOf(control.record.config.mounts, path, sandbox.directory);
    await requireServable(place.mount.host, place.mount.guest);
    const files = await tryOpen(place.paths.files);
    if (files === null) return null;
    try {
      const host = await openItself(place.mount.host);
      try {
        const lock = signal === null ? null : await lockFileWhenFree(place.paths.lock, signal);
        return new OpenLayer(place, files, host, lock);
      } catch (error) {
        await host.close();
        throw error;
      }
    } catch (error) {
      await files.close();
      throw error instanceof MicrosandboxError
        ? error
        : ioError(`open ${place.mount.host}`, error, "userFile");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.files.close();
    await this.host.close();
    await this.#lock?.release();
  }
}

interface Place {
  readonly mount: BindMount;
  readonly paths: LayerPaths;
  readonly below: string;
}

function placeOf(mounts: readonly VolumeMount[], path: GuestPath, sandbox: string): Place {
  const bytes = guestPath("the path of the mount", path).toString("latin1").replace(/\/+$/, "");
  let found: VolumeMount | null = null;
  for (const mount of mounts) {
    const guest = Buffer.from(mount.guest).toString("latin1");
    const isIn = bytes === guest || bytes.startsWith(`${guest}/`);
    if (isIn && (found === null || mount.guest.length > found.guest.length)) found = mount;
  }
  if (found?.kind === "bind" && found.overlay === true) {
    const below = bytes.slice(Buffer.from(found.guest).length + 1);
    if (below.split("/").some((name) => name === ".." || name === "." || (name === "" && below !== "")))
      throw new InvalidConfigError(`${pathText(Buffer.from(bytes, "latin1"))} has a part that is no name`);
    return { mount: found, paths: layerPaths(sandbox, found.guest), below };
  }
  const overlays = mounts.filter((mount) => mount.kind === "bind" && mount.overlay === true);
  const places = overlays.map(({ guest }) => guest).join(", ");
  throw new InvalidConfigError(
    `${pathText(Buffer.from(bytes, "latin1"))} is in no directory that is mounted with overlay()`,
    { hint: places === "" ? "The sandbox has none." : `The sandbox has ${places}.` },
  );
}

/** Not followed when it has become a link. */
async function openItself(path: string): Promise<HeldDirectory> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  return await HeldDirectory.hold(await open(path, flags), path);
}

async function tryOpen(path: string): Promise<HeldDirectory | null> {
  try {
    return await openItself(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw ioError(`open ${path}`, error);
  }
}
