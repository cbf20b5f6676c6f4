import { constants, type BigIntStats } from "node:fs";
import { copyFile, open, rename, unlink, type FileHandle } from "node:fs/promises";
import { statusOf, type Place } from "../../host/contained/contained-directory.ts";
import { HeldDirectory } from "../../host/contained/held-directory.ts";
import { partialName } from "../../host/tree/partial-names.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_NONBLOCK, O_WRONLY } = constants;

/** A place with a name of any bytes. */
export type AnyPlace = Omit<Place, "name" | "within"> & { readonly name: string | Buffer };

/** A system error that the system has not reported. */
export function systemError(code: string, why: string): Error {
  return Object.assign(new Error(`${code}: ${why}`), { code });
}

/**
 * A file that is being written: aside, until it is put in the place of what has its name. Until then that stays as it is.
 * Owner and mode of a file that is replaced are kept.
 */
export class AsideFile {
  readonly file: FileHandle;
  readonly #directory: HeldDirectory;
  readonly #target: Buffer;
  readonly #aside: Buffer;

  private constructor(file: FileHandle, directory: HeldDirectory, target: Buffer, aside: Buffer) {
    this.file = file;
    this.#directory = directory;
    this.#target = target;
    this.#aside = aside;
  }

  /**
   * @param overLink takes the place of a link, too, and not of what it leads to
   * @throws what the system reports; EISDIR, EINVAL for what is no regular file. Nothing is left then
   */
  static async open(place: AnyPlace, overLink = false): Promise<AsideFile> {
    const found = await statusOf(place.path);
    const old = overLink && found?.isSymbolicLink() === true ? null : found;
    if (place.name === "." || old?.isDirectory() === true) throw systemError("EISDIR", "it is a directory");
    if (old?.isSymbolicLink() === true) throw systemError("ELOOP", "it is a symbolic link");
    if (old?.isFile() === false) throw systemError("EINVAL", "it is no regular file");
    // The place's own is closed before this is over.
    const directory = await HeldDirectory.openItself(place.directory.at());
    try {
      const aside = directory.at(await partialName());
      const file = await open(aside, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600);
      const made = new AsideFile(file, directory, directory.at(place.name), aside);
      try {
        await made.#takeAfter(old);
        return made;
      } catch (error) {
        await file.close();
        await unlink(aside).catch(() => undefined);
        throw error;
      }
    } catch (error) {
      await directory.close();
      throw error;
    }
  }

  /** Owner and mode. */
  async #takeAfter(old: BigIntStats | null): Promise<void> {
    const { uid, gid } = await this.file.stat();
    if (old !== null && (Number(old.uid) !== uid || Number(old.gid) !== gid))
      await this.file.chown(Number(old.uid), Number(old.gid));
    await this.file.chmod(old === null ? 0o644 : Number(old.mode) & 0o7777);
  }

  /** Appends. @throws what the system reports */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += (await this.file.write(bytes, at)).bytesWritten;
  }

  /** Puts it in its place. @throws what the system reports; nothing is left of it then */
  async commit(): Promise<void> {
    try {
      await this.file.close();
      await rename(this.#aside, this.#target);
      await this.#directory.close();
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  /** Leaves nothing of it. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => undefined);
    await unlink(this.#aside).catch(() => undefined);
    await this.#directory.close();
  }
}

/** Writes a file, all of it or nothing. @throws what the system reports; the signal's reason */
export async function writeWhole(place: AnyPlace, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  const aside = await AsideFile.open(place);
  try {
    await aside.write(bytes);
    signal.throwIfAborted();
    await aside.commit();
  } catch (error) {
    await aside.discard().catch(() => undefined);
    throw error;
  }
}

/** Opens a regular file to read it. @throws what the system reports; EISDIR, EINVAL for what is no regular file */
export async function openToRead({ path }: Pick<Place, "path">): Promise<FileHandle> {
  // O_NONBLOCK: a pipe would wait for a writer.
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const status = await file.stat();
    if (status.isDirectory()) throw systemError("EISDIR", "it is a directory");
    if (!status.isFile()) throw systemError("EINVAL", "it is no regular file");
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Copies a regular file, its mode with it. @param overLink as of {@link AsideFile.open} @throws what the system reports */
export async function copyRegular(
  source: Pick<Place, "path">,
  target: AnyPlace,
  overLink = false,
): Promise<void> {
  await using input = await openToRead(source);
  const aside = await AsideFile.open(target, overLink);
  try {
    // By descriptors: nothing that has their names now matters. The system copies, and shares the blocks where it can.
    if (process.platform === "linux")
      await copyFile(
        `/proc/self/fd/${input.fd}`,
        `/proc/self/fd/${aside.file.fd}`,
        constants.COPYFILE_FICLONE,
      );
    else
      for await (const chunk of input.createReadStream({ autoClose: false }))
        await aside.file.write(chunk as Buffer);
    await aside.file.chmod((await input.stat()).mode & 0o7777);
    await aside.commit();
  } catch (error) {
    await aside.discard().catch(() => undefined);
    throw error;
  }
}
