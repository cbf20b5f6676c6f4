import { constants, fstatSync } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";

/** Not followed when it is a link, and nothing but a directory. */
const directoryItself = constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Linux's O_PATH (include/uapi/asm-generic/fcntl.h), which Node has no name for: to go through a directory one need not read it. */
const pathOnly = process.platform === "linux" ? 0o10000000 : constants.O_RDONLY;

/**
 * A directory that is held by its descriptor, and whose entries are named through it: whatever is renamed or replaced by a link
 * above it meanwhile, its entries stay those of this directory. All that must not be led out of a directory of the host's is done
 * through this: trees that are copied (`src/host/tree/`), and single paths (`contained-directory.ts`). Node has no openat(2); this is
 * what comes closest:
 *
 * - Linux: `/proc/self/fd/N/name`.
 * - macOS: `/.vol/DEVICE/INODE/name`, on volumes that know it.
 * - Elsewhere: the path by which it was opened. Each part was no link when it was opened, but somebody who can write in a
 *   directory above may replace it after that.
 *
 * The last part of a name is the caller's matter: he must use calls, or flags (`O_NOFOLLOW`), that do not follow it.
 */
export class HeldDirectory implements AsyncDisposable {
  readonly handle: FileHandle;
  readonly #prefix: Buffer;

  protected constructor(handle: FileHandle, prefix: Buffer) {
    this.handle = handle;
    this.#prefix = prefix;
  }

  /** Opens a directory that a user named: links on the way to it are followed. @throws the system's error */
  static async open(path: string | Buffer): Promise<HeldDirectory> {
    return await this.hold(await open(path, constants.O_RDONLY | constants.O_DIRECTORY), path);
  }

  /**
   * Opens a directory itself, in order to go through it: it need not be readable. Nothing but {@link FileHandle.stat} is to be expected
   * of its handle.
   *
   * @throws the system's error: ENOTDIR or ELOOP when it is none, or a link to one
   */
  static async openItself(path: string | Buffer): Promise<HeldDirectory> {
    return await this.hold(await open(path, pathOnly | directoryItself), path);
  }

  /** Takes a directory that is open; it is closed with this. @param path by which it was opened */
  static async hold(handle: FileHandle, path: string | Buffer): Promise<HeldDirectory> {
    try {
      return new this(handle, await prefixOf(handle, path));
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  }

  /** The path of an entry, or of the directory, for one call. @param name one part of a path, without `/` */
  at(name: Uint8Array | string = "."): Buffer {
    return Buffer.concat([this.#prefix, typeof name === "string" ? Buffer.from(name) : name]);
  }

  /** Its own path, for what may be done to a directory that one may not go through. It is followed. */
  get itself(): Buffer {
    return this.#prefix.subarray(0, -1);
  }

  /** Opens a directory that is in this one, to read it or to change it. @throws the system's error: ENOTDIR or ELOOP when it is none, or a link to one */
  async openChild(name: Uint8Array): Promise<HeldDirectory> {
    const path = this.at(name);
    return await (this.constructor as typeof HeldDirectory).hold(
      await open(path, constants.O_RDONLY | directoryItself),
      path,
    );
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function prefixOf(handle: FileHandle, path: string | Buffer): Promise<Buffer> {
  const prefix = descriptorPrefix(handle.fd);
  if (await isUsable(prefix, handle)) return Buffer.from(prefix);
  return Buffer.concat([Buffer.from(path), Buffer.from("/")]);
}

/** What the path of an entry begins with, that it is reached through the descriptor of its directory. */
export function descriptorPrefix(fd: number): string {
  if (process.platform !== "darwin") return `/proc/self/fd/${fd}/`;
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return `/.vol/${dev}/${ino}/`;
}

/** Linux: what works for one descriptor works for all. */
let procIsThere = false;

async function isUsable(prefix: string, handle: FileHandle): Promise<boolean> {
  if (procIsThere) return true;
  const [found, held] = await Promise.all([
    // The directory itself: one that may be read and not searched has no `.` for us.
    stat(prefix.slice(0, -1), { bigint: true }).catch(() => null),
    handle.stat({ bigint: true }),
  ]);
  const usable = found !== null && found.dev === held.dev && found.ino === held.ino;
  procIsThere = usable && process.platform === "linux";
  return usable;
}
